// Matrix products.
#pragma once
#include "autograd/variable.h"

namespace ar {

/// (..., M, K) x (..., K, N) -> (..., M, N); leading dimensions are equal or broadcast. ga = g b^T, gb = a^T g.
Variable matmul(const Variable& a, const Variable& b);
/// y = x w^T + b over the last dimension: x (..., in), w (out, in), b (out) or undefined. gx = g w, gw = g^T x, gb =
/// sum g.
Variable linear(const Variable& x, const Variable& weight, const Variable& bias = {});

}  // namespace ar
