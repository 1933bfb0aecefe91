#include "autograd/batch_stats.h"

#include "tensor/ops_norm.h"

namespace ar {
namespace {

ChannelStats measure(const Tensor& x) {
  std::vector<double> sum(x.size(1)), sum_sq(x.size(1));
  ops::channel_sums(x, sum, sum_sq);
  return channel_stats(sum, sum_sq, values_per_channel(x));
}

}  // namespace

Tensor shifted(const Tensor& x, const Tensor& offset) {
  if (!offset.defined()) return x;
  return ops::channel_affine(x, ones(offset.shape(), offset.options()), offset);
}

BatchStats::BatchStats(const Tensor& x, const ChannelSums& known)
    : stats(known.sum.empty() ? measure(x) : channel_stats(known.sum, known.sum_sq, values_per_channel(x))) {
  if (!ill_conditioned(stats)) return;
  for (double& m : stats.mean) m = -m;
  offset = ops::channel_vector(stats.mean, x);
  stats = measure(shifted(x, offset));
}

ChannelStats BatchStats::of_x() const {
  ChannelStats s = stats;
  if (!offset.defined()) return s;
  const auto added = offset.to_vector<double>();  // as the dtype rounded it
  for (size_t c = 0; c < added.size(); ++c) s.mean[c] -= added[c];
  return s;
}

int64_t values_per_channel(const Tensor& x) { return x.size(1) ? x.numel() / x.size(1) : 0; }

void update_running_(const Tensor& running_mean, const Tensor& running_var, const ChannelStats& batch, int64_t count,
                     double momentum) {
  ChannelStats running{running_mean.to_vector<double>(), running_var.to_vector<double>()};
  update_running_stats(running, batch, count, momentum);
  running_mean.copy_from(ops::channel_vector(running.mean, running_mean.dtype(), running_mean.device()));
  running_var.copy_from(ops::channel_vector(running.var, running_var.dtype(), running_var.device()));
}

}  // namespace ar
