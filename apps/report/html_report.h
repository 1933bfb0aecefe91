// The report of a training run or an evaluation: one HTML file that can be shown to others.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "apps/report/html_page.h"
#include "apps/report/metrics.h"
#include "apps/report/run_log.h"

namespace ar::apps {

/// Something to know about the data: "12 files could not be read", and which.
struct DataFact {
  std::string text;
  std::vector<std::string> details{};  // at most 500 are shown
};

/// All parts may be left empty; plain texts everywhere but in `sections`.
struct Report {
  std::string title{}, subtitle{};
  std::vector<Tile> tiles{};  // shown before those of the metrics
  std::vector<std::pair<std::string, std::string>> options{};
  Curves curves{};
  const ClassificationMetrics* metrics = nullptr;
  /// The picture of sample `index` (what metrics->add was told) as a JPEG or PNG file of modest size, "" for none; and
  /// its name. Called for the worst mistakes only.
  std::function<std::string(int64_t index)> thumbnail{};
  std::function<std::string(int64_t index)> sample_name{};
  std::vector<DataFact> facts{};
  /// Further sections, title and HTML, after the summary.
  std::vector<std::pair<std::string, std::string>> sections{};
  std::string footer{};
};

std::string html_report(const Report& report);
/// The same as a file, which appears complete or not at all. Throws Error "PATH: ...".
void write_html_report(const std::filesystem::path& path, const Report& report);

/// The charts of a run: loss, accuracy, learning rate, and whatever else was logged once a step.
std::string html_curves(const Curves& curves);
/// Precision, recall and F1 of each class, the weakest first.
std::string html_class_table(const ClassificationMetrics& metrics);

}  // namespace ar::apps
