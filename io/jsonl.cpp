#include "io/jsonl.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "io/atomic_file.h"
#include "tensor/error.h"

namespace ar::io {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

std::string line_of(const Json& value) { return value.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

/// What follows the last end of line; it may be long, but not longer than a line.
std::string torn_end(int fd, off_t size) {
  std::string tail;
  for (off_t at = size; at > 0;) {
    const off_t begin = std::max<off_t>(0, at - 4096);
    std::string block(size_t(at - begin), '\0');
    if (pread(fd, block.data(), block.size(), begin) != ssize_t(block.size())) break;
    const size_t end = block.rfind('\n');
    if (end != std::string::npos) return block.substr(end + 1) + tail;
    tail = block + tail;
    at = begin;
  }
  return tail;
}

}  // namespace

JsonLines::JsonLines(fs::path path) : path_(std::move(path)) {
  std::error_code error;
  if (path_.has_parent_path()) fs::create_directories(path_.parent_path(), error);
  fd_ = open(path_.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
  AR_CHECK(fd_ >= 0, path_.string(), ": cannot open for appending: ", std::strerror(errno));
  const off_t size = lseek(fd_, 0, SEEK_END);
  const std::string torn = torn_end(fd_, size);
  if (torn.empty()) return;
  const bool repaired =
      Json::accept(torn) ? ::write(fd_, "\n", 1) == 1 : ftruncate(fd_, size - off_t(torn.size())) == 0;
  if (!repaired) {
    const int reason = errno;
    close(fd_);
    fail(path_.string(), ": cannot repair the torn last line: ", std::strerror(reason));
  }
}

JsonLines::~JsonLines() { close(fd_); }

void JsonLines::write(const Json& value) {
  const std::string line = line_of(value);
  const off_t before = lseek(fd_, 0, SEEK_END);
  for (std::string_view rest = line; !rest.empty();) {
    const ssize_t n = ::write(fd_, rest.data(), rest.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const int reason = errno;
      (void)!ftruncate(fd_, before);  // or else the next line would join what was written; opening again repairs too
      fail(path_.string(), ": cannot write: ", std::strerror(reason));
    }
    rest.remove_prefix(size_t(n));
  }
}

void JsonLines::sync() { AR_CHECK(fdatasync(fd_) == 0, path_.string(), ": cannot write: ", std::strerror(errno)); }

int64_t for_each_json_line(const fs::path& path, const std::function<void(Json&&)>& take) {
  int64_t bad = 0;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
    Json value = Json::parse(line, nullptr, false);
    if (value.is_discarded()) {
      ++bad;
    } else {
      take(std::move(value));
    }
  }
  return bad;
}

std::vector<Json> read_json_lines(const fs::path& path, int64_t* bad_lines) {
  std::vector<Json> values;
  const int64_t bad = for_each_json_line(path, [&](Json&& value) { values.push_back(std::move(value)); });
  if (bad_lines) *bad_lines = bad;
  return values;
}

void filter_json_lines(const fs::path& path, const std::function<bool(const Json&)>& keep) {
  std::string text;
  for_each_json_line(path, [&](const Json& value) {
    if (keep(value)) text += line_of(value);
  });
  write_file_atomically(path.string(), text);
}

}  // namespace ar::io
