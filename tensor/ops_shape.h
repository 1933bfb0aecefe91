// Joining tensors, and the fold of time into the batch. Other changes of shape are members of Tensor.
#pragma once
#include <optional>
#include <vector>

#include "tensor/tensor.h"

namespace ar::ops {

/// The one view that covers xs side by side along dim, if they lie so in memory already.
std::optional<Tensor> joined(const std::vector<Tensor>& xs, int dim);
/// Joins along dim: a view where joined() gives one, else a dense copy in the layout of the first. Shapes are equal but
/// for dim, and so are dtypes.
Tensor cat(const std::vector<Tensor>& xs, int dim);
/// Joins along a new dimension.
Tensor stack(const std::vector<Tensor>& xs, int dim);

/// (B,C,T,H,W) -> (B*T,C,H,W): a view of channels-last video, also with padded rows; what lies otherwise is copied.
Tensor fold_time(const Tensor& x);
/// The way back, a view: (B*T,C,H,W) -> (B,C,T,H,W).
Tensor unfold_time(const Tensor& x, int64_t frames);

}  // namespace ar::ops
