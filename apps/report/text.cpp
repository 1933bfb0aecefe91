#include "apps/report/text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>

namespace ar::apps {
namespace {

constexpr char32_t kReplacement = 0xfffd;

struct Range {
  char32_t first, last;
};

// Unicode's East Asian Width W and F in whole blocks, and the emoji.
constexpr Range kWide[] = {{0x1100, 0x115f},   {0x231a, 0x231b},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},
                           {0xa960, 0xa97c},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},
                           {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x1f300, 0x1f64f}, {0x1f680, 0x1f6ff},
                           {0x1f900, 0x1f9ff}, {0x1fa70, 0x1faff}, {0x20000, 0x3fffd}};
// Marks that combine with the character before, joiners and selectors.
constexpr Range kZero[] = {{0x0300, 0x036f}, {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x0610, 0x061a}, {0x064b, 0x065f},
                           {0x0e34, 0x0e3a}, {0x0e47, 0x0e4e}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200f},
                           {0x20d0, 0x20ff}, {0x302a, 0x302d}, {0x3099, 0x309a}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}};

template <size_t N>
bool within(const Range (&ranges)[N], char32_t c) {
  const auto at = std::upper_bound(std::begin(ranges), std::end(ranges), c,
                                   [](char32_t value, const Range& range) { return value < range.first; });
  return at != std::begin(ranges) && c <= std::prev(at)->last;
}

bool is_control(char32_t c) { return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x202a && c <= 0x202e); }

void append(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += char(c);
  } else if (c < 0x800) {
    out += {char(0xc0 | c >> 6), char(0x80 | (c & 0x3f))};
  } else if (c < 0x10000) {
    out += {char(0xe0 | c >> 12), char(0x80 | (c >> 6 & 0x3f)), char(0x80 | (c & 0x3f))};
  } else {
    out += {char(0xf0 | c >> 18), char(0x80 | (c >> 12 & 0x3f)), char(0x80 | (c >> 6 & 0x3f)), char(0x80 | (c & 0x3f))};
  }
}

template <class... Values>
std::string formatted(const char* format, Values... values) {
  char text[64];
  std::snprintf(text, sizeof(text), format, values...);
  return text;
}

}  // namespace

char32_t next_character(std::string_view& text) {
  const auto lead = uint8_t(text.front());
  const int more = lead < 0x80 ? 0 : lead >= 0xc2 && lead < 0xe0 ? 1 : lead >= 0xe0 && lead < 0xf0 ? 2 : 3;
  if (more == 0) {
    text.remove_prefix(1);
    return lead;
  }
  char32_t c = lead & (0x3f >> more);
  bool good = lead >= 0xc2 && lead < 0xf5 && text.size() > size_t(more);
  for (int i = 1; good && i <= more; ++i) {
    const auto byte = uint8_t(text[size_t(i)]);
    good = (byte & 0xc0) == 0x80;
    c = c << 6 | (byte & 0x3f);
  }
  constexpr char32_t smallest[] = {0, 0x80, 0x800, 0x10000};
  good = good && c >= smallest[more] && c <= 0x10ffff && !(c >= 0xd800 && c < 0xe000);
  text.remove_prefix(good ? size_t(more) + 1 : 1);
  return good ? c : kReplacement;
}

int display_width(char32_t c) { return within(kZero, c) ? 0 : within(kWide, c) ? 2 : 1; }

int display_width(std::string_view text) {
  int columns = 0;
  while (!text.empty()) columns += display_width(next_character(text));
  return columns;
}

std::string printable(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const char32_t c = next_character(text);
    append(out, is_control(c) ? U' ' : c);
  }
  return out;
}

std::string fit(std::string_view text, int columns, bool unicode) {
  if (display_width(text) <= columns) return std::string(text);
  std::string out;
  int used = 0;
  while (!text.empty()) {
    const char32_t c = next_character(text);
    if (used + display_width(c) > columns - 1) break;
    append(out, c);
    used += display_width(c);
  }
  if (columns > 0) out += unicode ? "…" : "~";
  return out;
}

std::string format_duration(double seconds) {
  if (!(seconds >= 0 && seconds < 1e10)) return "-:--";
  const auto all = int64_t(std::llround(seconds));
  const auto days = (long long)(all / 86400);
  const int hours = int(all / 3600 % 24), minutes = int(all / 60 % 60), rest = int(all % 60);
  if (days > 0) return formatted("%lld d %02d:%02d", days, hours, minutes);
  if (hours > 0) return formatted("%d:%02d:%02d", hours, minutes, rest);
  return formatted("%d:%02d", minutes, rest);
}

std::string format_number(double value) {
  const double size = std::fabs(value);
  if (!std::isfinite(value)) return std::isnan(value) ? "nan" : value > 0 ? "inf" : "-inf";
  if (size != 0 && (size < 1e-3 || size >= 1e7)) return formatted("%.3g", value);
  return formatted("%.*f", size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 4, value);
}

}  // namespace ar::apps
