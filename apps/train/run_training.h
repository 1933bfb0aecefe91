// The last part of every training program: run the trainer, show and log it, end as the shell expects.
#pragma once
#include <functional>
#include <nlohmann/json_fwd.hpp>

#include "apps/train/options.h"
#include "apps/train/train_log.h"

namespace ar::apps {

struct TrainingRun {
  const TrainOptions& train;
  const nlohmann::json& options;  // all of the program's, for the log
  TrainLog::Sizes sizes;
  bool resumed = false;  // the trainer's state is a checkpoint's
  /// What else goes into an enabled log: sample pictures before a new run, a report after each epoch. Either may be
  /// null.
  std::function<void(RunLog&)> log_samples;
  std::function<void(RunLog&, const EpochReport&)> log_epoch;
};

/// Trains until the end or a signal (StopSignal must live). Returns the program's exit code: 0 when it finished, else
/// 128 and the number of the signal, with a line that says how to go on.
int run_training(Trainer& trainer, const TrainingRun& run);

}  // namespace ar::apps
