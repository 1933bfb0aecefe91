// The loaders of a training run.
#pragma once
#include <memory>
#include <optional>

#include "apps/train/options.h"
#include "io/loader.h"

namespace ar::apps {

/// Batches to train on, and in order those to validate on, for networks on `device`. Samples that cannot be read are
/// told on the terminal.
struct TrainLoaders {
  TrainLoaders(const TrainOptions& options, Device device, std::shared_ptr<const io::Dataset> training,
               io::Sampler sampler, std::shared_ptr<const io::Dataset> validation);
  io::Loader training;
  std::optional<io::Loader> validation;  // none without a validation set
};

}  // namespace ar::apps
