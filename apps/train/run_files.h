// The files of a training run: what it resumes from, what it writes and where.
#pragma once
#include <filesystem>
#include <optional>
#include <string_view>

#include "apps/common/folder_lock.h"
#include "apps/train/options.h"
#include "apps/train/trainer.h"
#include "io/value.h"

namespace ar::apps {

/// The checkpoint to go on from; none for a new run. Throws Error when the one asked for cannot be read.
std::optional<io::Value> resumed_checkpoint(const TrainOptions& options);

/// Where a run writes: --save-checkpoint and --logdir.
class RunOutput {
 public:
  /// Makes the folders and tries to write there, so that a run fails now rather than after its first epoch. Throws
  /// Error where that fails, and while another run writes there; until it is destroyed no other one can.
  explicit RunOutput(const TrainOptions& options);

 private:
  std::optional<FileLock> checkpoint_;
  std::optional<FolderLock> log_;
};

/// Renames the checkpoints that a new run would write over: model.pt to model.previous.pt. Call it when nothing can
/// fail any more but the training.
void set_aside_earlier_run(const TrainOptions& options);

/// Of a resumed run: brings the best state so far to --save-checkpoint when the run goes on under another name, and
/// sets aside what lies there. False: there is no best state. Throws Error when it cannot be read or written.
bool bring_best(const TrainOptions& options);

/// A log file: in --logdir, or else beside the checkpoint with its name in front ("model.bad-files.tsv").
std::filesystem::path log_path(const TrainOptions& options, std::string_view name);

TrainerOptions trainer_options(const TrainOptions& options);

}  // namespace ar::apps
