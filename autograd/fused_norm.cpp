#include "autograd/fused_norm.h"

#include "autograd/checkpoint.h"

namespace ar {

FusedNorm::FusedNorm(const Tensor& x, const ChannelSums& known, const NormParameters& norm,
                     const BatchNormOptions& options)
    : weight_(norm.weight.value()), eps_(options.eps), count_(values_per_channel(x)), training_(options.training) {
  ops::NormSource source{.weight = weight_,
                         .bias = norm.bias.value(),
                         .running_mean = norm.running_mean,
                         .running_var = norm.running_var,
                         .momentum = options.momentum,
                         .num_batches_tracked = norm.num_batches_tracked,
                         .eps = eps_};
  if (training_) {
    AR_CHECK(count_ > 1, "batch_norm: training needs more than one value per channel, x is ", x.shape());
    const BatchSums batch(x, known);
    source.sum = batch.sums.sum, source.sum_sq = batch.sums.sum_sq, source.offset = batch.offset;
    source.count = count_;
    source.update = !recomputing();
  }
  vectors_ = ops::norm_vectors(x, source);
}

ops::Gate FusedNorm::gate(const Tensor& x) {
  gated_ = zero_sums(x.size(1), x);
  return {.x = x,
          .scale = scale(),
          .shift = shift(),
          .relu = true,
          .sum_d = gated_.sum,
          .sum_dx = gated_.sum_sq,
          .center = vectors_.center};
}

ops::NormGradients FusedNorm::finish(const Tensor& x, const Tensor& gx) {
  const ops::NormGradients g =
      ops::norm_gradients(x, vectors_, weight_, eps_, count_, gated_.sum, gated_.sum_sq, {.wanted = training_});
  if (training_) ops::channel_affine_add_(x, g.a, g.b, gx);
  return g;
}

ops::NormGradients FusedNorm::finish_later(const Tensor& x, const Tensor& sum_a, const Tensor& sum_b) {
  return ops::norm_gradients(x, vectors_, weight_, eps_, count_, gated_.sum, gated_.sum_sq, {training_, sum_a, sum_b});
}

}  // namespace ar
