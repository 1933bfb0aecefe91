#include "apps/report/html_matrix.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <numeric>

#include "apps/report/html_page.h"
#include "apps/report/html_table.h"
#include "apps/report/text.h"

namespace ar::apps {
namespace {

constexpr size_t kMostWithNumbers = 24;

using Counts = std::vector<std::vector<int64_t>>;

int64_t sum(const std::vector<int64_t>& row) { return std::accumulate(row.begin(), row.end(), int64_t{0}); }

double share(int64_t part, int64_t whole) { return whole > 0 ? double(part) / double(whole) : 0; }

/// A cell's strength of colour: the root shows single mistakes.
double strength(double share_of_row) { return std::sqrt(share_of_row); }

std::string with_numbers(const std::vector<std::string>& classes, const Counts& counts) {
  std::string out = "<div class=\"scroll\" tabindex=\"0\">\n<table class=\"matrix\">\n<thead><tr><td></td>";
  for (const std::string& name : classes) out += "<th scope=\"col\"><span>" + escape_html(name) + "</span></th>";
  out += "</tr></thead>\n<tbody>\n";
  for (size_t t = 0; t < classes.size(); ++t) {
    const int64_t all = sum(counts[t]);
    out += "<tr><th scope=\"row\">" + escape_html(classes[t]) + "</th>";
    for (size_t p = 0; p < classes.size(); ++p) {
      const double part = share(counts[t][p], all);
      char style[64];
      std::snprintf(style, sizeof(style), "<td class=\"%s%s\" style=\"--v:%.3f\" title=\"", t == p ? "right" : "wrong",
                    strength(part) > (t == p ? 0.6 : 0.8) ? " strong" : "", strength(part));
      out += style + escape_html(classes[t]) + " taken for " + escape_html(classes[p]) + ": " +
             std::to_string(counts[t][p]) + " of " + std::to_string(all) + " (" + percent(part) + ")\">" +
             (counts[t][p] > 0 ? std::to_string(counts[t][p]) : "") + "</td>";
    }
    out += "</tr>\n";
  }
  return out + "</tbody>\n</table>\n</div>\n";
}

std::string as_picture(const std::vector<std::string>& classes, const Counts& counts) {
  nlohmann::json names = nlohmann::json::array(), totals = nlohmann::json::array(), cells = nlohmann::json::array();
  for (size_t t = 0; t < classes.size(); ++t) {
    names.push_back(printable(classes[t]));
    totals.push_back(sum(counts[t]));
    for (size_t p = 0; p < classes.size(); ++p) {
      if (counts[t][p] > 0) cells.push_back({t, p, counts[t][p]});
    }
  }
  const nlohmann::json data = {{"names", names}, {"totals", totals}, {"cells", cells}};
  std::string out = "<figure class=\"heat-map\">\n<output>&nbsp;</output>\n<div class=\"scroll\">\n";
  out += "<canvas tabindex=\"0\" role=\"img\" aria-label=\"Confusion matrix of " + std::to_string(classes.size()) +
         " classes; the arrow keys move a cursor\"></canvas>\n</div>\n";
  out += "<script type=\"application/json\">" + escape_json_for_script(data.dump()) + "</script>\n</figure>\n";
  return out;
}

}  // namespace

std::string html_matrix(const std::vector<std::string>& classes, const Counts& confusion) {
  std::string out =
      "<p class=\"hint\">Rows are the true classes, columns what they were taken for; the colour is the share of "
      "the row.</p>\n";
  return out + (classes.size() <= kMostWithNumbers ? with_numbers(classes, confusion) : as_picture(classes, confusion));
}

std::string html_confused_pairs(const std::vector<std::string>& classes, const Counts& confusion, size_t most) {
  struct Pair {
    size_t truth, predicted;
    int64_t count, all;
  };
  std::vector<Pair> pairs;
  for (size_t t = 0; t < classes.size(); ++t) {
    const int64_t all = sum(confusion[t]);
    for (size_t p = 0; p < classes.size(); ++p) {
      if (t != p && confusion[t][p] > 0) pairs.push_back({t, p, confusion[t][p], all});
    }
  }
  if (pairs.empty()) return "";
  std::stable_sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.count > b.count; });
  Table table{.columns = {{"true class"}, {"taken for"}, {"times", true}, {"of its samples", true}},
              .caption = "Confused most often",
              .sorted_by = 2,
              .ascending = false};
  for (size_t i = 0; i < std::min(most, pairs.size()); ++i) {
    const Pair& pair = pairs[i];
    const double part = share(pair.count, pair.all);
    table.rows.push_back({{classes[pair.truth]},
                          {classes[pair.predicted]},
                          {std::to_string(pair.count)},
                          {.text = percent(part), .sort = part, .bar = part}});
  }
  return html_table(table);
}

}  // namespace ar::apps
