// The order in which an epoch visits samples.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

namespace ar::io {

/// The indices of an epoch, in order. A pure function of the epoch, so an epoch can be entered anywhere.
using Sampler = std::function<std::vector<int64_t>(uint64_t epoch)>;

/// 0, 1, ..., size-1 in every epoch.
Sampler sequential(int64_t size);
/// Each index once, in an order that follows from seed and epoch (Fisher & Yates).
Sampler shuffled(int64_t size, uint64_t seed);
/// `count` indices drawn with replacement, index i with probability weights[i] / sum. Throws Error when a weight is
/// negative or not finite, or all are zero.
Sampler weighted(const std::vector<double>& weights, int64_t count, uint64_t seed);

/// Weights with which weighted() draws all classes equally often: 1 / (samples of the label).
std::vector<double> balancing_weights(const std::vector<int64_t>& labels);

}  // namespace ar::io
