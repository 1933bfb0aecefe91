#include "apps/train/train_log.h"

#include <cmath>
#include <cstdarg>
#include <cstdio>

namespace ar::apps {
namespace {

constexpr int kTopK[] = {1, 3, 5};

[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...) {
  char text[256];
  va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text, sizeof text, pattern, arguments);
  va_end(arguments);
  return text;
}

/// RunningScores and ClassificationMetrics both have loss() and top().
template <class Scores>
std::vector<std::pair<std::string, double>> values_of(const Scores& scores) {
  std::vector<std::pair<std::string, double>> values{{"loss", scores.loss()}};
  for (int k : kTopK) values.emplace_back("top" + std::to_string(k), scores.top(k));
  return values;
}

template <class Scores>
std::string words_of(const Scores& scores) {
  return format("loss %.4f, top-1 %.1f %%, top-3 %.1f %%, top-5 %.1f %%", scores.loss(), 100 * scores.top(1),
                100 * scores.top(3), 100 * scores.top(5));
}

}  // namespace

TrainLog::TrainLog(RunLog& log, Sizes sizes, std::function<void(const EpochReport&)> on_epoch)
    : log_(log), sizes_(std::move(sizes)), on_epoch_(std::move(on_epoch)) {}

void TrainLog::epoch_begins(int64_t epoch, int64_t done) {
  epoch_ = epoch + 1;
  progress_.emplace(ProgressOptions{.label = format("epoch %d/%d", int(epoch_), int(sizes_.epochs)),
                                    .total = sizes_.training,
                                    .resumed = done,
                                    .unit = sizes_.unit});
}

void TrainLog::steps_repeat(const std::string& cannot) {
  log_line(cannot.empty() ? "steps are repeated as a CUDA graph (--no-cuda-graph does without)"
                          : "note: steps are not repeated as a CUDA graph: " + cannot);
}

void TrainLog::step_ends(const StepReport& r) {
  rate_ = progress_->rate();
  waiting_ = r.wait_seconds / std::max(progress_->elapsed(), 1e-9);
  progress_->set("loss", format("%.4f", r.scores.loss()));
  progress_->set("top-1", format("%.1f %%", 100 * r.scores.top(1)));
  progress_->set("wait", format("%.0f %%", 100 * waiting_));
  progress_->update(r.scores.count());
  const double epoch = double(r.epoch) + double(r.scores.count()) / double(std::max<int64_t>(sizes_.training, 1));
  std::vector<std::pair<std::string, double>> values{{"loss", r.loss}, {"lr", r.lr.front()}};
  if (r.lr.size() > 1) values.emplace_back("lr_head", r.lr.back());
  log([&] { log_.scalars("steps", r.step, epoch, values); });
}

void TrainLog::validation_begins() {
  progress_.emplace(ProgressOptions{.label = format("validation %d/%d", int(epoch_), int(sizes_.epochs)),
                                    .total = sizes_.validation,
                                    .unit = sizes_.unit});
}

void TrainLog::validation_step(int64_t samples) { progress_->advance(samples); }

void TrainLog::epoch_ends(const EpochReport& r) {
  std::string line = format("epoch %d/%d: training ", int(r.epoch), int(sizes_.epochs)) + words_of(r.training);
  if (r.validation) line += "; validation " + words_of(*r.validation);
  line +=
      format("; %.1f s, %.1f %s/s, waiting for data %.0f %%", r.seconds, rate_, sizes_.unit.c_str(), 100 * waiting_);
  if (r.best && r.validation) line += "; best so far";
  progress_->finish(line);
  progress_.reset();
  auto training = values_of(r.training);
  training.emplace_back("lr", r.lr.front());
  training.emplace_back("rate", rate_);
  training.emplace_back("data_wait", waiting_);
  log([&] {
    log_.scalars("train", r.step, double(r.epoch), training);
    if (r.validation) log_.scalars("validation", r.step, double(r.epoch), values_of(*r.validation));
    if (on_epoch_) on_epoch_(r);
    log_.flush();
  });
}

void TrainLog::run_ends(bool success) {
  log([&] { log_.finish(success); });
}

void TrainLog::log(const std::function<void()>& write) {
  if (log_failed_) return;
  try {
    write();
  } catch (const std::exception& e) {
    log_failed_ = true;
    log_line(std::string("note: the log ends here, the training goes on: ") + e.what());
  }
}

}  // namespace ar::apps
