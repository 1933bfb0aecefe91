// Pooling over (N,C,H,W).
#pragma once
#include <optional>

#include "autograd/conv.h"

namespace ar {

struct Pool2dOptions {
  Pair kernel = 1;
  std::optional<Pair> stride;  // default: the kernel
  Pair padding = 0;
  Pair dilation = 1;              // max pooling only
  bool ceil_mode = false;         // round output sizes up; no window starts in the right or bottom padding
  bool count_include_pad = true;  // average pooling only
};

/// The largest of each window; padding is -inf; NaN wins. The gradient goes to the first of equals.
Variable max_pool2d(const Variable& x, const Pool2dOptions& options);
Variable avg_pool2d(const Variable& x, const Pool2dOptions& options);
/// Output (i,j) averages rows floor(i*H/OH) .. ceil((i+1)*H/OH)-1, columns likewise.
Variable adaptive_avg_pool2d(const Variable& x, Pair output_size);

}  // namespace ar
