// What the checks of all tensor operations share.
#pragma once
#include "tensor/backend.h"
#include "tensor/tensor.h"

namespace ar::ops {

/// The kernels of x's device.
inline const Kernels& kernels_of(const Tensor& x) { return kernels(x.device()); }

/// Throws Error naming `op` unless a and b are defined and of one dtype and device.
inline void check_alike(const char* op, const Tensor& a, const Tensor& b) {
  AR_CHECK(a.defined() && b.defined(), op, ": an undefined tensor");
  AR_CHECK(a.dtype() == b.dtype(), op, ": dtypes differ: ", a.dtype(), " and ", b.dtype());
  AR_CHECK(a.device() == b.device(), op, ": devices differ: ", a.device(), " and ", b.device());
}

/// `dim` counted from the front; throws Error naming `op` when x has no such dimension.
inline int checked_dim(const char* op, int64_t dim, const Dims& shape) {
  AR_CHECK(dim >= -shape.size() && dim < shape.size(), op, ": dimension ", dim, " is out of range for shape ", shape);
  return int(dim < 0 ? dim + shape.size() : dim);
}

}  // namespace ar::ops
