#include "apps/report/html_page.h"

#include <cmath>
#include <cstdint>
#include <cstdio>

#include "apps/report/assets.h"
#include "apps/report/text.h"

namespace ar::apps {
namespace {

std::string base64(std::string_view bytes) {
  static constexpr char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    const size_t n = std::min<size_t>(3, bytes.size() - i);
    uint32_t three = 0;
    for (size_t j = 0; j < 3; ++j) three = three << 8 | (j < n ? uint8_t(bytes[i + j]) : 0U);
    for (size_t j = 0; j < 4; ++j) out += j <= n ? digits[three >> (18 - 6 * j) & 63] : '=';
  }
  return out;
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string escape_json_for_script(std::string json) {
  for (size_t at = 0; (at = json.find('<', at)) != std::string::npos; at += 6) json.replace(at, 1, "\\u003c");
  return json;
}

std::string data_uri(std::string_view mime_type, std::string_view bytes) {
  return std::string("data:").append(mime_type).append(";base64,").append(base64(bytes));
}

std::string grouped(int64_t value) {
  std::string digits = std::to_string(value);
  const size_t first = value < 0 ? 1 : 0;
  for (size_t at = digits.size(); at > first + 3; at -= 3) digits.insert(at - 3, "\u2009");
  return digits;
}

std::string percent(double fraction) {
  if (!std::isfinite(fraction)) return "–";
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f %%", fraction * 100);
  return text;
}

std::string html_tiles(const std::vector<Tile>& tiles) {
  std::string out = "<div class=\"tiles\">\n";
  for (const Tile& tile : tiles) {
    out += "<div class=\"tile\"><b>" + escape_html(tile.value) + "</b><span>" + escape_html(tile.label) + "</span>";
    if (!tile.note.empty()) out += "<small>" + escape_html(tile.note) + "</small>";
    out += "</div>\n";
  }
  return out + "</div>\n";
}

std::string html_definitions(const std::vector<std::pair<std::string, std::string>>& entries) {
  std::string out = "<dl class=\"definitions\">\n";
  for (const auto& [name, value] : entries) {
    out += "<div><dt>" + escape_html(name) + "</dt><dd>" + escape_html(value) + "</dd></div>\n";
  }
  return out + "</dl>\n";
}

std::string html_details(std::string_view summary, std::string_view inner, bool open) {
  std::string out = open ? "<details open>" : "<details>";
  out += "<summary>" + escape_html(summary) + "</summary>\n";
  return out.append(inner).append("</details>\n");
}

HtmlPage::HtmlPage(std::string title, std::string subtitle)
    : title_(std::move(title)), subtitle_(std::move(subtitle)) {}

HtmlPage& HtmlPage::section(std::string_view title, std::string_view html) {
  if (title.empty()) {
    body_.append("<section>\n").append(html).append("</section>\n");
    return *this;
  }
  const std::string id = "section-" + std::to_string(++sections_);
  const std::string name = escape_html(title);
  contents_ += "<a href=\"#" + id + "\">" + name + "</a>\n";
  body_ += "<section id=\"" + id + "\">\n<h2>" + name + "</h2>\n";
  body_.append(html).append("</section>\n");
  return *this;
}

HtmlPage& HtmlPage::style(std::string_view css) {
  style_ += css;
  return *this;
}

HtmlPage& HtmlPage::script(std::string_view js) {
  script_ += js;
  return *this;
}

HtmlPage& HtmlPage::footer(std::string_view text) {
  footer_ += "<p>" + escape_html(text) + "</p>\n";
  return *this;
}

std::string HtmlPage::str() const {
  std::string out =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n";
  out += "<title>" + escape_html(title_) + "</title>\n<style>\n";
  out.append(kReportCss).append(style_).append("</style>\n</head>\n<body>\n<header>\n");
  out += "<h1>" + escape_html(title_) + "</h1>\n";
  if (!subtitle_.empty()) out += "<p>" + escape_html(subtitle_) + "</p>\n";
  if (sections_ > 1) out += "<nav aria-label=\"Contents\">\n" + contents_ + "</nav>\n";
  out += "</header>\n<main>\n" + body_ + "</main>\n";
  if (!footer_.empty()) out += "<footer>\n" + footer_ + "</footer>\n";
  out += "<script>\n";
  return out.append(kReportJs).append(script_).append("</script>\n</body>\n</html>\n");
}

}  // namespace ar::apps
