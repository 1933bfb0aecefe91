#include "apps/train/run_files.h"

#include "apps/report/progress.h"
#include "io/atomic_file.h"
#include "io/checkpoint_file.h"

namespace ar::apps {
namespace {

/// "model.previous.pt" for "model.pt".
std::filesystem::path previous(const std::filesystem::path& file) {
  std::filesystem::path name = file.stem();
  name += ".previous";
  name += file.extension();
  return file.parent_path() / name;
}

/// "model.pt" for "model.last.pt"; a state of another name is a best one itself.
std::filesystem::path best_beside(const std::filesystem::path& resumed) {
  const std::filesystem::path stem = resumed.stem();
  if (stem.extension() != ".last") return resumed;
  std::filesystem::path name = stem.stem();
  name += resumed.extension();
  return resumed.parent_path() / name;
}

}  // namespace

std::optional<io::Value> resumed_checkpoint(const TrainOptions& o) {
  if (o.resume_checkpoint.empty()) return {};
  if (o.resume_checkpoint != "auto") return io::load_checkpoint_file(o.resume_checkpoint);
  const std::filesystem::path last = last_checkpoint(o.save_checkpoint);
  if (!std::filesystem::exists(last)) return {};
  log_line("going on from " + last.string());
  return io::load_checkpoint_file(last.string());
}

RunOutput::RunOutput(const TrainOptions& o) {
  const std::filesystem::path& file = o.save_checkpoint;
  io::check_checkpoint_name(file.string());
  checkpoint_.emplace((file.parent_path() / ("." + file.filename().string() + ".lock")).string(), file.string(),
                      "--save-checkpoint");
  if (!o.logdir.empty()) log_.emplace(o.logdir.string());
  const io::AtomicFile probe(file.string());  // throws where nothing can be written
}

void set_aside_earlier_run(const TrainOptions& o) {
  for (const auto& file : {o.save_checkpoint, last_checkpoint(o.save_checkpoint)})
    if (std::filesystem::exists(file)) {
      std::filesystem::rename(file, previous(file));
      log_line("note: " + file.string() + " of an earlier run is now " + previous(file).string());
    }
}

bool bring_best(const TrainOptions& o) {
  const bool automatic = o.resume_checkpoint == "auto";
  const std::filesystem::path best = automatic ? o.save_checkpoint : best_beside(o.resume_checkpoint);
  const bool moves = std::filesystem::weakly_canonical(best) != std::filesystem::weakly_canonical(o.save_checkpoint);
  if (moves) set_aside_earlier_run(o);
  if (!std::filesystem::exists(best)) return false;
  if (moves) {
    io::save_checkpoint_file(o.save_checkpoint.string(), io::load_checkpoint_file(best.string()));
    log_line("the best state so far: " + o.save_checkpoint.string() + ", from " + best.string());
  }
  return true;
}

std::filesystem::path log_path(const TrainOptions& o, std::string_view name) {
  if (!o.logdir.empty()) return o.logdir / name;
  std::filesystem::path beside = o.save_checkpoint.parent_path() / o.save_checkpoint.stem();
  beside += ".";
  beside += name;
  return beside;
}

TrainerOptions trainer_options(const TrainOptions& o) {
  return {.epochs = o.epochs,
          .grad_accum_steps = o.grad_accum_steps,
          .clip_norm = o.clip_norm,
          .checkpoint = o.save_checkpoint,
          .checkpoint_minutes = o.checkpoint_minutes,
          .repeat_steps = !o.no_cuda_graph};
}

}  // namespace ar::apps
