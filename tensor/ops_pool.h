// Pooling on tensors (N,C,H,W): shapes and dtypes are checked here, once for all devices. Results are channels-last, or
// written into `out` (the result's shape, any strides: for instance a range of channels of a wider tensor).
#pragma once
#include <optional>

#include "tensor/ops_conv.h"

namespace ar {

struct Pool2dOptions {
  Pair kernel = 1;
  std::optional<Pair> stride = {};  // default: the kernel
  Pair padding = 0;
  Pair dilation = 1;              // max pooling only
  bool ceil_mode = false;         // round output sizes up; no window starts in the right or bottom padding
  bool count_include_pad = true;  // average pooling only
};

}  // namespace ar

namespace ar::ops {

/// The shape of max_pool2d's result. Throws Error when the options do not fit x (N,C,H,W).
Dims max_pool2d_shape(const Dims& x, const Pool2dOptions& options);

struct MaxPool2dResult {
  Tensor y;
  Tensor indices;  // i32: h * W + w of the pixel that was chosen; undefined if not asked for
};
/// The largest of each window; padding is -inf; NaN wins; the first of equals.
MaxPool2dResult max_pool2d(const Tensor& x, const Pool2dOptions& options, const Tensor& out = {},
                           bool with_indices = true);
/// Options as those of the pooling.
Tensor max_pool2d_backward(const Tensor& gy, const Tensor& indices, const Dims& x_shape, const Pool2dOptions& options);

Tensor avg_pool2d(const Tensor& x, const Pool2dOptions& options, const Tensor& out = {});
Tensor avg_pool2d_backward(const Tensor& gy, const Dims& x_shape, const Pool2dOptions& options);

/// Output (i,j) averages rows floor(i*H/OH) .. ceil((i+1)*H/OH)-1, columns likewise.
Tensor adaptive_avg_pool2d(const Tensor& x, Pair output_size, const Tensor& out = {});
Tensor adaptive_avg_pool2d_backward(const Tensor& gy, const Dims& x_shape);

}  // namespace ar::ops
