// Pooling over (N,C,H,W).
#pragma once
#include "autograd/variable.h"
#include "tensor/ops_pool.h"

namespace ar {

/// The largest of each window; padding is -inf; NaN wins. The gradient goes to the first of equals.
Variable max_pool2d(const Variable& x, const Pool2dOptions& options);
Variable avg_pool2d(const Variable& x, const Pool2dOptions& options);
/// Output (i,j) averages rows floor(i*H/OH) .. ceil((i+1)*H/OH)-1, columns likewise.
Variable adaptive_avg_pool2d(const Variable& x, Pair output_size);

}  // namespace ar
