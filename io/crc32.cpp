#include "io/crc32.h"

#include <array>
#include <cstddef>

namespace ar::io {
namespace {

// Polynomial 0xedb88320, reflected; eight bytes at a time: table[k][b] is byte b followed by k zeros.
constexpr auto kCrc = [] {
  std::array<std::array<uint32_t, 256>, 8> table = {};
  for (uint32_t b = 0; b < 256; ++b) {
    uint32_t c = b;
    for (int bit = 0; bit < 8; ++bit) c = (c >> 1) ^ (c & 1 ? 0xedb88320 : 0);
    table[0][b] = c;
  }
  for (size_t k = 1; k < 8; ++k)
    for (size_t b = 0; b < 256; ++b) table[k][b] = (table[k - 1][b] >> 8) ^ table[0][table[k - 1][b] & 0xff];
  return table;
}();

}  // namespace

uint32_t crc32(const void* data, int64_t bytes) {
  const auto* p = static_cast<const uint8_t*>(data);
  uint32_t crc = 0xffffffff;
  for (; bytes >= 8; bytes -= 8, p += 8) {
    crc ^= uint32_t(p[0]) | uint32_t(p[1]) << 8 | uint32_t(p[2]) << 16 | uint32_t(p[3]) << 24;
    crc = kCrc[7][crc & 0xff] ^ kCrc[6][crc >> 8 & 0xff] ^ kCrc[5][crc >> 16 & 0xff] ^ kCrc[4][crc >> 24] ^
          kCrc[3][p[4]] ^ kCrc[2][p[5]] ^ kCrc[1][p[6]] ^ kCrc[0][p[7]];
  }
  for (; bytes > 0; --bytes, ++p) crc = (crc >> 8) ^ kCrc[0][(crc ^ *p) & 0xff];
  return ~crc;
}

}  // namespace ar::io
