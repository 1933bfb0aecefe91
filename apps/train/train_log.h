// What one sees of a training: the progress line, a line for each epoch, and the log folder.
#pragma once
#include <functional>
#include <optional>

#include "apps/report/progress.h"
#include "apps/report/run_log.h"
#include "apps/train/trainer.h"

namespace ar::apps {

class TrainLog : public TrainObserver {
 public:
  struct Sizes {
    int64_t epochs = 0, training = 0, validation = 0;  // samples
    std::string unit = "images";
  };
  /// The log must outlive it. `on_epoch` is called when an epoch is logged: for reports. When the log or a report
  /// cannot be written (a full disk), a note says so and nothing is logged from then on: the training is worth more.
  TrainLog(RunLog& log, Sizes sizes, std::function<void(const EpochReport&)> on_epoch = nullptr);

  void epoch_begins(int64_t epoch, int64_t done) override;
  void steps_repeat(const std::string& cannot) override;
  void step_ends(const StepReport& report) override;
  void validation_begins() override;
  void validation_step(int64_t samples) override;
  void epoch_ends(const EpochReport& report) override;
  /// The last entry of the log.
  void run_ends(bool success);

 private:
  void log(const std::function<void()>& write);

  RunLog& log_;
  bool log_failed_ = false;
  Sizes sizes_;
  std::function<void(const EpochReport&)> on_epoch_;
  std::optional<Progress> progress_;
  int64_t epoch_ = 0;
  double rate_ = 0, waiting_ = 0;  // samples per second and share of the time, of the training part of this epoch
};

}  // namespace ar::apps
