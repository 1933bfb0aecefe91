// Self-contained HTML pages: escaping, the page with its style and script, tiles, pictures.
#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ar::apps {

/// For text and for attributes in double quotes; control characters and broken UTF-8 become harmless.
std::string escape_html(std::string_view text);
/// JSON that may stand inside <script type="application/json">: a '<' is written as \u003c.
std::string escape_json_for_script(std::string json);
/// "data:image/jpeg;base64,...": bytes as an address.
std::string data_uri(std::string_view mime_type, std::string_view bytes);

/// "12 345": with thin spaces, for reading.
std::string grouped(int64_t value);
/// "87.3 %" of 0.873; "–" for NaN.
std::string percent(double fraction);

/// A number that matters, with what it is and perhaps a remark.
struct Tile {
  std::string value, label, note{};
};
std::string html_tiles(const std::vector<Tile>& tiles);

/// Names and values in two columns.
std::string html_definitions(const std::vector<std::pair<std::string, std::string>>& entries);

/// A line of text that opens to show more; `inner` is HTML.
std::string html_details(std::string_view summary, std::string_view inner, bool open = false);

/// A page: one file, no outside resources, light and dark, narrow and wide, with a table of contents at the top.
class HtmlPage {
 public:
  /// Plain texts.
  explicit HtmlPage(std::string title, std::string subtitle = {});

  /// A section; `title` is plain text ("" for none, then it is not in the contents either), `html` its inside.
  HtmlPage& section(std::string_view title, std::string_view html);
  /// More rules and code than the blocks of this folder need.
  HtmlPage& style(std::string_view css);
  HtmlPage& script(std::string_view js);
  /// A plain text below everything.
  HtmlPage& footer(std::string_view text);

  std::string str() const;

 private:
  std::string title_, subtitle_, contents_, body_, style_, script_, footer_;
  int sections_ = 0;
};

}  // namespace ar::apps
