// Line charts as inline SVG: curves of a training run, score timelines of a video.
#pragma once
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ar::apps {

struct ChartSeries {
  enum class Look { line, dashed, faint };
  std::string name;
  std::vector<std::pair<double, double>> points;  // (x, y), x ascending; a y that is not finite leaves a gap
  int colour = 0;                                 // 0 to 5: blue, orange, green, violet, red, grey
  Look look = Look::line;
};

/// A stretch of the x axis that is marked, with a text that shows on hovering.
struct ChartBand {
  double from = 0, to = 0;
  std::string label{};
  int colour = 2;
};

struct LineChart {
  std::string title{};
  std::string x_label{};              // "epoch"
  std::vector<ChartSeries> series{};  // those without a finite point are left out
  std::vector<ChartBand> bands{};
  std::optional<double> y_min{}, y_max{};  // by default what the values need
  bool percent = false;                    // y in percent; values from 0 to 1
  bool clock = false;                      // x in minutes and seconds
  int height = 240;                        // CSS pixels; the width is the page's
};

/// A <figure>: the plot, a legend, and the values under the pointer (or, with the arrow keys, at a moving cursor). Long
/// series are thinned to the extremes of some hundred stretches. "" if there is nothing to draw.
std::string html_chart(const LineChart& chart);

/// Round numbers that part [low, high] into about `wanted` steps, all inside; `clock`: seconds, parted at round times.
std::vector<double> nice_ticks(double low, double high, int wanted, bool clock = false);

}  // namespace ar::apps
