// Convolutions and their batch norms as steps of a network.
#pragma once
#include "autograd/conv_norm.h"
#include "nn/layers.h"

namespace ar::nn {

/// activation(norm(conv(x))); the convolution has no bias.
struct ConvNormStep {
  const Conv2d& conv;
  const BatchNorm2d& norm;
  Activation activation = Activation::none;
  double slope = 0.01;  // of leaky_relu
};

/// The steps one after another, the residual added before the last one's activation (see ar::conv_norm).
Variable conv_norm(const Variable& x, const std::vector<ConvNormStep>& steps, const Variable& residual = {});

}  // namespace ar::nn
