#include "nn/conv_norm.h"

namespace ar::nn {

Variable conv_norm(const Conv2d& conv, const BatchNorm2d& norm, const Variable& x, Activation activation,
                   const Variable& residual, double slope) {
  const Conv2d::Options& c = conv.options();
  const BatchNormOptions mode = norm.begin_pass();
  return conv_norm_activation(
      x, conv.weight, norm.running_mean, norm.running_var, norm.weight, norm.bias,
      {.conv = {.stride = c.stride, .padding = c.padding, .dilation = c.dilation, .groups = c.groups},
       .training = mode.training,
       .momentum = mode.momentum,
       .eps = mode.eps,
       .activation = activation,
       .slope = slope,
       .num_batches_tracked = mode.num_batches_tracked},
      residual);
}

}  // namespace ar::nn
