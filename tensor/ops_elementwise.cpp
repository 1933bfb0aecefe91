#include "tensor/ops_elementwise.h"

#include "tensor/ops_common.h"

namespace ar::ops {
namespace {

constexpr const char* kUnaryNames[] = {"affine", "relu", "relu6",  "leaky_relu", "sigmoid",    "tanh", "exp",
                                       "log",    "sqrt", "square", "abs",        "reciprocal", "clamp"};
constexpr const char* kBinaryNames[] = {"add", "sub", "mul", "div", "max", "min"};
static_assert(std::size(kUnaryNames) == size_t(UnaryOp::count) && std::size(kBinaryNames) == size_t(BinaryOp::count));

/// A fresh result of this shape, in the order of whichever operand already has the shape.
Tensor result_like(const Dims& shape, const Tensor& a, const Tensor& b) {
  if (a.shape() == shape) return empty_like(a);
  if (b.shape() == shape) return empty_like(b);
  return empty(shape, a.options());
}

}  // namespace

Tensor unary(UnaryOp op, const Tensor& x, Params params) {
  const auto kernel = kernel_for(kernels_of(x).unary, x.dtype(), kUnaryNames[int(op)], kernels_of(x).name);
  Tensor y = empty_like(x);
  if (x.numel()) kernel(op, params, x.view(), y.writable());
  return y;
}

void unary_(UnaryOp op, const Tensor& x, Params params) {
  const auto kernel = kernel_for(kernels_of(x).unary, x.dtype(), kUnaryNames[int(op)], kernels_of(x).name);
  x.check_separate(kUnaryNames[int(op)]);
  if (x.numel()) kernel(op, params, x.view(), x.writable());
}

Tensor unary_backward(UnaryOp op, const Tensor& saved, const Tensor& gy, Params params) {
  const char* name = kUnaryNames[int(op)];
  check_alike(name, saved, gy);
  AR_CHECK(saved.shape() == gy.shape(), name, ": gradient ", gy.shape(), " does not fit ", saved.shape());
  const auto kernel = kernel_for(kernels_of(gy).unary_backward, gy.dtype(), name, kernels_of(gy).name);
  Tensor gx = empty_like(saved);
  if (gx.numel()) kernel(op, params, saved.view(), gy.view(), gx.writable());
  return gx;
}

Dims broadcast_shape(const char* op, const Dims& a, const Dims& b) {
  Dims shape = a.size() >= b.size() ? a : b;
  const Dims& other = a.size() >= b.size() ? b : a;
  const int added = shape.size() - other.size();
  for (int i = 0; i < other.size(); ++i) {
    int64_t& n = shape[i + added];
    AR_CHECK(n == other[i] || n == 1 || other[i] == 1, op, ": shapes ", a, " and ", b, " do not broadcast");
    if (n == 1) n = other[i];
  }
  return shape;
}

Tensor binary(BinaryOp op, const Tensor& a, const Tensor& b) {
  const char* name = kBinaryNames[int(op)];
  check_alike(name, a, b);
  const Dims shape = broadcast_shape(name, a.shape(), b.shape());
  const auto kernel = kernel_for(kernels_of(a).binary, a.dtype(), name, kernels_of(a).name);
  Tensor y = result_like(shape, a, b);
  if (y.numel()) kernel(op, a.expand(shape).view(), b.expand(shape).view(), y.writable());
  return y;
}

void axpby_(double a, const Tensor& x, double b, const Tensor& y) {
  check_alike("axpby_", x, y);
  const auto kernel = kernel_for(kernels_of(y).axpby, y.dtype(), "axpby_", kernels_of(y).name);
  y.check_separate("axpby_");
  if (y.numel()) kernel(a, x.apart_from(y).expand(y.shape()).view(), b, y.writable());
}

Tensor dropout(const Tensor& x, double p, PhiloxState state) {
  AR_CHECK(p >= 0 && p < 1, "dropout: probability must be in [0, 1), it is ", p);
  const auto kernel = kernel_for(kernels_of(x).dropout, x.dtype(), "dropout", kernels_of(x).name);
  Tensor y = empty_like(x);
  if (x.numel()) kernel(p, state, x.view(), y.writable());
  return y;
}

bool any_nonfinite(const Tensor& x) {
  if (!is_floating(x.dtype())) return false;
  const auto kernel = kernel_for(kernels_of(x).any_nonfinite, x.dtype(), "any_nonfinite", kernels_of(x).name);
  bool flag = false;
  if (x.numel()) kernel(x.view(), &flag);
  return flag;
}

}  // namespace ar::ops
