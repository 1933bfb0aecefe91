// Differentiable reductions. `dims` may be negative; keepdim leaves size-1 dimensions behind.
#pragma once
#include "autograd/variable.h"

namespace ar {

/// Of all elements: shape [].
Variable sum(const Variable& x);
Variable mean(const Variable& x);
Variable sum(const Variable& x, const Dims& dims, bool keepdim = false);
/// Throws Error when nothing is left to average.
Variable mean(const Variable& x, const Dims& dims, bool keepdim = false);
/// The largest along dim; the gradient goes to the first of equals. Throws Error on an empty dimension.
Variable max(const Variable& x, int dim, bool keepdim = false);

}  // namespace ar
