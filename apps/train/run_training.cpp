#include "apps/train/run_training.h"

#include <nlohmann/json.hpp>

#include "apps/common/stop_signal.h"
#include "apps/train/run_files.h"

namespace ar::apps {

int run_training(Trainer& trainer, const TrainingRun& run) {
  RunLog log({.folder = run.train.logdir, .resume_step = run.resumed ? trainer.step() : -1});
  log.options(run.options, {{"validation", "top1"}, {"validation", "loss"}, {"train", "loss"}});
  TrainLog observer(log, run.sizes, [&](const EpochReport& epoch) {
    if (log.enabled() && run.log_epoch) run.log_epoch(log, epoch);
  });
  if (run.resumed) {
    if (!bring_best(run.train)) trainer.forget_best();
  } else {
    if (log.enabled() && run.log_samples) run.log_samples(log);
    set_aside_earlier_run(run.train);
  }
  if (run.train.epochs == 0) trainer.save_last();
  const std::filesystem::path last = last_checkpoint(run.train.save_checkpoint);
  bool finished = false;
  try {
    finished = trainer.run(observer, StopSignal::flag());
  } catch (const std::exception& e) {
    observer.run_ends(false);
    if (!std::filesystem::exists(last)) throw;
    fail(e.what(), "; ", last.string(),
         " holds the state of the last save, from which --resume-checkpoint auto goes on");
  }
  observer.run_ends(finished);
  if (finished) return 0;
  log_line("stopped; all is in " + last.string() +
           ", and the same command with --resume-checkpoint auto goes on from it");
  return 128 + StopSignal::received();
}

}  // namespace ar::apps
