#include "tensor/ops_softmax.h"

#include "tensor/ops_common.h"

namespace ar::ops {
namespace {

const char* softmax_name(bool log) { return log ? "log_softmax" : "softmax"; }

/// (N, C, rest): the view of x that the pick kernels want, C being dimension `dim`.
Tensor classes_second(const Tensor& x, int dim) {
  if (x.rank() == 1) return x.unsqueeze(0);
  Dims order;
  for (int d = 0; d < x.rank(); ++d)
    if (d != dim) order.push_back(d);
  order.insert(1, dim);
  return x.permute(order);
}
/// The same for a tensor that has no dimension C.
Tensor without_classes(const Tensor& y) { return y.rank() == 0 ? y.unsqueeze(0) : y; }

Dims erased(Dims shape, int dim) {
  shape.erase(dim);
  return shape;
}

void check_index(const char* op, const Tensor& x, int dim, const Tensor& index) {
  AR_CHECK(index.defined() && index.dtype() == Dtype::i64, op, ": indices must be int64, they are ", index.dtype());
  AR_CHECK(index.device() == x.device(), op, ": devices differ: ", x.device(), " and ", index.device());
  AR_CHECK(index.shape() == erased(x.shape(), dim), op, ": x ", x.shape(), " needs indices of shape ",
           erased(x.shape(), dim), ", not ", index.shape());
  if (!index.device().is_cpu()) return;  // the kernel gives NaN for what is out of range: the host need not wait
  for (int64_t i : index.to_vector<int64_t>())
    AR_CHECK(i < x.size(dim), op, ": index ", i, " is out of range for the ", x.size(dim), " entries of dimension ",
             dim, " of ", x.shape());
}

}  // namespace

Tensor softmax(const Tensor& x, int dim, bool log) {
  const char* name = softmax_name(log);
  AR_CHECK(x.defined(), name, ": an undefined tensor");
  const int d = checked_dim(name, dim, x.shape());
  const auto kernel = kernel_for(kernels_of(x).softmax, x.dtype(), name, kernels_of(x).name);
  const Tensor y = empty_like(x);
  if (x.numel()) kernel(d, log, x.view(), y.writable());
  return y;
}

Tensor softmax_backward(const Tensor& y, const Tensor& gy, int dim, bool log) {
  const char* name = softmax_name(log);
  check_alike(name, y, gy);
  AR_CHECK(y.shape() == gy.shape(), name, ": gradient ", gy.shape(), " does not fit ", y.shape());
  const int d = checked_dim(name, dim, y.shape());
  const auto kernel = kernel_for(kernels_of(y).softmax_backward, y.dtype(), name, kernels_of(y).name);
  const Tensor gx = empty_like(y);
  if (y.numel()) kernel(d, log, y.view(), gy.view(), gx.writable());
  return gx;
}

Tensor pick(const char* op, const Tensor& x, int dim, const Tensor& index) {
  AR_CHECK(x.defined(), op, ": an undefined tensor");
  const int d = checked_dim(op, dim, x.shape());
  check_index(op, x, d, index);
  const auto kernel = kernel_for(kernels_of(x).pick, x.dtype(), op, kernels_of(x).name);
  const Tensor y = empty(index.shape(), x.options());
  if (x.numel())
    kernel(classes_second(x, d).view(), without_classes(index).view(), without_classes(y).writable());
  else
    y.fill(0);  // all indices are negative
  return y;
}

Tensor pick_backward(const Tensor& gy, int dim, const Tensor& index, const Dims& shape, const TensorOptions& options) {
  const Tensor gx = zeros(shape, options);
  const auto kernel = kernel_for(kernels_of(gy).pick_backward, gy.dtype(), "pick", kernels_of(gy).name);
  if (gx.numel()) kernel(without_classes(gy).view(), without_classes(index).view(), classes_second(gx, dim).writable());
  return gx;
}

}  // namespace ar::ops
