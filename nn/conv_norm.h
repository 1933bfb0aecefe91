// A convolution and its batch norm as one step of a network.
#pragma once
#include "autograd/fused.h"
#include "nn/layers.h"

namespace ar::nn {

/// activation(norm(conv(x)) + residual), in one pass where nothing needs to be remembered (see conv_norm_activation).
Variable conv_norm(const Conv2d& conv, const BatchNorm2d& norm, const Variable& x,
                   Activation activation = Activation::none, const Variable& residual = {}, double slope = 0.01);

}  // namespace ar::nn
