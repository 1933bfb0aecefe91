// The sums of a batch, from which every op that normalises takes its statistics. They stay on the device.
#pragma once
#include "tensor/tensor.h"

namespace ar {

/// Sums over all pixels of each channel, [C] of f64. Undefined: not known.
struct ChannelSums {
  Tensor sum, sum_sq;
};
/// Zeros for so many channels, on x's device.
ChannelSums zero_sums(int64_t channels, const Tensor& x);

/// x + offset per channel; x itself where the offset is undefined.
Tensor shifted(const Tensor& x, const Tensor& offset);

/// The sums of a batch. The variance comes as E[x^2] - E[x]^2, which cancels where a mean is far from zero; such a
/// batch is moved to its means and summed again. (That is the CPU's: CUDA kernels sum about a value of each channel's
/// own, and the host does not see their sums.)
struct BatchSums {
  Tensor offset;     // [C], what was added to x; undefined: nothing
  ChannelSums sums;  // of x + offset

  /// x (N,C,...) with at least one value per channel; its sums may be known already.
  explicit BatchSums(const Tensor& x, const ChannelSums& known = {});
};

/// How many values each channel has.
int64_t values_per_channel(const Tensor& x);

}  // namespace ar
