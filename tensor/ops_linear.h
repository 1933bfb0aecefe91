// Linear maps of rows, y = x w^T + b, and their gradients: x (M,C), w (O,C), y (M,O). Arguments have been checked.
//
// Weights that rest run as a 1x1 convolution, on packed weights that are kept. Weights that change with every step
// would be packed for one use: they are multiplied where they lie instead.
#pragma once
#include "tensor/ops_conv.h"

namespace ar::ops {

/// (..., C) as (M,C) with the elements of a row side by side; a copy where it must be.
Tensor rows_of(const Tensor& x);

/// Writes y; bias (O) may be undefined. Elements of a row of x, w and y lie side by side.
void linear(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& y, Packing packing);
/// gx = gy w.
void linear_backward_data(const Tensor& gy, const Tensor& w, const Tensor& gx, Packing packing);
/// gw = gy^T x.
void linear_backward_weight(const Tensor& x, const Tensor& gy, const Tensor& gw);

}  // namespace ar::ops
