// Convolutions with their batch norms and activations, one after another: the body of most networks' blocks.
//
// A block of n steps keeps one tensor a step, the sums z of its convolution. Their batch's statistics are taken while
// they are stored; norm and activation happen where the next convolution reads them, and again in the backward pass,
// where its data gradient goes out through the gate of both (Ioffe & Szegedy 2015; the gradient is that of
// batch_norm). What lies between two steps is never written to memory. DenseNet's blocks do the same in a buffer they
// share, see dense_block.h.
#pragma once
#include "autograd/conv.h"
#include "autograd/norm.h"

namespace ar {

/// activation(batch_norm(conv2d(x, weight)))
struct ConvNorm {
  Variable weight;
  NormParameters norm;  // weight and bias may be undefined, and so may both running statistics
  Conv2dOptions conv = {};
  BatchNormOptions mode = {};
};

/// The steps one after another; the last one's result is activation(batch_norm(conv2d(..)) + residual), residual
/// undefined: none, else of y's shape. Without gradients and with running statistics each step is one pass: the norm
/// becomes a scale and a shift of the convolution's sums.
Variable conv_norm(const Variable& x, const std::vector<ConvNorm>& steps, const Variable& residual = {});

/// The activation as an op of its own.
Variable activate(const Variable& x, Activation activation, double slope = 0.01);

}  // namespace ar
