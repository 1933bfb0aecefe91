// Passes over the channels of a tensor, the building blocks of normalisation: shapes and dtypes are checked here, once
// for all devices. x is (N,C,...) of rank 2 to 5; channels are dimension 1.
#pragma once
#include <span>
#include <vector>

#include "tensor/ops_conv.h"

namespace ar::ops {

/// Values per channel, as [C] of this dtype.
Tensor channel_vector(std::span<const double> values, Dtype dtype, Device device);
/// For use beside x: of its parameter_dtype, on its device.
Tensor channel_vector(std::span<const double> values, const Tensor& x);

/// sum[c] += x, sum_sq[c] += x^2 over all else. Either may be empty.
void channel_sums(const Tensor& x, std::span<double> sum, std::span<double> sum_sq = {});
/// The sum of each channel as [C] of x's parameter_dtype: the gradient of a bias, of the result's gradient.
Tensor channel_totals(const Tensor& x);
/// y = activation(x * scale + shift); scale, shift [C] of x's parameter_dtype. `out` may be x itself.
Tensor channel_affine(const Tensor& x, const Tensor& scale, const Tensor& shift,
                      Activation activation = Activation::none, const Tensor& out = {});
/// gate(g), see Gate. `out` may be g itself; accumulate: added to what `out` holds.
Tensor channel_gate(const Tensor& g, const Gate& gate, const Tensor& out = {}, bool accumulate = false);
/// y += a + b * x, in place; a, b [C] of x's parameter_dtype.
void channel_affine_add_(const Tensor& x, const Tensor& a, const Tensor& b, const Tensor& y);

/// The mean of each 2x2 of relu(x * scale + shift): (N,C,H,W) -> (N,C,H/2,W/2), an odd last row or column is left out.
Tensor norm_relu_pool2(const Tensor& x, const Tensor& scale, const Tensor& shift, const Tensor& out = {});
/// Its gradient: gate() of gy / 4, spread over the pixels; gx has gate.x's shape.
Tensor norm_relu_pool2_backward(const Tensor& gy, const Gate& gate, const Tensor& out = {}, bool accumulate = false);

/// y = x / (k + alpha/size * sum of x^2 over `size` neighbouring channels)^beta, (N,C,H,W).
Tensor local_response_norm(const Tensor& x, const LrnParams& params);
Tensor local_response_norm_backward(const Tensor& x, const Tensor& gy, const LrnParams& params);

}  // namespace ar::ops
