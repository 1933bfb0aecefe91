#include "scrape/ledger.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace ar::scrape {

namespace fs = std::filesystem;

uint64_t hash64(const std::string& text) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return hash;
}

std::string hex64(uint64_t value) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text(16, '0');
  for (size_t i = 0; i < 16; ++i) text[i] = kDigits[value >> (60 - 4 * i) & 15];
  return text;
}

void write_file(const std::string& path, const std::string& bytes) {
  const std::string part = path + ".part";
  const int file = open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (file < 0) fail(path, ": cannot write, ", system_error());
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t wrote = write(file, bytes.data() + done, bytes.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) {
      const std::string reason = system_error();
      close(file);
      unlink(part.c_str());
      fail(path, ": cannot write, ", reason, "; start again to continue once that is mended");
    }
    done += static_cast<size_t>(wrote);
  }
  if (close(file) != 0 || rename(part.c_str(), path.c_str()) != 0) fail(path, ": cannot write, ", system_error());
}

namespace {

/// A second name for a file; where the file system has none, a copy. Being there already is fine: names are by content.
void link_or_copy(const std::string& from, const std::string& to) {
  if (link(from.c_str(), to.c_str()) == 0 || errno == EEXIST) return;
  if (errno != EPERM && errno != EOPNOTSUPP && errno != EMLINK) fail(to, ": cannot write, ", system_error());
  std::ifstream file(from, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  if (!file) fail(from, ": cannot read, ", system_error());
  write_file(to, bytes.str());
}

}  // namespace

Ledger::Ledger(const LedgerOptions& options, const std::vector<std::string>& names)
    : options_(options), active_(names.size()), index_(options.near_distance) {
  for (const std::string& name : names) {
    classes_[find_class(name)].wanted = options.wanted;
  }
  if (classes_.size() != names.size()) fail("a class is named twice");
  manifest_.emplace(options.folder, [this](Record&& record, int64_t offset) { replay(std::move(record), offset); });
  for (const std::string& name : names) {  // a link could lead outside
    const fs::file_status status = fs::symlink_status(path(name));
    if (fs::exists(status) && !fs::is_directory(status)) fail(path(name), ": this is no plain folder");
  }
  remove_files({".browser-"});  // of a computer that lost its power
  settle_after_replay();
}

std::size_t Ledger::find_class(const std::string& name) {
  const auto [at, added] = by_name_.emplace(name, classes_.size());
  if (added) classes_.emplace_back().name = name;
  return at->second;
}

uint16_t Ledger::cause_number(const std::string& cause) {
  const auto number = static_cast<size_t>(std::find(causes_.begin(), causes_.end(), cause) - causes_.begin());
  if (number == causes_.size()) causes_.push_back(cause);
  return static_cast<uint16_t>(number);
}

void Ledger::replay(Record&& record, int64_t offset) {
  Class& entry = classes_[find_class(record.name)];
  if (record.rank < 0) {
    if (record.status == "searched") {
      Searched& searched = entry.searches[record.query];
      searched.wanted = std::max(searched.wanted, record.wanted);
      searched.end = searched.end || record.end;
    }
    return;
  }
  const auto rank = static_cast<size_t>(record.rank);
  if (rank > entry.results.size()) fail("rank ", rank, " of class ", record.name, " comes before its predecessors");
  if (rank == entry.results.size()) {
    entry.results.push_back({offset, 0, State::kFound, 0});
    by_url_.emplace(key(record), Picture{static_cast<uint32_t>(&entry - classes_.data()), static_cast<uint32_t>(rank)});
  }
  Result& result = entry.results[rank];
  result.offset = offset;
  std::from_chars(record.phash.data(), record.phash.data() + record.phash.size(), result.phash, 16);
  const std::map<std::string, State> states = {{"found", State::kFound},         {"downloaded", State::kArrived},
                                               {"failed", State::kFailed},       {"kept", State::kKept},
                                               {"duplicate", State::kDuplicate}, {"cross-class", State::kCross}};
  const auto state = states.find(record.status);
  if (state == states.end()) fail("unknown status ", record.status);
  result.state = state->second;
  result.cause = cause_number(record.cause);
}

void Ledger::settle_after_replay() {
  for (size_t c = 0; c < classes_.size(); ++c) {
    Class& entry = classes_[c];
    for (size_t rank = 0; rank < entry.results.size(); ++rank) {
      Result& result = entry.results[rank];
      if (result.state == State::kFailed && options_.retry_failed) result.state = State::kFound;
      if (result.state == State::kArrived && !fs::exists(staged(entry.name, static_cast<int64_t>(rank)))) {
        result.state = State::kFound;  // it was not needed, and cleared away
      }
      if (result.state == State::kCross) {  // killed between saying so and removing the file
        unlink(path(manifest_->at(result.offset).file).c_str());
        rmdir(path(entry.name).c_str());
      }
      if (result.state == State::kKept || result.state == State::kDuplicate || result.state == State::kCross) {
        index_.add(result.phash);
        pictures_.push_back({static_cast<uint32_t>(c), static_cast<uint32_t>(rank)});
      }
      entry.kept += result.state == State::kKept ? 1 : 0;
      kept_in_all_ += result.state == State::kKept ? 1 : 0;
      failed_in_all_ += result.state == State::kFailed ? 1 : 0;
      entry.under_way += result.state == State::kArrived ? 1 : 0;
    }
  }
  for (size_t c = 0; c < active_; ++c) pending_.push_back(c);
  take_pending();
}

uint64_t Ledger::key(const Record& record) { return hash64(record.url.empty() ? record.thumb : record.url); }

bool Ledger::knows(std::size_t c, const Record& record) const {
  const auto [first, last] = by_url_.equal_range(key(record));
  return std::any_of(first, last, [&](const auto& entry) { return entry.second.c == c; });
}

std::optional<Record> Ledger::same_elsewhere(std::size_t c, const Record& record) const {
  const auto [first, last] = by_url_.equal_range(key(record));
  for (auto at = first; at != last; ++at) {
    const Result& result = classes_[at->second.c].results[at->second.rank];
    if (at->second.c == c || result.state == State::kFound || result.state == State::kAsked) continue;
    Record other = manifest_->at(result.offset);
    if (other.url != record.url || (record.url.empty() && other.thumb != record.thumb)) continue;
    return other;
  }
  return std::nullopt;
}

bool Ledger::add(std::size_t c, Record record) {
  Class& entry = classes_[c];
  if (knows(c, record)) return false;
  by_url_.emplace(key(record), Picture{static_cast<uint32_t>(c), static_cast<uint32_t>(entry.results.size())});
  record.name = entry.name;
  record.rank = static_cast<int64_t>(entry.results.size());
  record.status = "found";
  entry.results.push_back({manifest_->append(record), 0, State::kFound, 0});
  return true;
}

std::optional<Record> Ledger::next(std::size_t c) {
  // A few more than are missing: some of those under way will turn out to be duplicates or broken.
  constexpr int64_t kSpare = 4;
  Class& entry = classes_[c];
  entry.asked = std::max(entry.asked, entry.taken);
  while (entry.asked < entry.results.size() && entry.results[entry.asked].state != State::kFound) ++entry.asked;
  if (entry.asked == entry.results.size() || entry.kept >= entry.wanted) return std::nullopt;
  if (entry.under_way >= entry.wanted - entry.kept + kSpare) return std::nullopt;
  Result& result = entry.results[entry.asked++];
  result.state = State::kAsked;
  ++entry.under_way;
  Record record = manifest_->at(result.offset);
  record.cause.clear();  // of an earlier attempt
  record.error.clear();
  return record;
}

std::string Ledger::staged(const std::string& name, int64_t rank) const {
  return path(".staged-" + hex64(hash64(name)) + "-" + std::to_string(rank));
}

void Ledger::arrived(std::size_t c, Record record, const CheckedImage& image) {
  Class& entry = classes_[c];
  Result& result = entry.results[static_cast<size_t>(record.rank)];
  if (!image.cause.empty()) record.cause = image.cause;
  record.error = image.error;
  record.status = image.cause.empty() ? "downloaded" : "failed";
  record.width = image.width;
  record.height = image.height;
  if (image.cause.empty()) {
    record.format = image.format;
    record.sha256 = image.sha256;
    record.phash = hex64(image.phash);
    record.file = entry.name + "/" + image.sha256.substr(0, 32) + "." + image.format;
  }
  result.offset = manifest_->append(record);
  result.phash = image.phash;
  result.state = image.cause.empty() ? State::kArrived : State::kFailed;
  result.cause = cause_number(image.cause);
  if (result.state == State::kFailed) {
    --entry.under_way;
    ++failed_in_all_;
  }
  pending_.push_back(c);
  take_pending();
}

void Ledger::searched(std::size_t c, Record record) {
  Class& entry = classes_[c];
  record.name = entry.name;
  if (record.status == "searched") {
    Searched& searched = entry.searches[record.query];
    searched.wanted = std::max(searched.wanted, record.wanted);
    searched.end = searched.end || record.end;
  }
  manifest_->append(record);
}

void Ledger::take_pending() {
  while (!pending_.empty()) {
    const size_t c = pending_.back();
    pending_.pop_back();
    take(c);
  }
}

void Ledger::take(std::size_t c) {
  Class& entry = classes_[c];
  while (entry.taken < entry.results.size() && entry.kept < entry.wanted) {
    const State state = entry.results[entry.taken].state;
    if (state == State::kFound || state == State::kAsked) return;
    if (state == State::kArrived) decide(c, entry.taken);
    ++entry.taken;
  }
}

void Ledger::decide(std::size_t c, std::size_t rank) {
  Class& entry = classes_[c];
  Result& result = entry.results[rank];
  Record record = manifest_->at(result.offset);
  const auto name_of = [&](const Picture& p) { return classes_[p.c].name + "#" + std::to_string(p.rank); };
  std::optional<Picture> same, other;  // the earliest of each, so that the text is always the same
  std::vector<Picture> others;
  index_.near(result.phash, [&](uint32_t number) {
    const Picture& picture = pictures_[number];
    std::optional<Picture>& first = picture.c == c ? same : other;
    const auto order = [](const Picture& p) { return std::pair(p.c, p.rank); };
    if (!first || order(picture) < order(*first)) first = picture;
    if (picture.c != c) others.push_back(picture);
  });
  index_.add(result.phash);
  pictures_.push_back({static_cast<uint32_t>(c), static_cast<uint32_t>(rank)});
  --entry.under_way;
  if (!options_.keep_cross_class) {
    for (const Picture& picture : others) drop_from_other(picture, name_of(pictures_.back()));
  }
  const std::string staged_file = staged(entry.name, record.rank);
  if (same || (other && !options_.keep_cross_class)) {
    record.status = same ? "duplicate" : "cross-class";
    record.of = name_of(same ? *same : *other);
    if (!same) unlink(path(record.file).c_str());  // killed after linking it, before saying so
    result.state = same ? State::kDuplicate : State::kCross;
  } else {
    record.status = "kept";
    if (mkdir(path(entry.name).c_str(), 0777) != 0 && errno != EEXIST) {
      fail(path(entry.name), ": cannot create the folder, ", system_error());
    }
    link_or_copy(staged_file, path(record.file));
    result.state = State::kKept;
    ++entry.kept;
    ++kept_in_all_;
  }
  result.offset = manifest_->append(record);
  unlink(staged_file.c_str());
}

void Ledger::drop_from_other(const Picture& other, const std::string& of) {
  Class& entry = classes_[other.c];
  Result& result = entry.results[other.rank];
  if (result.state != State::kKept) return;
  Record record = manifest_->at(result.offset);
  record.status = "cross-class";
  record.of = of;
  result.offset = manifest_->append(record);
  result.state = State::kCross;
  unlink(path(record.file).c_str());
  rmdir(path(entry.name).c_str());  // only if empty: no class without pictures
  --entry.kept;
  --kept_in_all_;
  pending_.push_back(other.c);
}

Ledger::Searched Ledger::search_of(std::size_t c, const std::string& query) const {
  const auto at = classes_[c].searches.find(query);
  return at == classes_[c].searches.end() ? Searched{} : at->second;
}

Ledger::Counts Ledger::counts(std::size_t c) const {
  Counts counts;
  for (const Result& result : classes_[c].results) {
    ++counts.found;
    counts.kept += result.state == State::kKept ? 1 : 0;
    counts.duplicate += result.state == State::kDuplicate ? 1 : 0;
    counts.cross_class += result.state == State::kCross ? 1 : 0;
    if (result.state == State::kFailed) {
      ++counts.failed;
      ++counts.causes[causes_[result.cause]];
    }
  }
  return counts;
}

void Ledger::finish() {
  remove_files({".staged-"});
  for (size_t c = 0; c < active_; ++c) rmdir(path(classes_[c].name).c_str());
  sync();
}

/// Removes what has one of these beginnings of its name, in the data set's folder itself.
void Ledger::remove_files(const std::vector<std::string>& beginnings) {
  std::error_code ignored;
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(options_.folder, ignored)) {
    const std::string name = entry.path().filename();
    const auto matches = [&](const std::string& beginning) { return name.starts_with(beginning); };
    if (std::any_of(beginnings.begin(), beginnings.end(), matches)) found.push_back(entry.path());
  }
  for (const fs::path& one : found) fs::remove_all(one, ignored);
}

}  // namespace ar::scrape
