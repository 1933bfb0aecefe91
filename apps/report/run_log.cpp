#include "apps/report/run_log.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "io/event_file.h"
#include "io/jsonl.h"
#include "tensor/error.h"

namespace ar::apps {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr const char* kMetricsFile = "metrics.jsonl";

double seconds_since_1970() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::round(std::chrono::duration<double>(now).count() * 1000) / 1000;
}

std::string shown(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

io::HParam hparam(const Json& value) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number()) return value.get<double>();
  return shown(value);
}

/// A Markdown table; a bar in a cell would end it.
std::string markdown_table(const Json& options) {
  std::string table = "| option | value |\n|---|---|\n";
  for (const auto& [name, value] : options.items()) {
    table.append("| ").append(name).append(" | ");
    for (const char c : shown(value)) table.append(c == '|' ? "\\|" : std::string(1, c));
    table.append(" |\n");
  }
  return table;
}

std::string tag_of(std::string_view split, std::string_view name) {
  return std::string(split).append("/").append(name);
}

/// Values that metrics.jsonl could not say are null there.
double number_or_nan(const Json& value) {
  return value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN();
}

}  // namespace

struct RunLog::State {
  RunLogOptions options;
  std::optional<io::JsonLines> lines;
  std::map<std::string, std::unique_ptr<io::EventFile>> event_files;  // by sub-folder; "" is the run's own
  std::set<std::pair<std::string, std::string>> judged_by;  // split and name of the metrics given to options()
  Curves curves;

  bool enabled() const { return !options.folder.empty(); }

  io::EventFile& events(const std::string& split) {
    auto found = event_files.find(split);
    if (found == event_files.end())  // only what could be opened is kept
      found =
          event_files.emplace(split, std::make_unique<io::EventFile>(options.folder / split, options.resume_step + 1))
              .first;
    return *found->second;
  }

  void open() {
    const fs::path path = options.folder / kMetricsFile;
    std::error_code error;
    if (options.resume_step < 0) {
      if (fs::exists(path, error)) {
        fs::rename(path, options.folder / "metrics.previous.jsonl", error);
        AR_CHECK(!error, path.string(), ": cannot be moved away for a new run: ", error.message());
      }
    } else if (fs::exists(path, error)) {
      io::filter_json_lines(path, [&](const Json& line) {
        const auto step = line.find("step");
        return step != line.end() && step->is_number_integer() && step->get<int64_t>() <= options.resume_step;
      });
      for (const Json& line : io::read_json_lines(path)) remember(line);
    }
    lines.emplace(path);
    events("");  // an error at the start rather than at the end of the first epoch
  }

  void remember(const Json& line) {
    const std::string split = line.value("split", "");
    const int64_t step = line.value("step", int64_t{0});
    const double epoch = number_or_nan(line.value("epoch", Json()));
    for (const auto& [name, value] : line.items()) {
      if (name == "time" || name == "step" || name == "epoch" || name == "split") continue;
      curves[split][name].push_back({step, epoch, number_or_nan(value)});
    }
  }
};

RunLog::RunLog(RunLogOptions options) : state_(std::make_unique<State>()) {
  state_->options = std::move(options);
  if (enabled()) state_->open();
}

RunLog::~RunLog() = default;

bool RunLog::enabled() const { return state_->enabled(); }

const fs::path& RunLog::folder() const { return state_->options.folder; }

void RunLog::options(const Json& options, const std::vector<std::pair<std::string, std::string>>& metrics) {
  if (!enabled()) return;
  std::vector<std::pair<std::string, io::HParam>> values;
  for (const auto& [name, value] : options.items()) values.emplace_back(name, hparam(value));
  std::vector<io::HParamMetric> shown_metrics;
  for (const auto& [split, name] : metrics) shown_metrics.push_back({"", tag_of(split, name), split + " " + name});
  state_->judged_by = {metrics.begin(), metrics.end()};
  io::EventFile& file = state_->events("");
  file.hparams(values, shown_metrics);
  // A resumed run has a card of its own: another of the same step would stand beside the first run's.
  if (const int64_t step = state_->options.resume_step; step != 0)
    file.text("options", std::max<int64_t>(step, 0), markdown_table(options));
}

void RunLog::scalars(std::string_view split, int64_t step, double epoch,
                     const std::vector<std::pair<std::string, double>>& values) {
  Json line = {{"time", seconds_since_1970()}, {"step", step}, {"epoch", epoch}, {"split", split}};
  for (const auto& [name, value] : values) line[name] = value;
  state_->remember(line);
  if (!enabled()) return;
  state_->lines->write(line);
  io::EventFile& file = state_->events(std::string(split));
  for (const auto& [name, value] : values) {
    file.scalar(name, step, value);
    // The HPARAMS tab finds metrics of sub-folders only when the run is itself a sub-folder of what is looked at.
    if (state_->judged_by.contains({std::string(split), name}))
      state_->events("").scalar(tag_of(split, name), step, value);
  }
}

void RunLog::image(std::string_view tag, int64_t step, std::string_view file) {
  if (enabled()) state_->events("").image(tag, step, file);
}

void RunLog::text(std::string_view tag, int64_t step, std::string_view markdown) {
  if (enabled()) state_->events("").text(tag, step, markdown);
}

void RunLog::flush() {
  for (const auto& [split, file] : state_->event_files) file->flush();
}

void RunLog::finish(bool success) {
  if (enabled()) state_->events("").session_end(success);
  flush();
}

const Curves& RunLog::curves() const { return state_->curves; }

}  // namespace ar::apps
