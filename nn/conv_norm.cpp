#include "nn/conv_norm.h"

namespace ar::nn {

Variable conv_norm(const Variable& x, const std::vector<ConvNormStep>& steps, const Variable& residual) {
  std::vector<ConvNorm> all;
  all.reserve(steps.size());
  for (const auto& [conv, norm, activation, slope] : steps) {
    AR_CHECK(!conv.bias.defined(), "conv_norm: the convolution has a bias, which its norm would take away again");
    const Conv2d::Options& c = conv.options();
    BatchNormOptions mode = norm.begin_pass();
    mode.activation = activation, mode.slope = slope;
    all.push_back({.weight = conv.weight,
                   .norm = {norm.weight, norm.bias, norm.running_mean, norm.running_var, mode.num_batches_tracked},
                   .conv = {.stride = c.stride, .padding = c.padding, .dilation = c.dilation, .groups = c.groups},
                   .mode = mode});
  }
  return ar::conv_norm(x, all, residual);
}

}  // namespace ar::nn
