// The options of a run that goes on from a checkpoint, beside those that it began with.
#pragma once
#include <nlohmann/json_fwd.hpp>

#include "apps/train/options.h"
#include "io/value.h"

namespace ar::apps {

/// What the checkpoint's state decides stays as it was: learning rates, momentum, weight decay. They are set in `train`
/// and in `options` (all of the program's, as options_as_json gives them), and a note names each that was to change.
/// Throws Error where the state cannot go on: with another optimiser, and within an epoch with batches of other samples
/// (another batch size, accumulation, seed or balance).
void keep_options(const io::Value& checkpoint, nlohmann::json& options, TrainOptions& train);

}  // namespace ar::apps
