#include "tensor/ops_linear.h"

#include "tensor/ops_common.h"

namespace ar::ops {
namespace {

/// (rows, c) as images (rows, c, 1, 1). Height and width get the rows' stride, so that kernels see one run of pixels.
Tensor pixels(const Tensor& m) {
  const int64_t row = m.stride(0);
  return Tensor(m.storage(), m.offset(), {m.size(0), m.size(1), 1, 1}, {row, m.stride(1), row, row}, m.dtype());
}

bool has_product(const Tensor& x, const Tensor& w) { return x.dtype() == w.dtype() && kernels_of(x).gemm[x.dtype()]; }

/// c (+)= a b, matrices of any strides.
void product(const Tensor& a, const Tensor& b, const Tensor& c, bool accumulate) {
  kernels_of(a).gemm[a.dtype()](a.unsqueeze(0).view(), b.unsqueeze(0).view(), c.unsqueeze(0).writable(), accumulate);
}

}  // namespace

Tensor rows_of(const Tensor& x) {
  const int64_t c = x.shape().back();
  int64_t rows = 1;
  for (int d = 0; d + 1 < x.rank(); ++d) rows *= x.size(d);
  const Tensor m = x.reshape_copy({rows, c});
  return c == 1 || m.stride(1) == 1 ? m : m.clone(Layout::channels_first);
}

void linear(const Tensor& x, const Tensor& w, const Tensor& bias, const Tensor& y, Packing packing) {
  if (packing == Packing::cached || x.numel() == 0 || !has_product(x, w)) {
    conv2d(pixels(x), pixels(w), {}, {}, {.shift = bias}, pixels(y), packing);
    return;
  }
  if (bias.defined()) y.copy_from(bias.expand(y.shape()));
  product(x, w.transpose(0, 1), y, bias.defined());
}

void linear_backward_data(const Tensor& gy, const Tensor& w, const Tensor& gx, Packing packing) {
  if (packing == Packing::cached || gy.numel() == 0 || !has_product(gy, w))
    conv2d_backward_data(pixels(gy), pixels(w), {gx.size(0), gx.size(1), 1, 1}, {}, {}, pixels(gx), false, packing);
  else
    product(gy, w, gx, false);
}

void linear_backward_weight(const Tensor& x, const Tensor& gy, const Tensor& gw) {
  if (x.numel() == 0 || !has_product(x, gw))
    conv2d_backward_weight(pixels(x), pixels(gy), pixels(gw), {}, {}, pixels(gw));
  else
    product(gy.transpose(0, 1), x, gw, false);
}

}  // namespace ar::ops
