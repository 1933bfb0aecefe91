#include "apps/report/html_report.h"

#include <algorithm>
#include <map>
#include <set>

#include "apps/report/html_chart.h"
#include "apps/report/html_matrix.h"
#include "apps/report/html_table.h"
#include "apps/report/text.h"
#include "io/atomic_file.h"

namespace ar::apps {
namespace {

constexpr size_t kMostDetails = 500;

using Look = ChartSeries::Look;

/// The points of a curve by epoch; nothing if it was not logged.
ChartSeries series(const Curves& curves, const std::string& split, const std::string& name, std::string shown,
                   int colour, Look look = Look::line) {
  ChartSeries out{std::move(shown), {}, colour, look};
  const auto of_split = curves.find(split);
  if (of_split == curves.end()) return out;
  const auto of_name = of_split->second.find(name);
  if (of_name == of_split->second.end()) return out;
  for (const CurvePoint& point : of_name->second) out.points.emplace_back(point.epoch, point.value);
  return out;
}

/// A chart for a name that is logged, without its curves.
LineChart chart_of(const std::string& name) {
  static const std::map<std::string, std::string> titles = {{"lr", "Learning rate"},
                                                            {"lr_head", "Learning rate of the head"},
                                                            {"rate", "Samples per second"},
                                                            {"data_wait", "Waiting for data"}};
  const auto known = titles.find(name);
  std::string title = known != titles.end() ? known->second : name;
  std::replace(title.begin(), title.end(), '_', ' ');
  return {.title = title, .x_label = "epoch", .percent = name == "data_wait", .height = 160};
}

std::vector<Tile> tiles_of(const ClassificationMetrics& metrics) {
  std::vector<Tile> tiles = {{percent(metrics.top(1)), "top-1 accuracy"}};
  const auto n_classes = metrics.classes().size();
  if (n_classes > 3) tiles.push_back({percent(metrics.top(3)), "top-3"});
  if (n_classes > 5) tiles.push_back({percent(metrics.top(5)), "top-5"});
  tiles.push_back({format_number(metrics.loss()), "loss"});
  tiles.push_back({percent(metrics.macro_average().f1), "F1, mean of the classes"});
  const std::string invalid =
      metrics.invalid() > 0 ? "the outputs of " + grouped(metrics.invalid()) + " are not numbers" : "";
  tiles.push_back({grouped(metrics.count()), "samples of " + grouped(int64_t(n_classes)) + " classes", invalid});
  return tiles;
}

std::string mime_type(const std::string& picture) {
  return picture.rfind("\x89PNG", 0) == 0 ? "image/png" : picture.rfind("GIF8", 0) == 0 ? "image/gif" : "image/jpeg";
}

std::string mistakes_html(const Report& report) {
  const ClassificationMetrics& metrics = *report.metrics;
  std::string out;
  for (const Mistake& mistake : metrics.worst_mistakes()) {
    const std::string name = report.sample_name ? report.sample_name(mistake.index) : "";
    const std::string picture = report.thumbnail ? report.thumbnail(mistake.index) : "";
    out += "<figure title=\"" + escape_html(name) + "\">";
    if (picture.empty()) {
      if (report.thumbnail) out += "<div class=\"none\"></div>";
    } else {
      out += "<img alt=\"" + escape_html(name) + "\" loading=\"lazy\" src=\"" + data_uri(mime_type(picture), picture) +
             "\">";
    }
    out += "<figcaption><b>" + escape_html(metrics.classes()[size_t(mistake.predicted)]) +
           "</b> <span class=\"share\">" + percent(mistake.probability) + "</span><br>is " +
           escape_html(metrics.classes()[size_t(mistake.truth)]);
    if (!name.empty()) out += "<small>" + escape_html(name) + "</small>";
    out += "</figcaption></figure>\n";
  }
  if (out.empty()) return "";
  return "<p class=\"hint\">Wrong answers, the most confident first.</p>\n<div class=\"pictures\">\n" + out +
         "</div>\n";
}

std::string facts_html(const std::vector<DataFact>& facts) {
  std::string out;
  for (const DataFact& fact : facts) {
    if (fact.details.empty()) {
      out += "<p>" + escape_html(fact.text) + "</p>\n";
      continue;
    }
    std::string list = "<ul class=\"files\">\n";
    for (size_t i = 0; i < std::min(kMostDetails, fact.details.size()); ++i) {
      list += "<li>" + escape_html(fact.details[i]) + "</li>\n";
    }
    list += "</ul>\n";
    if (fact.details.size() > kMostDetails) {
      list += "<p>and " + grouped(int64_t(fact.details.size() - kMostDetails)) + " more</p>\n";
    }
    out += html_details(fact.text, list);
  }
  return out;
}

}  // namespace

std::string html_curves(const Curves& curves) {
  LineChart loss{.title = "Loss", .x_label = "epoch"};
  loss.series = {series(curves, "steps", "loss", "each step", 5, Look::faint),
                 series(curves, "train", "loss", "train", 0), series(curves, "validation", "loss", "validation", 1)};
  LineChart accuracy{.title = "Accuracy", .x_label = "epoch", .percent = true};
  accuracy.series = {series(curves, "train", "top1", "train top-1", 0),
                     series(curves, "validation", "top1", "validation top-1", 1),
                     series(curves, "validation", "top3", "validation top-3", 2, Look::dashed),
                     series(curves, "validation", "top5", "validation top-5", 3, Look::dashed)};
  std::string out = html_chart(loss) + html_chart(accuracy);
  // Everything else, a chart for each name.
  std::set<std::string> names;
  for (const auto& [split, by_name] : curves) {
    for (const auto& [name, points] : by_name) names.insert(name);
  }
  for (const char* shown : {"loss", "top1", "top3", "top5"}) names.erase(shown);
  // A head that learns at the rate of all else needs no chart.
  if (series(curves, "steps", "lr", "", 0).points == series(curves, "steps", "lr_head", "", 0).points)
    names.erase("lr_head");
  for (const std::string& name : names) {
    LineChart chart = chart_of(name);
    chart.series = {series(curves, "steps", name, "each step", 3), series(curves, "train", name, "train", 0),
                    series(curves, "validation", name, "validation", 1)};
    if (!chart.series[0].points.empty()) chart.series[1].points.clear();  // it says no more than the steps do
    const bool drawn =
        std::any_of(chart.series.begin(), chart.series.end(), [](const ChartSeries& s) { return s.points.size() > 1; });
    if (!drawn) continue;  // one point is no curve
    out += html_chart(chart);
  }
  return out.empty() ? "" : "<div class=\"charts\">\n" + out + "</div>\n";
}

std::string html_class_table(const ClassificationMetrics& metrics) {
  const std::vector<std::string>& classes = metrics.classes();
  const std::vector<ClassScore> scores = metrics.per_class();
  std::vector<size_t> order(classes.size());
  for (size_t c = 0; c < order.size(); ++c) order[c] = c;
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a].f1 < scores[b].f1; });
  Table table{.columns = {{"class"},
                          {"samples", true},
                          {"precision", true, "how often it is right when it says this class"},
                          {"recall", true, "how many of this class it finds"},
                          {"F1", true, "the harmonic mean of precision and recall"},
                          {"mostly mistaken for", false}},
              .filter = classes.size() > 30,
              .sorted_by = 4};
  const auto share = [](double value) { return TableCell{.text = percent(value), .sort = value, .bar = value}; };
  for (const size_t c : order) {
    std::vector<int64_t> wrong = metrics.confusion()[c];
    wrong[c] = 0;
    const auto most = std::max_element(wrong.begin(), wrong.end());
    const std::string mistaken =
        *most > 0 ? classes[size_t(most - wrong.begin())] + " (" + std::to_string(*most) + ")" : "";
    table.rows.push_back({{classes[c]},
                          {grouped(scores[c].support), double(scores[c].support)},
                          share(scores[c].precision),
                          share(scores[c].recall),
                          share(scores[c].f1),
                          {mistaken}});
  }
  return html_table(table);
}

std::string html_report(const Report& report) {
  HtmlPage page(report.title, report.subtitle);
  std::vector<Tile> tiles = report.tiles;
  const ClassificationMetrics* metrics = report.metrics;
  if (metrics) {
    for (Tile& tile : tiles_of(*metrics)) tiles.push_back(std::move(tile));
  }
  if (!tiles.empty()) page.section("", html_tiles(tiles));
  for (const auto& [title, html] : report.sections) page.section(title, html);
  if (const std::string curves = html_curves(report.curves); !curves.empty()) page.section("Curves", curves);
  if (metrics) {
    page.section("Classes", html_class_table(*metrics));
    page.section("Confusion matrix", html_matrix(metrics->classes(), metrics->confusion()) +
                                         html_confused_pairs(metrics->classes(), metrics->confusion()));
    if (const std::string mistakes = mistakes_html(report); !mistakes.empty()) {
      page.section("Worst mistakes", mistakes);
    }
  }
  if (!report.facts.empty()) page.section("Data", facts_html(report.facts));
  if (!report.options.empty()) page.section("Options", html_definitions(report.options));
  if (!report.footer.empty()) page.footer(report.footer);
  return page.str();
}

void write_html_report(const std::filesystem::path& path, const Report& report) {
  io::write_file_atomically(path.string(), html_report(report));
}

}  // namespace ar::apps
