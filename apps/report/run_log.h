// The log folder of a run: TensorBoard's event files, metrics.jsonl, and report.html beside them.
#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ar::apps {

/// One value of a curve.
struct CurvePoint {
  int64_t step = 0;
  double epoch = 0, value = 0;
};
/// By split ("train", "validation", "steps"), then by name ("loss", "top1").
using Curves = std::map<std::string, std::map<std::string, std::vector<CurvePoint>>>;

struct RunLogOptions {
  /// Where everything goes; empty: all calls below do nothing (but curves are collected).
  std::filesystem::path folder{};
  /// The last step that a resumed run had done: what the folder holds for later steps is dropped, and curves go on
  /// from there. -1: a new run; metrics.jsonl of an earlier run in the same folder becomes metrics.previous.jsonl.
  int64_t resume_step = -1;
};

/// Writes the log of one run. Throws Error "PATH: ..." if the folder cannot be written. Not for several threads.
class RunLog {
 public:
  explicit RunLog(RunLogOptions options);
  ~RunLog();
  RunLog(const RunLog&) = delete;
  RunLog& operator=(const RunLog&) = delete;

  bool enabled() const;
  const std::filesystem::path& folder() const;

  /// The options of the run (a flat JSON object) and the metrics that its end is judged by, as pairs of split and name,
  /// for TensorBoard's HPARAMS and TEXT tabs. Once, before the first scalars.
  void options(const nlohmann::json& options, const std::vector<std::pair<std::string, std::string>>& metrics);

  /// Values at a step. `split` is a run of its own in TensorBoard, so that "loss" of "train" and of "validation" share
  /// a chart: use "train" and "validation" once an epoch and "steps" for what is logged in between. `epoch` may be a
  /// fraction. One line of metrics.jsonl: {"time", "step", "epoch", "split", name: value...}.
  void scalars(std::string_view split, int64_t step, double epoch,
               const std::vector<std::pair<std::string, double>>& values);
  /// The bytes of a PNG file (or GIF, for clips).
  void image(std::string_view tag, int64_t step, std::string_view file);
  /// Markdown.
  void text(std::string_view tag, int64_t step, std::string_view markdown);

  /// Brings everything to the files; at the end of an epoch.
  void flush();
  /// The run is over (for the HPARAMS tab), and flush().
  void finish(bool success);

  /// All that was logged, by this run and by those it continues.
  const Curves& curves() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ar::apps
