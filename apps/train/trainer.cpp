#include "apps/train/trainer.h"

#include <cmath>

#include "apps/train/late_metrics.h"
#include "autograd/autograd.h"
#include "io/checkpoint_file.h"
#include "tensor/event.h"
#include "tensor/ops.h"
#include "tensor/profile.h"
#include "tensor/random.h"

namespace ar::apps {

std::filesystem::path last_checkpoint(const std::filesystem::path& checkpoint) {
  std::filesystem::path name = checkpoint.stem();
  name += ".last";
  name += checkpoint.extension();
  return checkpoint.parent_path() / name;
}

Trainer::Trainer(Parts parts, TrainerOptions options)
    : parts_(std::move(parts)), options_(std::move(options)), last_save_(std::chrono::steady_clock::now()) {
  parts_.forward = [forward = std::move(parts_.forward)](const io::Batch& batch) {
    const profile::Span span("phase", "forward");
    return forward(batch);
  };
}

bool Trainer::run(TrainObserver& observer, const std::atomic<bool>& stop) {
  while (epoch_ < options_.epochs) {
    const auto start = std::chrono::steady_clock::now();
    std::optional<ClassificationMetrics> metrics;
    if (parts_.validation) metrics.emplace(parts_.classes);
    if (!train_epoch(observer, stop) || (metrics && !validate(observer, stop, *metrics))) {
      save_last();
      return false;
    }
    const RunningScores scores = scores_;
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    const bool best = is_best(metrics ? &*metrics : nullptr);
    ++epoch_;
    batch_ = 0;
    scores_ = {};
    if (best && !options_.checkpoint.empty()) save(options_.checkpoint);
    save_last();
    observer.epoch_ends({.epoch = epoch_,
                         .step = step_,
                         .training = scores,
                         .validation = metrics ? &*metrics : nullptr,
                         .best = best,
                         .seconds = seconds.count(),
                         .lr = parts_.scheduler.last_lr()});
  }
  return true;
}

bool Trainer::train_epoch(TrainObserver& observer, const std::atomic<bool>& stop) {
  parts_.model.train();
  parts_.training.start(uint64_t(epoch_), batch_);
  observer.epoch_begins(epoch_, scores_.count());
  while (const auto batch = parts_.training.next()) {
    const PhiloxState random = default_generator().state();
    Forward forward = parts_.forward(*batch);
    Download loss_here(forward.loss.value()), log_probs(forward.log_probs);
    accumulate(forward);
    forward = {};
    const double loss = loss_here.wait().item();
    if (!std::isfinite(loss)) explain(loss, *batch, random);
    scores_.add(log_probs.wait(), batch->labels, loss);
    const bool last = batch->number + 1 == parts_.training.batches();
    if (accumulated_ < options_.grad_accum_steps && !last) continue;
    update();
    batch_ = batch->number + 1;  // moves from step to step: gradients that wait for one are not saved
    observer.step_ends({.epoch = epoch_,
                        .step = step_,
                        .loss = loss,
                        .wait_seconds = parts_.training.wait_seconds(),
                        .scores = scores_,
                        .lr = parts_.scheduler.last_lr()});
    if (stop) return false;
    const std::chrono::duration<double> unsaved = std::chrono::steady_clock::now() - last_save_;
    if (options_.checkpoint_minutes > 0 && unsaved.count() > 60 * options_.checkpoint_minutes) save_last();
  }
  return !stop;
}

void Trainer::explain(double loss, const io::Batch& batch, const PhiloxState& random) {
  // Once more, with the same dropout, and every result looked at.
  default_generator().set_state(random);
  const nn::NamedParameters parameters = parts_.model.named_parameters();
  std::string first = "all layers gave numbers";
  try {
    const DetectAnomaly detect([&](const Variable& input) {
      for (const auto& [name, parameter] : parameters)
        if (parameter.same_as(input)) return name;
      return std::string();
    });
    parts_.forward(batch);
  } catch (const Error& e) {
    first = e.what();
  }
  fail("the loss became ", std::isnan(loss) ? "NaN" : "infinite", " in epoch ", epoch_ + 1, " after step ", step_, ": ",
       first, "; try a smaller --learning-rate or --clip-norm");
}

void Trainer::accumulate(const Forward& forward) {
  const profile::Span span("phase", "backward");
  // Of several batches the gradients of the sums are added up; update() divides by all their weight at once.
  const bool alone = options_.grad_accum_steps == 1;
  (alone ? forward.loss : forward.loss * forward.weight).backward();
  accumulated_weight_ += forward.weight;
  ++accumulated_;
}

void Trainer::update() {
  const profile::Span span("phase", "optimiser step");
  const std::vector<Variable> parameters = parts_.model.parameters();
  if (options_.grad_accum_steps > 1)
    for (const Variable& p : parameters)
      if (p.grad().defined()) ops::unary_(UnaryOp::affine, p.grad(), {1 / accumulated_weight_, 0});
  if (options_.clip_norm > 0) optim::clip_grad_norm_tensor_(parameters, options_.clip_norm);
  parts_.optimizer.step();
  parts_.scheduler.step();
  parts_.optimizer.zero_grad();
  accumulated_ = 0;
  accumulated_weight_ = 0;
  ++step_;
}

bool Trainer::validate(TrainObserver& observer, const std::atomic<bool>& stop, ClassificationMetrics& metrics) {
  const NoGrad no_grad;
  parts_.model.eval();
  parts_.validation->start(0);
  observer.validation_begins();
  LateMetrics late(metrics);
  while (const auto batch = parts_.validation->next()) {
    late.add(parts_.forward(*batch).log_probs, *batch);
    observer.validation_step(batch->size());
    if (stop) return false;
  }
  late.finish();
  return true;
}

bool Trainer::is_best(const ClassificationMetrics* metrics) {
  if (!metrics) return true;
  const double top1 = metrics->top(1), loss = metrics->loss();
  if (top1 < best_top1_ || (top1 == best_top1_ && !(loss < best_loss_))) return false;
  best_top1_ = top1;
  best_loss_ = loss;
  return true;
}

void Trainer::save_last() {
  if (options_.checkpoint.empty()) return;
  save(last_checkpoint(options_.checkpoint));
  last_save_ = std::chrono::steady_clock::now();
}

void Trainer::save(const std::filesystem::path& path) {
  const profile::Span span("phase", "saving");
  // The last step may have broken a weight before any loss showed it: such a state must not replace a good one.
  for (const auto& [name, parameter] : parts_.model.named_parameters())
    AR_CHECK(!ops::any_nonfinite(parameter.value()), "after step ", step_, " ", name,
             " holds NaN or infinity; try a smaller --learning-rate or --clip-norm; the last checkpoint is kept");
  io::save_checkpoint_file(path, state());
}

io::Value Trainer::state() const {
  io::Value state = parts_.describe();
  state["optimizer"] = io::Value::dict(parts_.optimizer.state_dict());
  state["scheduler"] = io::Value::dict(parts_.scheduler.state_dict());
  const PhiloxState random = default_generator().state();
  state["rng"]["seed"] = int64_t(random.seed);
  state["rng"]["offset"] = int64_t(random.offset);
  state["epoch"] = epoch_;
  state["batch"] = batch_;
  state["step"] = step_;
  state["scores"] = scores_.to_value();
  state["best"]["top1"] = best_top1_;
  state["best"]["loss"] = best_loss_;
  return state;
}

void Trainer::load_state(const io::Value& state) {
  parts_.optimizer.load_state_dict(state.at("optimizer").tensors());
  parts_.scheduler.load_state_dict(state.at("scheduler").tensors());
  default_generator().set_state({.seed = uint64_t(state.at("rng").at("seed").integer()),
                                 .offset = uint64_t(state.at("rng").at("offset").integer())});
  epoch_ = state.at("epoch").integer();
  batch_ = state.at("batch").integer();
  step_ = state.at("step").integer();
  scores_ = RunningScores::from_value(state.at("scores"));
  best_top1_ = state.at("best").at("top1").real();
  best_loss_ = state.at("best").at("loss").real();
}

}  // namespace ar::apps
