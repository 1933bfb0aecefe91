// The order in which a tensor's logical dimensions lie in memory.
#pragma once
#include <ostream>

#include "tensor/dims.h"

namespace ar {

/// Logical order is always (N,C,H,W) and (B,C,T,H,W). channels_last moves C behind all others, for ranks 4 and 5 only
/// (N,H,W,C and B,T,H,W,C in memory); other ranks are row-major either way.
enum class Layout { channels_last, channels_first };

inline std::ostream& operator<<(std::ostream& out, Layout l) {
  return out << (l == Layout::channels_last ? "channels_last" : "channels_first");
}

/// The dimensions from the slowest to the fastest in memory.
inline Dims memory_order(int rank, Layout layout) {
  Dims order;
  for (int d = 0; d < rank; ++d) order.push_back(d);
  if (layout == Layout::channels_last && (rank == 4 || rank == 5)) {
    order.erase(1);
    order.push_back(1);
  }
  return order;
}

/// Strides, in elements, of a dense tensor of this shape. Throws Error when they do not fit.
inline Dims dense_strides(const Dims& shape, Layout layout) {
  Dims strides = Dims::filled(shape.size(), 0);
  const Dims order = memory_order(shape.size(), layout);
  int64_t step = 1;
  for (int i = shape.size() - 1; i >= 0; --i) {
    strides[int(order[i])] = step;
    AR_CHECK(!__builtin_mul_overflow(step, std::max<int64_t>(shape[int(order[i])], 1), &step), "tensor: shape ", shape,
             " is larger than memory can be");
  }
  return strides;
}

}  // namespace ar
