// Differentiable changes of shape. All but cat, stack and reshape (where it must) are views.
#pragma once
#include "autograd/variable.h"

namespace ar {

/// Elements in logical (row-major) order; copies if no view can do it. One size may be -1.
Variable reshape(const Variable& x, const Dims& shape);
/// Joins dimensions first..last into one.
Variable flatten(const Variable& x, int first = 1, int last = -1);
Variable permute(const Variable& x, const Dims& order);
Variable transpose(const Variable& x, int a, int b);
Variable narrow(const Variable& x, int dim, int64_t start, int64_t length);
Variable select(const Variable& x, int dim, int64_t index);
Variable expand(const Variable& x, const Dims& shape);
Variable squeeze(const Variable& x, int dim);
Variable unsqueeze(const Variable& x, int dim);
/// Joins along dim. Neighbours in memory become a view, anything else a copy.
Variable cat(const std::vector<Variable>& xs, int dim);
/// Joins along a new dimension.
Variable stack(const std::vector<Variable>& xs, int dim);
/// (B,C,T,H,W) -> (B*T,C,H,W): frames of a channels-last video batch as images, a view.
Variable fold_time(const Variable& x);

}  // namespace ar
