// ByteSource: bytes of known number that can be read at any place: a file, or memory.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "tensor/error.h"

namespace ar::io {

class ByteSource {
 public:
  /// A file. Throws Error if it cannot be opened or is no regular file.
  explicit ByteSource(const std::string& path);
  /// Memory of the caller; `name` stands in errors.
  ByteSource(std::string name, const void* data, size_t bytes)
      : name_(std::move(name)), memory_(static_cast<const std::byte*>(data)), size_(int64_t(bytes)) {}
  ~ByteSource();
  ByteSource(const ByteSource&) = delete;
  ByteSource& operator=(const ByteSource&) = delete;

  const std::string& name() const { return name_; }
  int64_t size() const { return size_; }
  /// Copies `bytes` bytes from `offset` on. Throws Error if there are fewer.
  void read(int64_t offset, void* to, int64_t bytes) const;
  /// Throws Error unless this range lies inside: call it before allocating what a file claims to hold.
  void check_range(int64_t offset, int64_t bytes) const;
  std::string text(int64_t offset, int64_t bytes) const;

  /// Throws an Error that starts with the name.
  template <class... Parts>
  [[noreturn]] void error(const Parts&... parts) const {
    fail(name_, ": ", parts...);
  }

 private:
  std::string name_;
  const std::byte* memory_ = nullptr;
  int file_ = -1;
  int64_t size_ = 0;
};

/// Reads a source from front to back, with a buffer.
class ByteStream {
 public:
  ByteStream(const ByteSource& source, int64_t begin, int64_t end);
  const ByteSource& source() const { return source_; }
  int64_t position() const { return at_; }
  int64_t left() const { return end_ - at_; }
  /// These throw Error past the end.
  uint8_t byte();
  std::string take(int64_t bytes);
  void take(void* to, int64_t bytes);
  /// An unsigned number of up to 8 bytes, little endian.
  uint64_t number(int bytes);
  /// Up to the next '\n', which is swallowed.
  std::string line(int64_t longest);

 private:
  const ByteSource& source_;
  int64_t at_, end_;
  std::string buffer_;
  int64_t buffer_at_ = 0;
};

}  // namespace ar::io
