// The statistics of a batch, for every op that normalises with them.
#pragma once
#include "tensor/batch_norm_math.h"
#include "tensor/tensor.h"

namespace ar {

/// Sums over all pixels of each channel, from which a norm takes its statistics. Empty: not known.
struct ChannelSums {
  std::vector<double> sum, sum_sq;
};

/// x + offset per channel; x itself where the offset is undefined.
Tensor shifted(const Tensor& x, const Tensor& offset);

/// A batch's statistics. The variance comes as E[x^2] - E[x]^2, which cancels where a mean is far from zero; such a
/// batch is moved to its means and measured again.
struct BatchStats {
  Tensor offset;       // [C], what was added to x; undefined: nothing
  ChannelStats stats;  // of x + offset

  /// x (N,C,...) with at least one value per channel; its sums may be known already.
  explicit BatchStats(const Tensor& x, const ChannelSums& known = {});
  /// Of x itself.
  ChannelStats of_x() const;
};

/// How many values each channel has.
int64_t values_per_channel(const Tensor& x);

/// update_running_stats on tensors (C).
void update_running_(const Tensor& running_mean, const Tensor& running_var, const ChannelStats& batch, int64_t count,
                     double momentum);

}  // namespace ar
