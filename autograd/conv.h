// Two-dimensional convolution.
#pragma once
#include "autograd/variable.h"
#include "tensor/ops_conv.h"

namespace ar {

/// Cross-correlation, as PyTorch's conv2d: x (N,C,H,W), weight (O,C/groups,KH,KW), bias (O) or undefined ->
/// y (N,O,OH,OW) channels-last, OH = floor((H + top + bottom - dilation*(KH-1) - 1) / stride) + 1.
///   y[n,o,i,j] = bias[o] + sum over c,p,q of x[n, c, i*stride + p*dilation - top, ...] * weight[o,c,p,q]
Variable conv2d(const Variable& x, const Variable& weight, const Variable& bias = {},
                const Conv2dOptions& options = {});

}  // namespace ar
