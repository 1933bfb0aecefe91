#include "io/utf8.h"

#include <cstdint>

namespace ar::io {
namespace {

uint8_t byte_at(const std::string& text, size_t at) { return at < text.size() ? uint8_t(text[at]) : 0; }
bool is_tail(uint8_t b) { return (b & 0xc0) == 0x80; }

}  // namespace

size_t utf8_length(const std::string& text, size_t at) {
  const uint8_t a = byte_at(text, at), b = byte_at(text, at + 1), c = byte_at(text, at + 2), d = byte_at(text, at + 3);
  if (at < text.size() && a < 0x80) return 1;
  if (a >= 0xc2 && a <= 0xdf) return is_tail(b) ? 2 : 0;
  // No overlong forms, no surrogates, nothing beyond U+10FFFF.
  if (a >= 0xe0 && a <= 0xef)
    return is_tail(b) && is_tail(c) && !(a == 0xe0 && b < 0xa0) && !(a == 0xed && b >= 0xa0) ? 3 : 0;
  if (a >= 0xf0 && a <= 0xf4)
    return is_tail(b) && is_tail(c) && is_tail(d) && !(a == 0xf0 && b < 0x90) && !(a == 0xf4 && b >= 0x90) ? 4 : 0;
  return 0;
}

bool is_utf8(const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const size_t n = utf8_length(text, at);
    if (n == 0) return false;
    at += n;
  }
  return true;
}

std::string surrogates_of_bytes(const std::string& text) {
  if (is_utf8(text)) return text;
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t n = utf8_length(text, at);
    if (n > 0) {
      out.append(text, at, n);
      at += n;
    } else {  // U+DC80 .. U+DCFF
      const uint8_t b = uint8_t(text[at++]);
      out += '\xed';
      out += char(0xb0 | b >> 6);
      out += char(0x80 | (b & 0x3f));
    }
  }
  return out;
}

std::string bytes_of_surrogates(const std::string& text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const uint8_t b = byte_at(text, at + 1), c = byte_at(text, at + 2);
    if (byte_at(text, at) == 0xed && (b == 0xb2 || b == 0xb3) && is_tail(c)) {
      out += char((b & 3) << 6 | (c & 0x3f));
      at += 3;
    } else {
      out += text[at++];
    }
  }
  return out;
}

std::string printable(const std::string& text) {
  std::string out;
  for (const char c : text.substr(0, 80)) out += c >= ' ' && c <= '~' ? c : '?';
  return out + (text.size() > 80 ? "..." : "");
}

}  // namespace ar::io
