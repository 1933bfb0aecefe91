#include "io/byte_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace ar::io {

ByteSource::ByteSource(const std::string& path) : name_(path) {
  file_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);  // not to wait for a pipe's other end
  if (file_ < 0) error("cannot be opened: ", std::strerror(errno));
  struct stat info = {};
  const bool known = ::fstat(file_, &info) == 0;
  if (!known || !S_ISREG(info.st_mode)) {
    ::close(file_);
    error(S_ISDIR(info.st_mode) ? "is a folder, wanted a file" : "is no regular file");
  }
  size_ = info.st_size;
}

ByteSource::~ByteSource() {
  if (file_ >= 0) ::close(file_);
}

void ByteSource::check_range(int64_t offset, int64_t bytes) const {
  if (offset < 0 || bytes < 0 || offset > size_ || bytes > size_ - offset)
    error("is damaged or cut short: ", bytes, " bytes at ", offset, " are wanted, the file has ", size_);
}

void ByteSource::read(int64_t offset, void* to, int64_t bytes) const {
  check_range(offset, bytes);
  auto* out = static_cast<std::byte*>(to);
  if (memory_) {
    if (bytes > 0) std::memcpy(out, memory_ + offset, size_t(bytes));
    return;
  }
  while (bytes > 0) {
    const ssize_t got = ::pread(file_, out, size_t(std::min<int64_t>(bytes, 1 << 30)), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) error("cannot be read: ", std::strerror(errno));
    if (got == 0) error("became shorter while being read");
    out += got, offset += got, bytes -= got;
  }
}

std::string ByteSource::text(int64_t offset, int64_t bytes) const {
  check_range(offset, bytes);
  std::string t(size_t(bytes), '\0');
  read(offset, t.data(), bytes);
  return t;
}

ByteStream::ByteStream(const ByteSource& source, int64_t begin, int64_t end) : source_(source), at_(begin), end_(end) {
  source.check_range(begin, end - begin);
}

void ByteStream::take(void* to, int64_t bytes) {
  if (bytes < 0 || bytes > left()) source_.error("is damaged or cut short at byte ", end_);
  auto* out = static_cast<char*>(to);
  while (bytes > 0) {
    const int64_t into = at_ - buffer_at_;
    if (into < 0 || into >= int64_t(buffer_.size())) {
      buffer_ = source_.text(at_, std::min<int64_t>(left(), 1 << 16));
      buffer_at_ = at_;
      continue;
    }
    const int64_t n = std::min(bytes, int64_t(buffer_.size()) - into);
    std::memcpy(out, buffer_.data() + into, size_t(n));
    out += n, at_ += n, bytes -= n;
  }
}

uint8_t ByteStream::byte() {
  uint8_t b = 0;
  take(&b, 1);
  return b;
}

std::string ByteStream::take(int64_t bytes) {
  if (bytes < 0 || bytes > left()) source_.error("is damaged or cut short at byte ", end_);
  std::string t(size_t(bytes), '\0');
  take(t.data(), bytes);
  return t;
}

uint64_t ByteStream::number(int bytes) {
  uint64_t n = 0;
  for (int i = 0; i < bytes; ++i) n |= uint64_t(byte()) << (8 * i);
  return n;
}

std::string ByteStream::line(int64_t longest) {
  std::string t;
  for (;;) {
    const char c = char(byte());
    if (c == '\n') return t;
    if (int64_t(t.size()) == longest) source_.error("holds a line of more than ", longest, " bytes at ", at_);
    t += c;
  }
}

}  // namespace ar::io
