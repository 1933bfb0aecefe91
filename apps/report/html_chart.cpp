#include "apps/report/html_chart.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <iterator>
#include <nlohmann/json.hpp>

#include "apps/report/html_page.h"
#include "apps/report/text.h"

namespace ar::apps {
namespace {

constexpr size_t kMostPoints = 500;  // of one series
constexpr double kPlotSize = 1000;   // the SVG's own units, stretched to the figure

using Points = std::vector<std::pair<double, double>>;

std::string number(double value, int digits = 5) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.*g", digits, value);
  return text;
}

/// Long series keep the smallest and the largest value of each of so many stretches: peaks stay visible.
Points thinned(const Points& points) {
  if (points.size() <= kMostPoints) return points;
  const size_t stretches = kMostPoints / 2;
  Points kept;
  for (size_t s = 0; s < stretches; ++s) {
    const auto begin = points.begin() + ptrdiff_t(s * points.size() / stretches);
    const auto end = points.begin() + ptrdiff_t((s + 1) * points.size() / stretches);
    const auto lower = [](const auto& a, const auto& b) { return a.second < b.second || std::isnan(b.second); };
    auto [low, high] = std::minmax_element(begin, end, lower);
    if (low > high) std::swap(low, high);
    kept.push_back(*low);
    if (low != high) kept.push_back(*high);
  }
  return kept;
}

struct Range {
  double low = INFINITY, high = -INFINITY;
  void add(double v) {
    if (!std::isfinite(v)) return;
    low = std::min(low, v);
    high = std::max(high, v);
  }
  bool empty() const { return !(low <= high); }
  /// 0 to 1 inside the range.
  double place(double v) const { return high > low ? (v - low) / (high - low) : 0.5; }
};

struct Plot {
  const LineChart& chart;
  std::vector<ChartSeries> series;  // thinned, none empty
  Range x, y;

  explicit Plot(const LineChart& c) : chart(c) {
    for (const ChartSeries& s : c.series) {
      ChartSeries kept = s;
      kept.points = thinned(s.points);
      Range own;
      for (const auto& [px, py] : kept.points) own.add(py);
      if (own.empty()) continue;
      y.add(own.low);
      y.add(own.high);
      for (const auto& point : kept.points) x.add(point.first);
      series.push_back(std::move(kept));
    }
    if (series.empty()) return;
    for (const ChartBand& band : c.bands) {
      x.add(band.from);
      x.add(band.to);
    }
    // A little air, but not below zero where no value is.
    const double air = y.high > y.low ? 0.05 * (y.high - y.low) : std::max(std::fabs(y.high) * 0.1, 1e-9);
    const double floor = y.low >= 0 ? 0 : -INFINITY;
    y.low = c.y_min.value_or(std::max(floor, y.low - air));
    y.high = c.y_max.value_or(c.percent && y.high <= 1 ? std::min(1.0, y.high + air) : y.high + air);
  }

  std::string x_text(double v) const { return chart.clock ? format_duration(v) : number(v, 6); }
  std::string y_text(double v) const { return chart.percent ? number(v * 100, 4) + " %" : number(v, 4); }
  static std::string of_plot(double share) { return number(share * 100, 5) + "%"; }

  /// A point in the SVG's units.
  std::string place(double px, double py) const {
    return number(x.place(px) * kPlotSize).append(" ").append(number((1 - y.place(py)) * kPlotSize));
  }

  std::string path(const ChartSeries& s) const {
    std::string d;
    bool pen_down = false;
    for (size_t i = 0; i < s.points.size(); ++i) {
      const auto& [px, py] = s.points[i];
      if (!std::isfinite(py)) {
        pen_down = false;
        continue;
      }
      d += pen_down ? "L" : "M";
      d += place(px, py);
      const bool alone = !pen_down && (i + 1 == s.points.size() || !std::isfinite(s.points[i + 1].second));
      if (alone) d += "h0";  // drawn as a dot by its round ends
      pen_down = true;
    }
    return d;
  }

  /// A dot on each point, where there is room for them.
  std::string dots(const ChartSeries& s) const {
    if (s.points.size() > 40) return "";
    std::string d;
    for (const auto& [px, py] : s.points) {
      if (!std::isfinite(py)) continue;
      d.append("M").append(place(px, py)).append("h0");
    }
    return d;
  }
};

const char* class_of(ChartSeries::Look look) {
  switch (look) {
    case ChartSeries::Look::dashed:
      return " dashed";
    case ChartSeries::Look::faint:
      return " faint";
    default:
      return "";
  }
}

std::string colour(int index) { return std::string("c").append(std::to_string(std::clamp(index, 0, 5))); }

/// What the script needs to show values: places as shares of the plot beside the texts to show.
std::string data_for_script(const Plot& plot) {
  nlohmann::json all = nlohmann::json::array();
  for (const ChartSeries& s : plot.series) {
    nlohmann::json points = nlohmann::json::array();
    for (const auto& [px, py] : s.points) {
      if (!std::isfinite(py)) continue;
      const auto place = [](double share) { return std::round(share * 1e4) / 1e4; };
      points.push_back({place(plot.x.place(px)), place(1 - plot.y.place(py)), plot.x_text(px), plot.y_text(py)});
    }
    all.push_back({{"name", printable(s.name)}, {"colour", colour(s.colour)}, {"points", points}});
  }
  nlohmann::json bands = nlohmann::json::array();
  for (const ChartBand& band : plot.chart.bands) {
    bands.push_back({plot.x.place(band.from), plot.x.place(band.to), printable(band.label)});
  }
  const nlohmann::json data = {{"x", printable(plot.chart.x_label)}, {"series", all}, {"bands", bands}};
  return escape_json_for_script(data.dump());
}

}  // namespace

std::vector<double> nice_ticks(double low, double high, int wanted, bool clock) {
  std::vector<double> ticks;
  if (!(high > low) || !std::isfinite(high - low) || wanted < 1) return ticks;
  const double rough = (high - low) / wanted;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = power * (rough / power < 1.5 ? 1 : rough / power < 3.5 ? 2 : rough / power < 7.5 ? 5 : 10);
  if (clock) {
    constexpr double round_times[] = {1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200};
    const auto* at = std::lower_bound(std::begin(round_times), std::end(round_times), rough);
    step = at != std::end(round_times) ? *at : 7200 * std::ceil(rough / 7200);
  }
  const double first = std::ceil(low / step - 1e-9), last = std::floor(high / step + 1e-9);
  for (double i = first; i <= last; ++i) ticks.push_back(i * step + 0.0);
  return ticks;
}

std::string html_chart(const LineChart& chart) {
  const Plot plot(chart);
  if (plot.series.empty()) return "";
  std::string lines, labels;
  for (const double tick : nice_ticks(plot.y.low, plot.y.high, std::max(2, chart.height / 50))) {
    const double from_top = 1 - plot.y.place(tick);
    lines += "M0 " + number(from_top * kPlotSize) + "H1000";
    labels += "<span class=\"y\" style=\"top:" + Plot::of_plot(from_top) + "\">" + plot.y_text(tick) + "</span>";
  }
  std::vector<double> x_ticks = nice_ticks(plot.x.low, plot.x.high, 8, chart.clock);
  if (x_ticks.empty()) x_ticks = {plot.x.low};
  for (const double tick : x_ticks) {
    labels +=
        "<span class=\"x\" style=\"left:" + Plot::of_plot(plot.x.place(tick)) + "\">" + plot.x_text(tick) + "</span>";
  }
  std::string drawn;
  for (const ChartBand& band : chart.bands) {
    const double left = plot.x.place(band.from) * kPlotSize, right = plot.x.place(band.to) * kPlotSize;
    drawn += "<rect class=\"band " + colour(band.colour) + "\" x=\"" + number(left) + "\" y=\"0\" width=\"" +
             number(right - left) + "\" height=\"1000\"/>";
  }
  drawn += "<path class=\"grid\" d=\"" + lines + "\"/>\n";
  std::string legend;
  for (const ChartSeries& s : plot.series) {
    const std::string style = colour(s.colour) + class_of(s.look);
    const char* length = s.points.size() > 200 ? " long" : "";
    drawn += "<path class=\"line " + style + length + "\" d=\"" + plot.path(s) + "\"/>\n";
    if (const std::string dots = plot.dots(s); !dots.empty() && s.look != ChartSeries::Look::faint) {
      drawn += "<path class=\"dots " + style + "\" d=\"" + dots + "\"/>\n";
    }
    legend += "<span><i class=\"" + style + "\"></i>" + escape_html(s.name) + "</span>";
  }
  const std::string title = escape_html(chart.title);
  std::string out = "<figure class=\"chart\">\n";
  out += "<figcaption>" + (title.empty() ? "" : "<b>" + title + "</b>") + "<span class=\"legend\">" + legend +
         "</span></figcaption>\n";
  out += "<div class=\"plot\" tabindex=\"0\" role=\"img\" aria-label=\"" + title + " by " + escape_html(chart.x_label) +
         "\" style=\"height:" + std::to_string(chart.height) + "px\">\n";
  out += "<svg viewBox=\"0 0 1000 1000\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\n" + drawn + "</svg>\n";
  out += labels + "\n</div>\n<div class=\"x-label\">" + escape_html(chart.x_label) + "</div>\n";
  out += "<script type=\"application/json\">" + data_for_script(plot) + "</script>\n</figure>\n";
  return out;
}

}  // namespace ar::apps
