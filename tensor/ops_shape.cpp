#include "tensor/ops_shape.h"

#include "tensor/ops_common.h"

namespace ar::ops {

std::optional<Tensor> joined(const std::vector<Tensor>& xs, int dim) {
  Tensor whole;
  for (const Tensor& x : xs) {
    if (x.numel() == 0) continue;
    if (!whole.defined()) {
      whole = x;
      continue;
    }
    const int64_t step = whole.stride(dim), length = whole.size(dim);
    if (!x.shares_memory_with(whole) || x.dtype() != whole.dtype() || step <= 0) return {};
    if (x.offset() != whole.offset() + length * step) return {};
    for (int d = 0; d < x.rank(); ++d)
      if (x.stride(d) != whole.stride(d) && (d == dim || x.size(d) != 1)) return {};
    Dims shape = whole.shape();
    shape[dim] += x.size(dim);
    whole = Tensor(whole.storage(), whole.offset(), shape, whole.strides(), whole.dtype());
  }
  if (!whole.defined()) return {};
  return whole;
}

Tensor cat(const std::vector<Tensor>& xs, int dim) {
  AR_CHECK(!xs.empty(), "cat: nothing to join");
  const Tensor& first = xs[0];
  AR_CHECK(first.defined(), "cat: an undefined tensor");
  const int at = checked_dim("cat", dim, first.shape());
  Dims shape = first.shape();
  shape[at] = 0;
  for (const Tensor& x : xs) {
    check_alike("cat", first, x);
    AR_CHECK(x.rank() == first.rank(), "cat: ranks differ: ", first.shape(), " and ", x.shape());
    for (int d = 0; d < x.rank(); ++d)
      AR_CHECK(d == at || x.size(d) == shape[d], "cat: shapes must be equal but for dimension ", at, ": ",
               first.shape(), " and ", x.shape());
    shape[at] += x.size(at);
  }
  if (const auto view = joined(xs, at)) return *view;
  const Tensor y = empty(shape, first.options());
  int64_t start = 0;
  for (const Tensor& x : xs) {
    y.narrow(at, start, x.size(at)).copy_from(x);
    start += x.size(at);
  }
  return y;
}

Tensor stack(const std::vector<Tensor>& xs, int dim) {
  AR_CHECK(!xs.empty(), "stack: nothing to join");
  std::vector<Tensor> slices;
  for (const Tensor& x : xs) {
    AR_CHECK(x.shape() == xs[0].shape(), "stack: shapes must be equal: ", xs[0].shape(), " and ", x.shape());
    slices.push_back(x.unsqueeze(dim));
  }
  return cat(slices, dim);
}

Tensor fold_time(const Tensor& x) {
  AR_CHECK(x.rank() == 5, "fold_time: x must be (B,C,T,H,W), it is ", x.shape());
  const Dims folded{x.size(0) * x.size(2), x.size(1), x.size(3), x.size(4)};
  const Tensor frames = x.permute({0, 2, 1, 3, 4});
  if (frames.can_reshape(folded)) return frames.reshape(folded);
  return x.contiguous(Layout::channels_last).permute({0, 2, 1, 3, 4}).reshape(folded);
}

Tensor unfold_time(const Tensor& x, int64_t frames) {
  AR_CHECK(x.rank() == 4 && frames > 0 && x.size(0) % frames == 0,
           "unfold_time: x must be (B*T,C,H,W) with T = ", frames, ", it is ", x.shape());
  return x.reshape({x.size(0) / frames, frames, x.size(1), x.size(2), x.size(3)}).permute({0, 2, 1, 3, 4});
}

}  // namespace ar::ops
