// The loaders of a training run.
#pragma once
#include <memory>
#include <optional>

#include "apps/train/options.h"
#include "io/loader.h"

namespace ar::apps {

/// Batches in an epoch of so many samples to train on. A last batch of one sample is left out, since batch norm cannot
/// train on one (where a map has shrunk to 1 x 1 pixels); the order of the next epoch brings that sample again. An
/// epoch that is one batch is kept as it is.
int64_t training_batches(const TrainOptions& options, int64_t samples);

/// Batches to train on, and in order those to validate on, for networks on `device`. Samples that cannot be read are
/// told on the terminal.
struct TrainLoaders {
  TrainLoaders(const TrainOptions& options, Device device, std::shared_ptr<const io::Dataset> training,
               io::Sampler sampler, std::shared_ptr<const io::Dataset> validation);
  io::Loader training;
  std::optional<io::Loader> validation;  // none without a validation set
};

}  // namespace ar::apps
