#include "autograd/fused_norm.h"

#include "autograd/checkpoint.h"

namespace ar {
FusedNorm::FusedNorm(const Tensor& x, const ChannelSums& known, const NormParameters& norm,
                     const BatchNormOptions& options)
    : weight_(norm.weight.value().to_vector<double>()),
      sum_d_(x.size(1)),
      sum_dx_(x.size(1)),
      eps_(options.eps),
      count_(values_per_channel(x)),
      training_(options.training) {
  AR_CHECK(int64_t(weight_.size()) == x.size(1), "batch_norm: weight ", norm.weight.shape(), " does not fit x ",
           x.shape());
  if (training_) {
    AR_CHECK(count_ > 1, "batch_norm: training needs more than one value per channel, x is ", x.shape());
    stats_ = BatchStats(x, known).of_x();
    if (!recomputing()) update_running_(norm.running_mean, norm.running_var, stats_, count_, options.momentum);
  } else {
    stats_ = {norm.running_mean.to_vector<double>(), norm.running_var.to_vector<double>()};
  }
  const ChannelAffine affine = batch_norm_affine(stats_, weight_, norm.bias.value().to_vector<double>(), eps_);
  scale_ = ops::channel_vector(affine.scale, x);
  shift_ = ops::channel_vector(affine.shift, x);
}

ops::Gate FusedNorm::gate(const Tensor& x) {
  if (!center_.defined()) center_ = ops::channel_vector(stats_.mean, x);
  return {
      .x = x, .scale = scale_, .shift = shift_, .relu = true, .sum_d = sum_d_, .sum_dx = sum_dx_, .center = center_};
}

BatchNormGradients FusedNorm::finish() {
  BatchNormGradients g = batch_norm_gradients(stats_, weight_, eps_, sum_d_, sum_dx_, count_);
  if (!training_) {  // the statistics are constants
    std::fill(g.a.begin(), g.a.end(), 0);
    std::fill(g.b.begin(), g.b.end(), 0);
  }
  std::fill(sum_d_.begin(), sum_d_.end(), 0);
  std::fill(sum_dx_.begin(), sum_dx_.end(), 0);
  return g;
}

void add_affine_(const Tensor& x, std::span<const double> a, std::span<const double> b, const Tensor& gx) {
  const auto zero = [](double v) { return v == 0; };
  if (std::all_of(a.begin(), a.end(), zero) && std::all_of(b.begin(), b.end(), zero)) return;
  ops::channel_affine_add_(x, ops::channel_vector(a, x), ops::channel_vector(b, x), gx);
}

}  // namespace ar
