// The optimiser and the learning-rate schedule that the options ask for.
#pragma once
#include <memory>
#include <vector>

#include "apps/train/options.h"
#include "nn/lr_scheduler.h"

namespace ar::apps {

/// Parameters in two groups: of the feature extractor (none when frozen) at the base rate, of everything behind it at
/// the base rate x head_lr_mult. Group order: extractor, head.
struct ParameterGroups {
  std::vector<Variable> extractor, head;
};
/// `extractor` is a part of `model`. Parameters that require no gradient are left out.
ParameterGroups split_parameters(const nn::Module& model, const nn::Module& extractor);

std::unique_ptr<optim::Optimizer> make_optimizer(const TrainOptions& options, const ParameterGroups& groups);

/// Counts in optimiser steps, of which an epoch of so many samples has one for every --grad-accum-steps batches. Throws
/// Error where the options contradict each other.
std::unique_ptr<optim::LrScheduler> make_scheduler(const TrainOptions& options, optim::Optimizer& optimizer,
                                                   int64_t samples);

}  // namespace ar::apps
