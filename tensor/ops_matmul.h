// Matrix products of tensors.
#pragma once
#include "tensor/tensor.h"

namespace ar::ops {

/// (..., M, K) x (..., K, N) -> (..., M, N), a fresh row-major tensor; leading dimensions are equal or broadcast.
/// Operands may be strided in any way: pass b.transpose(-1, -2) for a b^T.
Tensor matmul(const Tensor& a, const Tensor& b);

}  // namespace ar::ops
