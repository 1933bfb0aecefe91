// Numbers in foreign bytes: bounds are checked, alignment does not matter.
#pragma once
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

#include "tensor/error.h"

namespace ar::io {

/// The bytes end before what they announce.
struct TooShort : Error {
  TooShort() : Error("ends too early") {}
};

class Bytes {
 public:
  explicit Bytes(std::span<const uint8_t> data) : data_(data) {}

  size_t size() const { return data_.size(); }
  const uint8_t* data() const { return data_.data(); }
  bool has(size_t at, size_t count) const { return at <= size() && count <= size() - at; }
  /// `count` bytes from `at`, or as many as there are.
  std::span<const uint8_t> part(size_t at, size_t count) const {
    at = at < size() ? at : size();
    return data_.subspan(at, count < size() - at ? count : size() - at);
  }
  bool starts(size_t at, std::string_view text) const {
    return has(at, text.size()) && std::memcmp(data() + at, text.data(), text.size()) == 0;
  }

  // Each throws TooShort past the end.
  uint32_t u8(size_t at) const { return *get(at, 1); }
  uint32_t le16(size_t at) const { return number(at, 2, false); }
  uint32_t le24(size_t at) const { return number(at, 3, false); }
  uint32_t le32(size_t at) const { return number(at, 4, false); }
  uint32_t be16(size_t at) const { return number(at, 2, true); }
  uint32_t be32(size_t at) const { return number(at, 4, true); }
  uint32_t number(size_t at, int count, bool big_endian) const {
    const uint8_t* byte = get(at, count);
    uint32_t value = 0;
    for (int i = 0; i < count; ++i) value |= uint32_t{byte[i]} << (8 * (big_endian ? count - 1 - i : i));
    return value;
  }

 private:
  const uint8_t* get(size_t at, size_t count) const {
    if (!has(at, count)) throw TooShort();
    return data() + at;
  }

  std::span<const uint8_t> data_;
};

}  // namespace ar::io
