#include "apps/train/optimizer.h"

#include <algorithm>
#include <cmath>

#include "apps/train/loaders.h"

namespace ar::apps {

ParameterGroups split_parameters(const nn::Module& model, const nn::Module& extractor) {
  ParameterGroups groups;
  const std::vector<Variable> inside = extractor.parameters();
  for (const Variable& p : model.parameters()) {
    if (!p.requires_grad()) continue;
    const bool in = std::any_of(inside.begin(), inside.end(), [&](const Variable& q) { return q.same_as(p); });
    (in ? groups.extractor : groups.head).push_back(p);
  }
  return groups;
}

namespace {
template <class Optimizer, class Options>
std::unique_ptr<optim::Optimizer> make(const Options& base, const ParameterGroups& groups, double head_lr_mult) {
  std::vector<optim::Group<Options>> all;
  if (!groups.extractor.empty()) all.push_back({groups.extractor, base});
  all.push_back({groups.head, base});
  all.back().options.lr *= head_lr_mult;
  return std::make_unique<Optimizer>(all);
}
}  // namespace

std::unique_ptr<optim::Optimizer> make_optimizer(const TrainOptions& o, const ParameterGroups& groups) {
  if (o.optimizer == "Adam")
    return make<optim::Adam>(optim::AdamOptions{.lr = o.learning_rate, .weight_decay = o.weight_decay}, groups,
                             o.head_lr_mult);
  if (o.optimizer == "AdamW")
    return make<optim::AdamW>(optim::AdamWOptions{.lr = o.learning_rate, .weight_decay = o.weight_decay}, groups,
                              o.head_lr_mult);
  AR_CHECK(o.optimizer == "SGD", "--optimizer ", o.optimizer, ": not one of SGD, Adam, AdamW");
  return make<optim::SGD>(
      optim::SgdOptions{.lr = o.learning_rate, .momentum = o.momentum, .weight_decay = o.weight_decay}, groups,
      o.head_lr_mult);
}

std::unique_ptr<optim::LrScheduler> make_scheduler(const TrainOptions& o, optim::Optimizer& optimizer,
                                                   int64_t samples) {
  const int64_t batches = training_batches(o, samples);
  const int64_t steps_per_epoch = (batches + o.grad_accum_steps - 1) / o.grad_accum_steps;
  const int64_t total = o.epochs * steps_per_epoch;
  const optim::Warmup warmup{.steps = std::llround(o.warmup_epochs * double(steps_per_epoch))};
  const std::string kind = total > 0 ? o.scheduler : "None";  // without a step there is nothing to schedule
  if (kind == "OneCycle") {
    AR_CHECK(warmup.steps == 0, "--warmup-epochs: OneCycle has a rise of its own; leave it out");
    std::vector<double> peaks;
    for (int g = 0; g < optimizer.num_groups(); ++g) peaks.push_back(10 * *optimizer.knobs(g).lr);
    return std::make_unique<optim::OneCycleLR>(optimizer,
                                               optim::OneCycleLR::Options{.max_lr = peaks, .total_steps = total});
  }
  if (kind == "Cosine") {
    AR_CHECK(warmup.steps < total, "--warmup-epochs ", o.warmup_epochs, ": must be less than the ", o.epochs,
             " epochs");
    return std::make_unique<optim::CosineLR>(optimizer,
                                             optim::CosineLR::Options{.total_steps = total, .warmup = warmup});
  }
  AR_CHECK(kind == "None" || kind == "Step", "--scheduler ", kind, ": not one of None, OneCycle, Step, Cosine");
  return std::make_unique<optim::StepLR>(
      optimizer, optim::StepLR::Options{.step_size = o.lr_step_size > 0 ? o.lr_step_size : steps_per_epoch,
                                        .gamma = kind == "Step" ? 0.1 : 1.0,
                                        .warmup = warmup});
}

}  // namespace ar::apps
