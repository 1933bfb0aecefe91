// Passes over the channels of a tensor, the building blocks of normalisation: shapes and dtypes are checked here, once
// for all devices. x is (N,C,...) of rank 2 to 5; channels are dimension 1.
#pragma once
#include "tensor/ops_conv.h"

namespace ar::ops {

/// sum[c] += x, sum_sq[c] += x^2 over all else; [C] of f64. Either may be undefined.
void channel_sums(const Tensor& x, const Tensor& sum, const Tensor& sum_sq = {});
/// The sum of each channel as [C] of x's parameter_dtype: the gradient of a bias, of the result's gradient.
Tensor channel_totals(const Tensor& x);
/// y = activation(x * scale + shift + residual); scale, shift [C] of x's parameter_dtype; residual of x's shape and
/// dtype, or undefined; slope: of leaky_relu. `out` may be x itself.
Tensor channel_affine(const Tensor& x, const Tensor& scale, const Tensor& shift,
                      Activation activation = Activation::none, double slope = 0.01, const Tensor& residual = {},
                      const Tensor& out = {});
/// gate(g), see Gate. `out` may be g itself; accumulate: added to what `out` holds.
Tensor channel_gate(const Tensor& g, const Gate& gate, const Tensor& out = {}, bool accumulate = false);
/// y += a + b * x, in place; a, b [C] of x's parameter_dtype.
void channel_affine_add_(const Tensor& x, const Tensor& a, const Tensor& b, const Tensor& y);

/// What a batch norm does with x, per channel: y = x * scale + shift.
struct NormVectors {
  Tensor mean, var;             // [C] of f64
  Tensor scale, shift, center;  // [C] of the parameter_dtype; center is the mean
};
/// Where these come from: the sums of a batch, or else the running statistics (mean 0 and variance 1 without either).
struct NormSource {
  Tensor sum = {}, sum_sq = {};  // [C] of f64: of x + offset over `count` values
  int64_t count = 0;
  Tensor offset = {};                                                  // [C] of the parameter_dtype; undefined: 0
  bool shifted = false;                                                // the vectors are for x + offset, not for x
  Tensor weight = {}, bias = {}, running_mean = {}, running_var = {};  // [C] of the parameter_dtype, or undefined
  bool update = false;              // the running statistics move towards those of the batch,
  double momentum = 0;              // running += momentum * (batch - running), the variance unbiased,
  Tensor num_batches_tracked = {};  // and this, () of i64, grows by 1
  double eps = 1e-5;
};
/// For x (N,C,...), whose values are not read.
NormVectors norm_vectors(const Tensor& x, const NormSource& source);

/// The gradients of a norm's weight and bias [C]; and the affine rest of that of its input, gx = d * scale + a + b * x.
struct NormGradients {
  Tensor weight, bias, a, b;
};
/// What becomes of the rest: left out, given as a and b, or added to f64 sums [C].
struct NormRest {
  bool wanted = false;
  Tensor sum_a = {}, sum_b = {};
};
/// From the sums of a gate with `v.center`, over `count` values of each channel of x.
NormGradients norm_gradients(const Tensor& x, const NormVectors& v, const Tensor& weight, double eps, int64_t count,
                             const Tensor& sum_d, const Tensor& sum_dx, const NormRest& rest);

/// The mean of each 2x2 of relu(x * scale + shift): (N,C,H,W) -> (N,C,H/2,W/2), an odd last row or column is left out.
Tensor norm_relu_pool2(const Tensor& x, const Tensor& scale, const Tensor& shift, const Tensor& out = {});
/// Its gradient: gate() of gy / 4, spread over the pixels; gx has gate.x's shape.
Tensor norm_relu_pool2_backward(const Tensor& gy, const Gate& gate, const Tensor& out = {}, bool accumulate = false);

/// y = x / (k + alpha/size * sum of x^2 over `size` neighbouring channels)^beta, (N,C,H,W).
Tensor local_response_norm(const Tensor& x, const LrnParams& params);
Tensor local_response_norm_backward(const Tensor& x, const Tensor& gy, const LrnParams& params);

}  // namespace ar::ops
