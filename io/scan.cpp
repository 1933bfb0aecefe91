#include "io/scan.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <mutex>
#include <new>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include "io/atomic_file.h"
#include "io/cache_file.h"
#include "io/perceptual_hash.h"
#include "io/sha256.h"
#include "tensor/parallel.h"

namespace ar::io {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kHeader = "ar scan of images, version 1\n";
constexpr auto kProgress = std::chrono::milliseconds(200);

/// A text without tabs and line ends.
std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) switch (c) {
      case '\t':
        out += "\\t";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\\':
        out += "\\\\";
        break;
      default:
        out += c;
    }
  return out;
}
std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size())
      out += text[i];
    else
      out += text[++i] == 't' ? '\t' : text[i] == 'n' ? '\n' : text[i];
  }
  return out;
}

struct Known {
  FileState state;
  ScannedImage image;
};
using Cache = std::unordered_map<std::string, Known>;

template <class T>
bool parse(std::string_view text, T& value, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc() && end == text.data() + text.size();
}

/// A line: path, size, time, width, height, content, looks in hex, reason. Nothing from a line that is not one.
bool parse_line(std::string_view line, Cache& cache) {
  std::string_view field[8];
  for (int i = 0; i < 8; ++i) {
    const std::size_t end = i < 7 ? line.find('\t') : line.size();
    if (end == line.npos) return false;
    field[i] = line.substr(0, end);
    if (i < 7) line.remove_prefix(end + 1);
  }
  Known k;
  if (!parse(field[1], k.state.size) || !parse(field[2], k.state.time) || !parse(field[3], k.image.width) ||
      !parse(field[4], k.image.height) || !parse(field[6], k.image.looks, 16))
    return false;
  k.image.content = field[5];
  k.image.bad = unescaped(field[7]);
  cache[unescaped(field[0])] = std::move(k);
  return true;
}

/// What an earlier scan kept; an unknown or damaged file counts for nothing.
Cache load_cache(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(in)), {});
  Cache cache;
  if (!text.starts_with(kHeader)) return cache;
  std::string_view rest = std::string_view(text).substr(kHeader.size());
  while (!rest.empty()) {
    const std::size_t end = rest.find('\n');
    if (end == rest.npos || !parse_line(rest.substr(0, end), cache)) return {};
    rest.remove_prefix(end + 1);
  }
  return cache;
}

std::string cache_text(const Cache& cache) {
  std::string text(kHeader);
  char looks[17];
  for (const auto& [path, k] : cache) {
    std::snprintf(looks, sizeof looks, "%016llx", static_cast<unsigned long long>(k.image.looks));
    for (const std::string& field : {escaped(path), std::to_string(k.state.size), std::to_string(k.state.time),
                                     std::to_string(k.image.width), std::to_string(k.image.height), k.image.content})
      text += field + '\t';
    text += looks + ('\t' + escaped(k.image.bad)) + '\n';
  }
  return text;
}

/// Reads a whole file; false with a reason where that fails.
bool read_file(const fs::path& path, int64_t size, const ImageLimits& limits, std::vector<uint8_t>& bytes,
               std::string& reason) {
  if (size > limits.max_file_bytes) {
    reason = "larger than " + std::to_string(limits.max_file_bytes) + " bytes";
    return false;
  }
  std::ifstream in(path, std::ios::binary);
  bytes.resize(std::size_t(std::max<int64_t>(size, 0)));
  if (!in.read(reinterpret_cast<char*>(bytes.data()), std::streamsize(bytes.size()))) {
    reason = "cannot be read";
    return false;
  }
  return true;
}

/// The scan in progress. Workers take files one by one; only the caller's thread talks to the caller.
class Scanner {
 public:
  Scanner(const ImageFolder& folder, const ScanOptions& options) : folder_(folder), options_(options) {
    scan_.images.resize(folder.files.size());
    lasting_.resize(folder.files.size());
    states_.resize(folder.files.size());
  }

  Scan run() {
    const fs::path path = !options_.use_cache      ? fs::path()
                          : options_.cache.empty() ? cache_file("scans", folder_.root, ".tsv")
                                                   : options_.cache;
    Cache cache = path.empty() ? Cache() : load_cache(path);
    for (std::size_t i = 0; i < scan_.images.size(); ++i) {
      states_[i] = file_state(folder_.file(int64_t(i)));
      const auto known = cache.find(folder_.files[i].path);
      if (known != cache.end() && known->second.state == states_[i])
        scan_.images[i] = known->second.image;
      else
        todo_.push_back(i);
    }
    done_ = int64_t(scan_.images.size() - todo_.size());
    read_all();
    scan_.read = int64_t(next_);
    scan_.stopped = next_ < todo_.size();
    if (scan_.read > 0 && !path.empty()) keep(std::move(cache), path);
    return std::move(scan_);
  }

 private:
  bool stop_requested() const { return options_.stop && options_.stop->load(std::memory_order_relaxed); }

  void read_all() {
    const int64_t total = int64_t(scan_.images.size());
    const int64_t wanted = options_.threads > 0 ? options_.threads : num_threads();
    running_ = std::min(wanted, int64_t(todo_.size()));
    std::vector<std::thread> workers;
    for (int64_t i = running_; i > 0; --i) workers.emplace_back([this] { work(); });
    std::unique_lock lock(mutex_);
    while (!changed_.wait_for(lock, kProgress, [&] { return running_ == 0; })) {
      const int64_t done = done_;
      lock.unlock();
      if (options_.progress) options_.progress(done, total);
      lock.lock();
    }
    lock.unlock();
    for (std::thread& t : workers) t.join();
    if (options_.progress) options_.progress(done_, total);
  }

  void work() {
    Image picture;
    std::vector<uint8_t> bytes;
    std::unique_lock lock(mutex_);
    while (!stop_requested() && next_ < todo_.size()) {
      const std::size_t i = todo_[next_++];
      lock.unlock();
      lasting_[i] = examine(i, bytes, picture);
      lock.lock();
      ++done_;
    }
    --running_;
    lock.unlock();
    changed_.notify_one();
  }

  /// False for what may go better the next time.
  bool examine(std::size_t i, std::vector<uint8_t>& bytes, Image& picture) {
    ScannedImage& image = scan_.images[i];
    const fs::path file = folder_.file(int64_t(i));
    try {
      if (!read_file(file, states_[i].size, options_.limits, bytes, image.bad)) return false;
      image.content = sha256_hex(bytes);
      decode_image(bytes, options_.limits, picture);
      image.width = picture.width();
      image.height = picture.height();
      image.looks = perceptual_hash(picture);
    } catch (const std::bad_alloc&) {
      image.bad = "not enough memory";
      return false;
    } catch (const Error& e) {
      image.bad = e.what();
    }
    return true;
  }

  void keep(Cache cache, const fs::path& path) {
    // Files that are gone are forgotten; what was not reached is as it was.
    Cache kept;
    std::vector<bool> fresh(scan_.images.size());
    for (std::size_t k = 0; k < next_; ++k) fresh[todo_[k]] = true;
    for (std::size_t i = 0; i < scan_.images.size(); ++i) {
      const std::string& name = folder_.files[i].path;
      if (fresh[i] && lasting_[i])
        kept[name] = {states_[i], scan_.images[i]};
      else if (const auto old = cache.find(name); !fresh[i] && old != cache.end())
        kept[name] = std::move(old->second);
    }
    try {
      write_file_atomically(path.string(), cache_text(kept));
    } catch (const Error& e) {
      scan_.cache_problem = e.what();
    }
  }

  const ImageFolder& folder_;
  const ScanOptions& options_;
  Scan scan_;
  std::vector<FileState> states_;
  std::vector<char> lasting_;  // is the result worth keeping?
  std::vector<std::size_t> todo_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::size_t next_ = 0;
  int64_t done_ = 0;
  int64_t running_ = 0;  // workers
};

}  // namespace

std::vector<int64_t> Scan::usable() const {
  std::vector<int64_t> good;
  for (std::size_t i = 0; i < images.size(); ++i)
    if (images[i].bad.empty() && !images[i].content.empty()) good.push_back(int64_t(i));
  return good;
}

Scan scan_images(const ImageFolder& folder, const ScanOptions& options) { return Scanner(folder, options).run(); }

DuplicateGroups group_duplicates(const Scan& scan, const std::vector<int64_t>& indices, int max_distance) {
  std::vector<std::string> content;
  std::vector<uint64_t> looks;
  for (int64_t i : indices) {
    content.push_back(scan.images[std::size_t(i)].content);
    looks.push_back(scan.images[std::size_t(i)].looks);
  }
  return group_duplicates(content, looks, max_distance);
}

std::vector<int64_t> also_in(const Scan& first, const std::vector<int64_t>& of_first, const Scan& second,
                             const std::vector<int64_t>& of_second, int max_distance) {
  Scan both;
  std::vector<int64_t> all;
  for (int64_t i : of_first) both.images.push_back(first.images[std::size_t(i)]);
  for (int64_t i : of_second) both.images.push_back(second.images[std::size_t(i)]);
  for (std::size_t i = 0; i < both.images.size(); ++i) all.push_back(int64_t(i));
  const std::vector<int64_t> group = group_duplicates(both, all, max_distance).group;
  const auto middle = group.begin() + std::ptrdiff_t(of_first.size());
  const std::unordered_set<int64_t> known(group.begin(), middle);
  std::vector<int64_t> found;
  for (std::size_t i = 0; i < of_second.size(); ++i)
    if (known.contains(middle[std::ptrdiff_t(i)])) found.push_back(of_second[i]);
  return found;
}

void check_enough(const ImageFolder& folder, const std::vector<int64_t>& usable, int64_t needed) {
  std::vector<int64_t> files(folder.classes.size()), good(folder.classes.size());
  for (const ImageFile& f : folder.files) ++files[std::size_t(f.label)];
  for (int64_t i : usable) ++good[std::size_t(folder.files[std::size_t(i)].label)];
  for (std::size_t c = 0; c < files.size(); ++c)
    AR_CHECK(files[c] == 0 || good[c] > 0, (folder.root / folder.classes[c]).string(), ": none of its files (",
             files[c], ") is an image that can be read");
  AR_CHECK(int64_t(usable.size()) >= needed, folder.root.string(), ": ", usable.size(),
           " images are too few, at least ", needed, " are needed; add images or take a smaller batch");
}

std::vector<BadFile> bad_files(const ImageFolder& folder, const Scan& scan) {
  std::vector<BadFile> bad;
  for (std::size_t i = 0; i < scan.images.size(); ++i)
    if (!scan.images[i].bad.empty()) bad.push_back({folder.file(int64_t(i)).string(), scan.images[i].bad});
  return bad;
}

void write_bad_files_log(const fs::path& path, const std::vector<BadFile>& files) {
  std::string text;
  for (const BadFile& f : files) {
    const bool repeated = f.reason.starts_with(f.path + ": ");
    text += escaped(f.path) + '\t' + escaped(repeated ? f.reason.substr(f.path.size() + 2) : f.reason) + '\n';
  }
  write_file_atomically(path.string(), text);
}

}  // namespace ar::io
