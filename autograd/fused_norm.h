// A batch norm inside a fused op: a scale and a shift on the way in, sums on the way back.
#pragma once
#include "autograd/dense_block.h"
#include "tensor/batch_norm_math.h"
#include "tensor/ops_norm.h"

namespace ar {

class FusedNorm {
 public:
  /// Of x (N,C,...), whose sums may be known already. In training it takes the batch's statistics and moves the running
  /// ones.
  FusedNorm(const Tensor& x, const ChannelSums& known, const NormParameters& norm, const BatchNormOptions& options);

  const Tensor& scale() const { return scale_; }
  const Tensor& shift() const { return shift_; }
  ops::Reader reader() const { return {.scale = scale_, .shift = shift_, .relu = true}; }
  /// A gate for the gradient of relu(norm(x)); its sums are collected here for finish().
  ops::Gate gate(const Tensor& x);
  /// What the gate's sums say: the gradients of weight and bias and, in training, the affine rest a + b*x of the
  /// input's gradient (zeros otherwise). Ends this pass: the sums start from zero again.
  BatchNormGradients finish();

 private:
  ChannelStats stats_;
  std::vector<double> weight_, sum_d_, sum_dx_;
  Tensor scale_, shift_, center_;
  double eps_;
  int64_t count_;
  bool training_;
};

/// gx += a + b * x, unless all of both are zero.
void add_affine_(const Tensor& x, std::span<const double> a, std::span<const double> b, const Tensor& gx);

}  // namespace ar
