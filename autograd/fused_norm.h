// A batch norm inside a fused op: a scale, a shift and an activation on the way in, sums on the way back.
#pragma once
#include "autograd/batch_stats.h"
#include "autograd/norm.h"
#include "tensor/ops_norm.h"

namespace ar {

class FusedNorm {
 public:
  /// Of x (N,C,...), whose sums may be known already. In training it takes the batch's statistics and moves the running
  /// ones.
  FusedNorm(const Tensor& x, const ChannelSums& known, const NormParameters& norm, const BatchNormOptions& options);

  /// Does such a norm take the statistics of the batch?
  static bool uses_batch(const NormParameters& norm, const BatchNormOptions& options);

  const Tensor& scale() const { return vectors_.scale; }
  const Tensor& shift() const { return vectors_.shift; }
  ops::Reader reader() const {
    return {.scale = scale(), .shift = shift(), .activation = activation_, .slope = slope_};
  }
  /// The norm behind a convolution instead of before the next one.
  ops::Epilogue epilogue() const {
    return {.scale = scale(), .shift = shift(), .activation = activation_, .slope = slope_};
  }
  /// A gate for the gradient of activation(norm(x)); its sums are collected here for finish().
  ops::Gate gate(const Tensor& x);
  /// What the gate's sums say: the gradients of weight and bias, and the affine rest a + b*x of the input's gradient,
  /// added to gx here.
  ops::NormGradients finish(const Tensor& x, const Tensor& gx);
  /// The same, with a and b added to sums of the rests, [C] of f64.
  ops::NormGradients finish_later(const Tensor& x, const Tensor& sum_a, const Tensor& sum_b);

 private:
  ops::NormVectors vectors_;
  Saved weight_;
  ChannelSums gated_;
  double eps_;
  int64_t count_;
  bool of_batch_;
  Activation activation_;
  double slope_;
};

}  // namespace ar
