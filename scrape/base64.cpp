#include "scrape/base64.h"

#include <cstdint>

namespace ar::scrape {
namespace {

int value_of(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (c >= '0' && c <= '9') return c - '0' + 52;
  if (c == '+' || c == '-') return 62;
  if (c == '/' || c == '_') return 63;
  return -1;
}

}  // namespace

std::optional<std::string> base64_decode(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3 + 3);
  uint32_t bits = 0;
  int letters = 0;  // in the group of four that is being read
  bool padded = false;
  for (const char c : text) {
    if (c == ' ' || c == '\n' || c == '\r' || c == '\t' || c == '\f') continue;
    if (c == '=') {
      padded = true;
      continue;
    }
    const int value = value_of(c);
    if (value < 0 || padded) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    if (++letters < 4) continue;
    for (const int shift : {16, 8, 0}) bytes += static_cast<char>(bits >> shift & 255);
    letters = 0;
    bits = 0;
  }
  if (letters == 1) return std::nullopt;
  if (letters == 2) bytes += static_cast<char>(bits >> 4 & 255);
  if (letters == 3) {
    bytes += static_cast<char>(bits >> 10 & 255);
    bytes += static_cast<char>(bits >> 2 & 255);
  }
  return bytes;
}

}  // namespace ar::scrape
