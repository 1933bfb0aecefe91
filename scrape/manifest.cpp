#include "scrape/manifest.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace ar::scrape {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kName = "/manifest.jsonl";
constexpr const char* kHeader = R"({"manifest":"ar image data set","version":1})";

std::string now_utc() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

/// Calls visit(name, member) for every text and number of a record, in the order they are written.
template <class R, class Visit>
void members(R& r, Visit visit) {
  visit("class", r.name), visit("query", r.query), visit("rank", r.rank), visit("status", r.status);
  visit("cause", r.cause), visit("error", r.error), visit("url", r.url), visit("thumb", r.thumb);
  visit("page", r.page), visit("title", r.title), visit("license", r.license), visit("author", r.author);
  visit("source", r.source), visit("file", r.file), visit("of", r.of), visit("format", r.format);
  visit("sha256", r.sha256), visit("phash", r.phash), visit("width", r.width), visit("height", r.height);
  visit("bytes", r.bytes), visit("seconds", r.seconds), visit("attempts", r.attempts), visit("found", r.found);
  visit("wanted", r.wanted), visit("end", r.end), visit("time", r.time);
}

bool is_default(const std::string& value) { return value.empty(); }
bool is_default(int64_t value) { return value == 0; }
bool is_default(int value) { return value == 0; }
bool is_default(double value) { return value == 0; }
bool is_default(bool value) { return !value; }

/// Gives every line but the first, the header, to `visit`; the size without a torn last line.
int64_t read_lines(const std::string& path, const std::function<void(Record&&, int64_t)>& visit) {
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(path, ": cannot read, ", system_error());
  std::string line;
  int64_t offset = 0;
  for (int64_t number = 1; std::getline(file, line); ++number) {
    if (file.eof() && (number > 1 || std::string_view(kHeader).starts_with(line))) break;  // no newline: torn
    if (number == 1) {
      const json header = json::parse(line, nullptr, false);
      if (!header.is_object() || header.value("manifest", "") != "ar image data set") {
        fail(path, ": this is no manifest of an image data set; choose another --out-path");
      }
      if (header.value("version", 0) != 1) fail(path, ": a newer program wrote this manifest");
    } else {
      try {
        visit(from_line(line), offset);
      } catch (const Error& error) {
        fail(path, ":", number, ": ", error.what(), "; take the line out to go on");
      }
    }
    offset += static_cast<int64_t>(line.size()) + 1;
  }
  return offset;
}

}  // namespace

std::string to_line(const Record& record) {
  nlohmann::ordered_json line;
  members(record, [&](const char* name, const auto& value) {
    if (std::string_view(name) == "rank" ? record.rank >= 0 : !is_default(value)) line[name] = value;
  });
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

Record from_line(std::string_view line) {
  const json value = json::parse(line, nullptr, false);
  if (!value.is_object()) fail("not a JSON object");
  Record record;
  try {
    members(record, [&](const char* name, auto& member) {
      if (const auto at = value.find(name); at != value.end()) at->get_to(member);
    });
  } catch (const json::exception&) {
    fail("a member of the wrong type");
  }
  if (record.status.empty() || record.name.empty()) fail("class or status is missing");
  return record;
}

void check_data_set_folder(const std::string& folder) {
  std::error_code error;
  const fs::file_status status = fs::status(folder, error);
  if (!fs::exists(status)) return;
  if (!fs::is_directory(status)) fail(folder, ": this is no folder");
  if (fs::exists(folder + kName)) return;
  fs::directory_iterator entries(folder, error);
  if (error) fail(folder, ": cannot read, ", error.message());
  if (entries != fs::directory_iterator()) {
    fail(folder, ": the folder holds something else (no manifest.jsonl in it); choose a new --out-path");
  }
}

void read_manifest(const std::string& folder, const std::function<void(Record&&, int64_t)>& visit) {
  if (!fs::exists(folder + kName)) fail(folder, ": this is no image data set, it has no manifest.jsonl");
  read_lines(folder + kName, visit);
}

Manifest::Manifest(const std::string& folder, const std::function<void(Record&&, int64_t)>& visit)
    : path_(folder + kName) {
  check_data_set_folder(folder);
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail(folder, ": cannot create the folder, ", error.message());
  file_ = open(path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (file_ < 0) fail(path_, ": cannot open for writing, ", system_error());
  try {
    if (flock(file_, LOCK_EX | LOCK_NB) != 0) fail(path_, ": another ar-build-image-ds works on this data set");
    struct stat info {};
    if (fstat(file_, &info) != 0) fail(path_, ": cannot read, ", system_error());
    if (info.st_size > 0) size_ = read_lines(path_, visit);
    if (size_ < info.st_size && ftruncate(file_, size_) != 0) fail(path_, ": cannot write, ", system_error());
    if (size_ == 0) {
      const std::string header = std::string(kHeader) + "\n";
      if (write(file_, header.data(), header.size()) != static_cast<ssize_t>(header.size())) {
        fail(path_, ": cannot write, ", system_error());
      }
      size_ = static_cast<int64_t>(header.size());
    }
  } catch (...) {
    close(file_);
    throw;
  }
}

Manifest::~Manifest() { close(file_); }

int64_t Manifest::append(Record& record) {
  record.time = now_utc();
  const std::string line = to_line(record) + "\n";
  const int64_t offset = size_;
  const ssize_t written = write(file_, line.data(), line.size());
  if (written != static_cast<ssize_t>(line.size())) {
    const std::string reason = written < 0 ? system_error() : "the disk is full";
    if (written > 0 && ftruncate(file_, size_) != 0) {  // else open() cuts the torn line off next time
      fail(path_, ": cannot write, ", reason);
    }
    fail(path_, ": cannot write, ", reason, "; start again to continue once that is mended");
  }
  size_ += written;
  return offset;
}

Record Manifest::at(int64_t offset) const {
  std::string line;
  char buffer[2048];
  for (int64_t from = offset;;) {
    const ssize_t got = pread(file_, buffer, sizeof buffer, from);
    if (got <= 0) fail(path_, ": cannot read back, ", got < 0 ? system_error() : "it became shorter");
    const std::string_view part(buffer, static_cast<size_t>(got));
    const size_t end = part.find('\n');
    line += part.substr(0, end);
    if (end != std::string_view::npos) return from_line(line);
    from += got;
  }
}

void Manifest::sync() { fdatasync(file_); }

}  // namespace ar::scrape
