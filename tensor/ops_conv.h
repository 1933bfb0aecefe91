// Convolution on tensors: shapes and dtypes are checked here, once for all devices; weights are packed here.
#pragma once
#include "tensor/kernels.h"
#include "tensor/tensor.h"

namespace ar {

/// A height and a width; one number stands for both.
struct Pair {
  int64_t h = 0, w = 0;
  constexpr Pair(int64_t both) : h(both), w(both) {}
  constexpr Pair(int64_t h, int64_t w) : h(h), w(w) {}
};

/// Zeros around an image; one number for all sides, two for height and width, or each side by itself.
struct Padding {
  int64_t top = 0, left = 0, bottom = 0, right = 0;
  constexpr Padding(int64_t all) : top(all), left(all), bottom(all), right(all) {}
  constexpr Padding(int64_t h, int64_t w) : top(h), left(w), bottom(h), right(w) {}
  constexpr Padding(int64_t top, int64_t left, int64_t bottom, int64_t right)
      : top(top), left(left), bottom(bottom), right(right) {}
};

struct Conv2dOptions {
  Pair stride = 1;
  Padding padding = 0;
  Pair dilation = 1;
  int64_t groups = 1;
};

}  // namespace ar

namespace ar::ops {

/// What happens to the input as it is read, per input channel: x' = activation(x * scale + shift). Vectors [C] of x's
/// parameter_dtype; undefined: x as it is. Padding is added after. (ConvReader, in tensors.)
struct Reader {
  Tensor scale = {}, shift = {};
  Activation activation = Activation::none;
  double slope = 0.01;  // of leaky_relu
};

/// What happens to the sums before they are stored, per output channel, in this order: y = sum * scale + shift;
/// y += residual, of y's shape; y = activation(y); sum += y, sum_sq += y^2 over all pixels. Vectors [O] of x's
/// parameter_dtype; undefined: 1 and 0. The sums are [O] of f64, or undefined (not asked for). (ConvEpilogue, in
/// tensors.)
struct Epilogue {
  Tensor scale = {}, shift = {}, residual = {};
  Activation activation = Activation::none;
  double slope = 0.01;  // of leaky_relu
  Tensor sum = {}, sum_sq = {};
};

/// The gradient through x' = activation(x * scale + shift), given the gradient g of x': d = g * activation'(x * scale +
/// shift); gx = d * scale; sum_d += d, sum_dx += d * (x - center) over all pixels. x has gx's shape; vectors [C] of its
/// parameter_dtype, center undefined: 0; the sums are [C] of f64, or undefined (not asked for). x undefined: no gate.
/// (ConvGate, in tensors.)
struct Gate {
  Tensor x = {}, scale = {}, shift = {};
  Activation activation = Activation::none;
  double slope = 0.01;  // of leaky_relu
  Tensor sum_d = {}, sum_dx = {};
  Tensor center = {};
};

/// Where weights in the kernels' own order are kept. cached: with the weight's storage until it is written to next, for
/// inference and frozen weights; temporary: for this call.
enum class Packing { temporary, cached };

/// x itself if its channels (dimension 1) lie side by side, else a channels-last copy, which is counted.
Tensor channels_together(const Tensor& x);

/// (N, O, OH, OW) with OH = floor((H + top + bottom - dilation * (KH - 1) - 1) / stride) + 1. Throws Error when x
/// (N,C,H,W) and weight (O,C/groups,KH,KW) do not fit each other or the options.
Dims conv2d_shape(const Dims& x, const Dims& weight, const Conv2dOptions& options);

/// Weights are of x's parameter_dtype: f32 for bf16.
///
/// y = epilogue(conv(reader(x), weight)), channels-last, or written into `out` (y's shape, channel stride 1: for
/// instance a range of channels of a wider tensor). `out` is returned then.
Tensor conv2d(const Tensor& x, const Tensor& weight, const Conv2dOptions& options = {}, const Reader& reader = {},
              const Epilogue& epilogue = {}, const Tensor& out = {}, Packing packing = Packing::temporary);

/// The gradient of conv2d's (read) input: gx = gate(conv_transpose(gy, weight)), channels-last or into `out`;
/// accumulate: added to what `out` holds.
Tensor conv2d_backward_data(const Tensor& gy, const Tensor& weight, const Dims& x_shape,
                            const Conv2dOptions& options = {}, const Gate& gate = {}, const Tensor& out = {},
                            bool accumulate = false, Packing packing = Packing::temporary);

/// The gradient of the weight: sums over pixels of reader(x) and gy. Of weight's shape and order in memory (its values
/// are not read) and dtype, or into `out` (any strides); accumulate: added to what `out` holds.
Tensor conv2d_backward_weight(const Tensor& x, const Tensor& gy, const Tensor& weight,
                              const Conv2dOptions& options = {}, const Reader& reader = {}, const Tensor& out = {},
                              bool accumulate = false);

}  // namespace ar::ops
