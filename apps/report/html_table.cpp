#include "apps/report/html_table.h"

#include <algorithm>
#include <cstdio>

#include "apps/report/html_page.h"

namespace ar::apps {
namespace {

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.6g", value);
  return text;
}

std::string cell(const TableCell& c, bool is_number) {
  std::string out = is_number ? "<td class=\"number\"" : "<td";
  if (c.sort) out += " data-sort=\"" + number(*c.sort) + "\"";
  if (c.bar) out += " style=\"--bar:" + number(std::clamp(*c.bar, 0.0, 1.0) * 100) + "%\"";
  out += ">";
  std::string text = escape_html(c.text);
  if (!c.link.empty()) text = "<a href=\"" + escape_html(c.link) + "\">" + text + "</a>";
  if (c.bar) text = "<span class=\"bar\">" + text + "</span>";
  return out + text + "</td>";
}

}  // namespace

std::string html_table(const Table& table) {
  std::string out = "<div class=\"table\">\n";
  if (table.filter) {
    out +=
        "<input type=\"search\" class=\"filter\" placeholder=\"Filter\" aria-label=\"Show only rows that contain\">\n";
  }
  out += "<div class=\"scroll\" tabindex=\"0\">\n<table class=\"sortable\">\n";
  if (!table.caption.empty()) out += "<caption>" + escape_html(table.caption) + "</caption>\n";
  out += "<thead><tr>";
  for (size_t i = 0; i < table.columns.size(); ++i) {
    const TableColumn& column = table.columns[i];
    out += "<th scope=\"col\"";
    if (column.number) out += " class=\"number\"";
    if (int(i) == table.sorted_by) out += table.ascending ? " aria-sort=\"ascending\"" : " aria-sort=\"descending\"";
    if (!column.title.empty()) out += " title=\"" + escape_html(column.title) + "\"";
    out += "><button type=\"button\">" + escape_html(column.name) + "</button></th>";
  }
  out += "</tr></thead>\n<tbody>\n";
  for (const auto& row : table.rows) {
    out += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) out += cell(row[i], i < table.columns.size() && table.columns[i].number);
    out += "</tr>\n";
  }
  return out + "</tbody>\n</table>\n</div>\n</div>\n";
}

}  // namespace ar::apps
