// Two-dimensional convolution.
#pragma once
#include "autograd/variable.h"

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

/// Cross-correlation, as PyTorch's conv2d: x (N,C,H,W), weight (O,C/groups,KH,KW), bias (O) or undefined ->
/// y (N,O,OH,OW) channels-last, OH = floor((H + top + bottom - dilation*(KH-1) - 1) / stride) + 1.
///   y[n,o,i,j] = bias[o] + sum over c,p,q of x[n, c, i*stride + p*dilation - top, ...] * weight[o,c,p,q]
Variable conv2d(const Variable& x, const Variable& weight, const Variable& bias = {},
                const Conv2dOptions& options = {});

}  // namespace ar
