// Reductions of tensors. Results are dense, in x's layout.
#pragma once
#include "tensor/kernels.h"
#include "tensor/tensor.h"

namespace ar::ops {

/// The dimensions that `dims` names in a tensor of this shape, counted from the front, in ascending order; all of them
/// if it names none. Throws Error naming `op` on one out of range or named twice.
Dims reduced_dims(const char* op, const Dims& dims, const Dims& shape);
/// The shape with size 1 in these dimensions.
Dims kept_shape(const Dims& shape, const Dims& dims);

/// y = op over `dims` (none: over all) of x; keepdim leaves size-1 dimensions behind. The sum of nothing is 0; max and
/// min of nothing throw Error.
Tensor reduce(ReduceOp op, const Tensor& x, const Dims& dims = {}, bool keepdim = false);
inline Tensor sum(const Tensor& x, const Dims& dims = {}, bool keepdim = false) {
  return reduce(ReduceOp::sum, x, dims, keepdim);
}
/// Undoes broadcasting: the sum of x over all that expand(shape) repeated. x itself where nothing was.
Tensor sum_to(const Tensor& x, const Dims& shape);
/// Where the largest along dim is, i64; the first of equals, and NaN counts as largest. Throws Error on an empty dim.
Tensor arg_max(const Tensor& x, int dim, bool keepdim = false);

}  // namespace ar::ops
