// Text as a terminal shows it: widths of characters, cutting, durations.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace ar::apps {

/// Decodes one UTF-8 character and moves `text` past it; a byte that belongs to none gives U+FFFD.
char32_t next_character(std::string_view& text);

/// Columns a terminal gives this character: 0 (combining, joiners), 1 or 2 (East Asian wide, emoji).
int display_width(char32_t character);
/// Columns of a UTF-8 text.
int display_width(std::string_view text);

/// The text made harmless for a terminal and a log: control characters become spaces, broken UTF-8 U+FFFD.
std::string printable(std::string_view text);
/// As much of the text as fits into so many columns, whole characters only; what is cut off shows as "…" (or "~").
std::string fit(std::string_view text, int columns, bool unicode = true);

/// "0:07", "12:30", "3:02:01", "2 d 03:12".
std::string format_duration(double seconds);
/// Three to four significant digits without an exponent where that is readable: "0.0123", "12.3", "1234", "1.2e-07".
std::string format_number(double value);

}  // namespace ar::apps
