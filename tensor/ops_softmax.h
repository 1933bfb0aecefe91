// Softmax, and the choice of one class per row.
#pragma once
#include "tensor/tensor.h"

namespace ar::ops {

/// y = e^x / sum e^x along dim; log: its logarithm. Of x's order in memory.
Tensor softmax(const Tensor& x, int dim, bool log);
/// gx from y and gy: y * (gy - sum(gy * y)); log: gy - e^y * sum(gy).
Tensor softmax_backward(const Tensor& y, const Tensor& gy, int dim, bool log);

/// y = x[..., index[...], ...]: the element along dim that index (i64, of x's shape without dim) names; 0 where it is
/// negative. Throws Error naming `op` on an index past the end; on a GPU, where the host does not look, NaN.
Tensor pick(const char* op, const Tensor& x, int dim, const Tensor& index);
/// Its gradient: zeros of x's shape, layout and dtype, with gy where index points.
Tensor pick_backward(const Tensor& gy, int dim, const Tensor& index, const Dims& shape, const TensorOptions& options);

}  // namespace ar::ops
