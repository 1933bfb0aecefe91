#include "apps/train/trainer.h"

#include <algorithm>
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
    : parts_(std::move(parts)),
      options_(std::move(options)),
      lr_(parts_.scheduler.last_lr()),
      last_save_(std::chrono::steady_clock::now()) {
  parts_.forward = [forward = std::move(parts_.forward)](const std::vector<Tensor>& inputs) {
    const profile::Span span("phase", "forward");
    return forward(inputs);
  };
}

bool Trainer::run(TrainObserver& observer, const std::atomic<bool>& stop) {
  const std::unique_ptr<nn::StepGraph> graph = recorder(observer);
  while (epoch_ < options_.epochs) {
    const auto start = std::chrono::steady_clock::now();
    std::optional<ClassificationMetrics> metrics;
    if (parts_.validation) metrics.emplace(parts_.classes);
    if (!train_epoch(observer, stop, graph.get()) || (metrics && !validate(observer, stop, *metrics))) {
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
                         .lr = lr_});
  }
  return true;
}

bool Trainer::train_epoch(TrainObserver& observer, const std::atomic<bool>& stop, nn::StepGraph* graph) {
  parts_.model.train();
  parts_.training.start(uint64_t(epoch_));
  // Where samples vanished since the checkpoint, the epoch may be shorter than what was done of it.
  if (batch_ > 0) parts_.training.start(uint64_t(epoch_), std::min(batch_, parts_.training.batches()));
  observer.epoch_begins(epoch_, scores_.count());
  while (const auto batch = parts_.training.next()) {
    const PhiloxState random = default_generator().state();
    const bool first = graph && graph->repeated() == 0;
    Learnt learnt = graph ? learn_by(*graph, *batch) : learn(*batch);
    if (first && graph->repeated() > 0) observer.steps_repeat("");
    accumulated_weight_ += weight_of(*batch);
    ++accumulated_;
    const double loss = learnt.loss.wait().item();
    if (!std::isfinite(loss)) explain(loss, *batch, random);
    scores_.add(learnt.log_probs.wait(), batch->labels, loss);
    const bool last = batch->number + 1 == parts_.training.batches();
    if (accumulated_ < options_.grad_accum_steps && !last) continue;
    lr_ = parts_.scheduler.last_lr();  // the rates of this step: update() sets those of the next
    update();
    batch_ = batch->number + 1;  // moves from step to step: gradients that wait for one are not saved
    observer.step_ends({.epoch = epoch_,
                        .step = step_,
                        .loss = loss,
                        .wait_seconds = parts_.training.wait_seconds(),
                        .scores = scores_,
                        .lr = lr_});
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
    parts_.forward(parts_.inputs(batch));
  } catch (const Error& e) {
    first = e.what();
  }
  fail("the loss became ", std::isnan(loss) ? "NaN" : "infinite", " in epoch ", epoch_ + 1, " after step ", step_, ": ",
       first, "; try a smaller --learning-rate or --clip-norm");
}

double Trainer::weight_of(const io::Batch& batch) const {
  return parts_.weight ? parts_.weight(batch) : double(batch.size());
}

Trainer::Learnt Trainer::learn(const io::Batch& batch) {
  const std::vector<Tensor> inputs = parts_.inputs(batch);
  const Forward forward = parts_.forward(inputs);
  Learnt learnt{Download(forward.loss.value()), Download(forward.log_probs)};
  if (parts_.beside) parts_.beside(inputs, forward.features);
  const profile::Span span("phase", "backward");
  // Of several batches the gradients of the sums are added up; update() divides by all their weight at once.
  const bool alone = options_.grad_accum_steps == 1;
  (alone ? forward.loss : forward.loss * weight_of(batch)).backward();
  return learnt;
}

/// Gradients that are added up over batches, with a weight that is the host's, are not for recording.
std::unique_ptr<nn::StepGraph> Trainer::recorder(TrainObserver& observer) {
  const std::vector<Variable> all = parts_.model.parameters();
  const bool on_cpu = all.empty() || all[0].value().device().is_cpu();
  if (on_cpu || !options_.repeat_steps || options_.grad_accum_steps > 1) return nullptr;
  const auto pass = [this](const std::vector<Tensor>& inputs) {
    const std::vector<Variable> parameters = parts_.model.parameters();
    for (const Variable& p : parameters) p.zero_grad();
    const Forward forward = parts_.forward(inputs);
    const profile::Span span("phase", "backward");
    forward.loss.backward();
    std::vector<Tensor> results{forward.loss.value(), forward.log_probs, forward.features};
    for (const Variable& p : parameters) results.push_back(p.grad());
    return results;
  };
  return std::make_unique<nn::StepGraph>(
      pass, nn::StepGraphOptions{.cannot = [&observer](const std::string& reason) { observer.steps_repeat(reason); }});
}

Trainer::Learnt Trainer::learn_by(nn::StepGraph& graph, const io::Batch& batch) {
  const std::vector<Tensor> inputs = parts_.inputs(batch), results = graph(inputs);
  Learnt learnt{Download(results[0]), Download(results[1])};
  if (parts_.beside) parts_.beside(inputs, results[2]);
  // update() forgot them, and a repetition is work of the device alone.
  size_t next = 3;
  for (const Variable& p : parts_.model.parameters()) p.set_grad(results[next++]);
  return learnt;
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
    late.add_own(parts_.forward(parts_.inputs(*batch)).log_probs, *batch,
                 batch->number * parts_.validation->options().batch_size);
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

void Trainer::forget_best() {
  best_top1_ = -1;
  best_loss_ = 0;
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
  lr_ = parts_.scheduler.last_lr();
}

}  // namespace ar::apps
