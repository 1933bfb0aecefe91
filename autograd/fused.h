// Convolution, batch norm, residual and activation in one: fused where nothing needs to be remembered.
#pragma once
#include "autograd/conv.h"
#include "autograd/norm.h"

namespace ar {

struct ConvNormOptions {
  Conv2dOptions conv = {};
  bool training = false;  // of the batch norm
  double momentum = 0.1;
  double eps = 1e-5;
  Activation activation = Activation::none;
  double slope = 0.01;              // of leaky_relu
  Tensor num_batches_tracked = {};  // as batch_norm's
};

/// y = activation(batch_norm(conv2d(x, weight)) + residual); residual undefined: none, else of y's shape. Arguments as
/// those of conv2d and batch_norm. Without gradients and with running statistics this is one pass: the norm becomes a
/// scale and a shift of the convolution's sums. Otherwise the ops are done and recorded one by one.
Variable conv_norm_activation(const Variable& x, const Variable& weight, const Tensor& running_mean,
                              const Tensor& running_var, const Variable& norm_weight, const Variable& norm_bias,
                              const ConvNormOptions& options, const Variable& residual = {});

/// The activation as an op of its own.
Variable activate(const Variable& x, Activation activation, double slope = 0.01);

}  // namespace ar
