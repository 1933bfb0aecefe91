// The inference of conv_norm: each norm is a scale and a shift of its convolution's sums.
#pragma once
#include "tensor/ops_conv.h"

namespace ar {

/// epilogue(conv2d(x, weight))
struct FoldedConv {
  Tensor weight;
  Conv2dOptions conv;
  ops::Epilogue epilogue;
};

/// The steps one after another, the last one's residual included. On the CPU a few images, or a band of rows of one,
/// pass through all of them before the next: what lies between two steps is read from the cache it was written to. Rows
/// that two bands need are computed twice.
Tensor folded(const Tensor& x, std::vector<FoldedConv> steps);

}  // namespace ar
