// How a model's images are normalised, as checkpoints keep it: "mean" and "std", three numbers each.
#pragma once
#include "io/value.h"
#include "tensor/ops_frames.h"

namespace ar::apps {

void save_pixel_stats(io::Value& checkpoint, const PixelStats& pixels);
PixelStats pixel_stats_from(const io::Value& checkpoint);

}  // namespace ar::apps
