#include "apps/images/doubt_report.h"

#include <algorithm>
#include <cstdio>
#include <map>

#include "apps/report/html_page.h"

namespace ar::apps {
namespace {

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (const char c : text) out += c == '"' ? "\"\"" : std::string(1, c);
  return out + '"';
}

std::string number(double p) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", p);
  return text;
}

std::string figure(const DoubtReport& report, const LabelDoubt& doubt, size_t rank) {
  const std::string name = escape_html(report.path(doubt.sample)), picture = report.thumbnail(doubt.sample);
  std::string out = is_suspect(doubt, report.limits) ? "<figure class=\"suspect\"" : "<figure";
  out += " title=\"" + name + "\">";
  if (picture.empty())
    out += "<div class=\"none\"></div>";
  else
    out += "<img alt=\"" + name + "\" loading=\"lazy\" src=\"" + data_uri("image/jpeg", picture) + "\">";
  out += "<figcaption>" + std::to_string(rank + 1) + ". ";
  const std::string share = " <span class=\"share\">" + percent(doubt.suggested_probability) + "</span>";
  if (doubt.suggested == doubt.label)
    out += "believed" + share;
  else
    out += "rather <b>" + escape_html(report.classes[size_t(doubt.suggested)]) + "</b>" + share +
           "<br>its label: " + percent(doubt.own);
  return out + "<small>" + name + "</small></figcaption></figure>\n";
}

}  // namespace

std::string doubts_csv(const DoubtReport& report) {
  std::string text = "rank,path,label,probability,suggested,suggested_probability\n";
  for (size_t i = 0; i < report.doubts.size(); ++i) {
    const LabelDoubt& d = report.doubts[i];
    text += std::to_string(i + 1) + ',' + csv_field(report.path(d.sample)) + ',' +
            csv_field(report.classes[size_t(d.label)]) + ',' + number(d.own) + ',' +
            csv_field(report.classes[size_t(d.suggested)]) + ',' + number(d.suggested_probability) + '\n';
  }
  return text;
}

std::string contact_sheet(const DoubtReport& report) {
  const auto count = [&](const auto& is) { return std::count_if(report.doubts.begin(), report.doubts.end(), is); };
  const auto disbelieved = count([](const LabelDoubt& d) { return d.suggested != d.label; });
  const auto suspects = count([&](const LabelDoubt& d) { return is_suspect(d, report.limits); });
  HtmlPage page("Doubtful labels", report.data_dir);
  page.style(".pictures .suspect img, .pictures .suspect .none { outline: 3px solid var(--c4); outline-offset: 2px; }");
  page.section(
      "", html_tiles({{grouped(int64_t(report.doubts.size())), "images judged"},
                      {grouped(disbelieved), "where another class is more probable"},
                      {grouped(suspects), "suspects: label below " + percent(report.limits.own_below) +
                                              ", another class above " + percent(report.limits.suggested_above)}}) +
              "<p class=\"hint\">" + escape_html(report.method) +
              " Suspects have a frame. A doubted label need not be wrong: look before you remove.</p>\n");
  std::map<int64_t, std::pair<std::string, int64_t>> sections;  // by label: figures, how many
  const size_t shown = std::min(report.doubts.size(), size_t(std::max<int64_t>(report.show, 0)));
  for (size_t i = 0; i < shown; ++i) {
    auto& [html, pictures] = sections[report.doubts[i].label];
    html += figure(report, report.doubts[i], i);
    ++pictures;
  }
  for (const auto& [label, section] : sections)
    page.section(report.classes[size_t(label)] + " (" + std::to_string(section.second) + ")",
                 "<div class=\"pictures\">\n" + section.first + "</div>\n");
  if (shown < report.doubts.size())
    page.footer("The " + std::to_string(shown) + " most doubted of " + std::to_string(report.doubts.size()) +
                " images.");
  return page.str();
}

}  // namespace ar::apps
