#include "autograd/fused_norm.h"

#include <bit>

#include "autograd/checkpoint.h"
#include "autograd/operands.h"
#include "tensor/hash.h"

namespace ar {
namespace {

/// Those of running statistics, kept with these until they or the parameters are written to. Of memory of the caller's
/// nobody knows when it is.
ops::NormVectors kept_vectors(const Tensor& x, const ops::NormSource& s) {
  Hash key;
  uint64_t versions = 0;
  for (const Tensor* t : {&s.weight, &s.bias, &s.running_mean, &s.running_var}) {
    if (!t->defined()) continue;
    if (t->storage()->adopted()) return ops::norm_vectors(x, s);
    key << t->storage()->id() << uint64_t(t->offset()) << t->strides();
    if (t != &s.running_var) versions += t->version();
  }
  key << std::bit_cast<uint64_t>(s.eps) << uint64_t(x.size(1)) << uint64_t(x.dtype());
  return *s.running_var.storage()->derived(
      key.value(), [&] { return std::make_shared<ops::NormVectors>(ops::norm_vectors(x, s)); }, versions);
}

}  // namespace

FusedNorm::FusedNorm(const Tensor& x, const ChannelSums& known, const NormParameters& norm,
                     const BatchNormOptions& options)
    : weight_("batch_norm", "weight", value_of(norm.weight)),
      eps_(options.eps),
      count_(values_per_channel(x)),
      of_batch_(uses_batch(norm, options)),
      activation_(options.activation),
      slope_(options.slope) {
  AR_CHECK(!options.training || count_ != 1, "batch_norm: training needs more than one value per channel, x is ",
           x.shape());
  ops::NormSource source{.weight = value_of(norm.weight),
                         .bias = value_of(norm.bias),
                         .running_mean = norm.running_mean,
                         .running_var = norm.running_var,
                         .momentum = options.momentum,
                         .num_batches_tracked = norm.num_batches_tracked,
                         .eps = eps_};
  if (of_batch_ && count_ > 0) {
    const BatchSums batch(x, known);
    source.sum = batch.sums.sum, source.sum_sq = batch.sums.sum_sq, source.offset = batch.offset;
    source.count = count_;
    source.update = options.training && norm.running_mean.defined() && !recomputing();
  }
  vectors_ = of_batch_ || learning() ? ops::norm_vectors(x, source) : kept_vectors(x, source);
}

bool FusedNorm::uses_batch(const NormParameters& norm, const BatchNormOptions& options) {
  return options.training || !norm.running_mean.defined();
}

ops::Gate FusedNorm::gate(const Tensor& x) {
  gated_ = zero_sums(x.size(1), x);
  return {.x = x,
          .scale = scale(),
          .shift = shift(),
          .activation = activation_,
          .slope = slope_,
          .sum_d = gated_.sum,
          .sum_dx = gated_.sum_sq,
          .center = vectors_.center};
}

ops::NormGradients FusedNorm::finish(const Tensor& x, const Tensor& gx) {
  const ops::NormGradients g = ops::norm_gradients(x, vectors_, weight_.get(), eps_, std::max<int64_t>(count_, 1),
                                                   gated_.sum, gated_.sum_sq, {.wanted = of_batch_});
  if (of_batch_) ops::channel_affine_add_(x, g.a, g.b, gx);
  return g;
}

ops::NormGradients FusedNorm::finish_later(const Tensor& x, const Tensor& sum_a, const Tensor& sum_b) {
  return ops::norm_gradients(x, vectors_, weight_.get(), eps_, count_, gated_.sum, gated_.sum_sq,
                             {of_batch_, sum_a, sum_b});
}

}  // namespace ar
