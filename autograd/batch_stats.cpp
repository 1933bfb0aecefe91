#include "autograd/batch_stats.h"

#include "tensor/batch_norm_math.h"
#include "tensor/ops_norm.h"

namespace ar {
namespace {

ChannelSums measure(const Tensor& x) {
  ChannelSums s = zero_sums(x.size(1), x);
  ops::channel_sums(x, s.sum, s.sum_sq);
  return s;
}

/// Minus the means, if any channel lies so far from zero that they should be subtracted first.
Tensor needed_offset(const ChannelSums& s, int64_t count, const Tensor& x) {
  const double *sum = s.sum.data<double>(), *sum_sq = s.sum_sq.data<double>();
  const int64_t channels = s.sum.size(0);
  bool any = false;
  for (int64_t c = 0; c < channels; ++c) any = any || ill_conditioned(moments(sum[c], sum_sq[c], count));
  if (!any) return {};
  const Tensor offset = empty({channels}, {.dtype = Dtype::f64});
  for (int64_t c = 0; c < channels; ++c) offset.mutable_data<double>()[c] = -moments(sum[c], sum_sq[c], count).mean;
  return offset.to(parameter_dtype(x.dtype()));
}

}  // namespace

ChannelSums zero_sums(int64_t channels, const Tensor& x) {
  const Tensor both = zeros({2, channels}, {.dtype = Dtype::f64, .device = x.device()});
  return {both.select(0, 0), both.select(0, 1)};
}

Tensor shifted(const Tensor& x, const Tensor& offset) {
  if (!offset.defined()) return x;
  return ops::channel_affine(x, ones(offset.shape(), offset.options()), offset);
}

BatchSums::BatchSums(const Tensor& x, const ChannelSums& known) : sums(known.sum.defined() ? known : measure(x)) {
  if (!x.device().is_cpu()) return;
  offset = needed_offset(sums, values_per_channel(x), x);
  if (offset.defined()) sums = measure(shifted(x, offset));
}

int64_t values_per_channel(const Tensor& x) { return x.size(1) ? x.numel() / x.size(1) : 0; }

}  // namespace ar
