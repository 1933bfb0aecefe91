// Trainer: epochs of steps over batches, validation after each, checkpoints that lose nothing.
//
// One step is what every text book has:
//
//   loss = forward(batch);  loss.backward();  clip the gradients;  optimizer.step();  scheduler.step();
//
// The host waits for a GPU once a step: for the loss, when the backward pass has been asked for. While that runs, the
// next batch travels and the next step is asked for. There the forward and the backward pass are recorded and repeated
// as a whole (nn/step_graph.h) for batches of full size, and the update is done as ever when the loss has been looked
// at.
//
// The rest is book-keeping. All that the next step depends on (weights, optimiser, schedule, random numbers, place in
// the epoch) is in state(), so that a run stopped anywhere and resumed gives the same weights, bit for bit, as one
// never stopped (on the CPU, with the same number of threads).
#pragma once
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>

#include "apps/report/metrics.h"
#include "apps/train/scores.h"
#include "io/loader.h"
#include "io/value.h"
#include "nn/lr_scheduler.h"
#include "nn/module.h"
#include "nn/step_graph.h"
#include "tensor/event.h"
#include "tensor/random.h"

namespace ar::apps {

/// What a model makes of a batch.
struct Forward {
  Variable loss;         // the mean over the batch
  Tensor log_probs;      // (N, classes), on any device
  Tensor features = {};  // for `beside`
};

struct TrainerOptions {
  int64_t epochs = 10;
  int64_t grad_accum_steps = 1;
  double clip_norm = 0;                   // 0: no clipping
  std::filesystem::path checkpoint = {};  // for the best state; the last one's name follows from it; empty: none
  double checkpoint_minutes = 10;         // the last state is saved this often within an epoch; 0: only at its end
  bool repeat_steps = true;               // on a GPU, as recorded work, where that can be
};

/// "model.last.pt" for "model.pt".
std::filesystem::path last_checkpoint(const std::filesystem::path& checkpoint);

struct StepReport {
  int64_t epoch = 0, step = 0;  // optimiser steps so far, over all epochs
  double loss = 0;              // of this batch
  double wait_seconds = 0;      // for data, in this epoch so far
  const RunningScores& scores;  // of this epoch so far
  std::vector<double> lr;       // of this step, for each parameter group
};

struct EpochReport {
  int64_t epoch = 0, step = 0;
  const RunningScores& training;
  const ClassificationMetrics* validation = nullptr;  // null without validation data
  bool best = false;
  double seconds = 0;
  std::vector<double> lr;  // of its last step
};

/// Told what happens, to show and to log it.
class TrainObserver {
 public:
  virtual ~TrainObserver() = default;
  /// `done` samples of the epoch were trained on before this start.
  virtual void epoch_begins(int64_t /*epoch*/, int64_t /*done*/) {}
  /// From now on steps are repetitions of a recorded one; or they cannot be, for this reason.
  virtual void steps_repeat(const std::string& /*cannot*/) {}
  virtual void step_ends(const StepReport&) {}
  virtual void validation_begins() {}
  virtual void validation_step(int64_t /*samples*/) {}
  virtual void epoch_ends(const EpochReport&) {}
};

class Trainer {
 public:
  struct Parts {
    nn::Module& model;
    /// A batch as the tensors that `forward` takes, on the device that computes.
    std::function<std::vector<Tensor>(const io::Batch&)> inputs;
    /// Does the same for all inputs of the same shapes, and looks at none of their numbers.
    std::function<Forward(const std::vector<Tensor>& inputs)> forward;
    optim::Optimizer& optimizer;
    optim::LrScheduler& scheduler;  // counts optimiser steps
    std::vector<std::string> classes;
    io::Loader& training;
    io::Loader* validation = nullptr;  // of io::sequential(); null: no validation, every epoch is the best
    /// What the mean loss of a batch was divided by: the sum of its samples' weights; null: their number.
    std::function<double(const io::Batch&)> weight = nullptr;
    /// What else learns from a step's features, on the side; may be null.
    std::function<void(const std::vector<Tensor>& inputs, const Tensor& features)> beside = nullptr;
    /// What a checkpoint holds besides: the model's weights and description.
    std::function<io::Value()> describe;
  };
  Trainer(Parts parts, TrainerOptions options);

  /// Trains from where it stands to the last epoch. False: `stop` became true on the way; the last state was saved.
  /// Throws Error when the loss is no number, naming the first layer that gave none; nothing was changed by that loss.
  bool run(TrainObserver& observer, const std::atomic<bool>& stop);

  /// Saves the last state, if there is a checkpoint to write. Throws Error rather than keep weights that are no
  /// numbers.
  void save_last();

  /// describe() with "optimizer", "scheduler", "rng", "epoch", "batch", "step", "scores", "best".
  io::Value state() const;
  /// Throws Error where it does not fit. The weights are not touched: whoever made the model loads them.
  void load_state(const io::Value& state);
  /// The next epoch's state is the best: for a resumed run whose best state has been lost.
  void forget_best();

  int64_t step() const { return step_; }

 private:
  /// Forward and backward pass of a batch have been asked for; what comes of it is on its way.
  struct Learnt {
    Download loss, log_probs;
  };
  /// graph: null where steps are not repeated.
  bool train_epoch(TrainObserver& observer, const std::atomic<bool>& stop, nn::StepGraph* graph);
  double weight_of(const io::Batch& batch) const;
  Learnt learn(const io::Batch& batch);
  std::unique_ptr<nn::StepGraph> recorder(TrainObserver& observer);
  Learnt learn_by(nn::StepGraph& graph, const io::Batch& batch);
  [[noreturn]] void explain(double loss, const io::Batch& batch, const PhiloxState& random);
  void update();
  bool validate(TrainObserver& observer, const std::atomic<bool>& stop, ClassificationMetrics& metrics);
  bool is_best(const ClassificationMetrics* metrics);
  void save(const std::filesystem::path& path);

  Parts parts_;
  TrainerOptions options_;
  int64_t epoch_ = 0, batch_ = 0, step_ = 0;  // batch_: batches of this epoch that are done
  RunningScores scores_;
  double best_top1_ = -1, best_loss_ = 0;
  std::vector<double> lr_;   // of the last step; before the first, of the next
  int64_t accumulated_ = 0;  // batches whose gradients wait for the next step
  double accumulated_weight_ = 0;
  std::chrono::steady_clock::time_point last_save_;
};

}  // namespace ar::apps
