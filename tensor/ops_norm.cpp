#include "tensor/ops_norm.h"

#include "tensor/ops_checks.h"

namespace ar::ops {
using namespace detail;

namespace {

void check_rank(const char* op, const Tensor& x) {
  AR_CHECK(x.rank() >= 2 && x.rank() <= 5, op, ": x must have 2 to 5 dimensions (N,C,...), it has shape ", x.shape());
}

/// `out` if given, after checks, else a fresh tensor in the order of `like`.
Tensor result(const char* op, const Dims& shape, const Tensor& like, const Tensor& out, bool accumulate = false) {
  if (!out.defined()) {
    AR_CHECK(!accumulate, op, ": accumulate needs an out tensor");
    return shape == like.shape() ? empty_like(like) : empty(shape, {.dtype = like.dtype(), .device = like.device()});
  }
  check_out(op, out, shape, like);
  return out;
}

const void* needed_vector(const char* op, const char* what, const Tensor& v, const Tensor& x) {
  AR_CHECK(v.defined(), op, ": ", what, " is needed");
  return vector_data(op, what, v, x.size(1), x);
}

Dims half_size(const char* op, const Dims& x) {
  AR_CHECK(x.size() == 4, op, ": x must have 4 dimensions (N,C,H,W), it has shape ", x);
  AR_CHECK(x[2] >= 2 && x[3] >= 2, op, ": x must be 2 x 2 pixels or larger, it is ", x[2], " x ", x[3]);
  return {x[0], x[1], x[2] / 2, x[3] / 2};
}

void check_lrn(const char* op, const Tensor& x, const LrnParams& params) {
  AR_CHECK(x.rank() == 4, op, ": x must have 4 dimensions (N,C,H,W), it has shape ", x.shape());
  AR_CHECK(params.size >= 1, op, ": size must be at least 1, it is ", params.size);
}

}  // namespace

Tensor channel_vector(std::span<const double> values, Dtype dtype, Device device) {
  const Tensor t = empty({int64_t(values.size())}, {.dtype = dtype, .device = device});
  t.copy_from(from_blob(const_cast<double*>(values.data()), t.shape(), {.dtype = Dtype::f64}));
  return t;
}

Tensor channel_vector(std::span<const double> values, const Tensor& x) {
  return channel_vector(values, parameter_dtype(x.dtype()), x.device());
}

void channel_sums(const Tensor& x, std::span<double> sum, std::span<double> sum_sq) {
  const char* op = "channel_sums";
  check_rank(op, x);
  double* s = sum_data(op, "sum", sum, x.size(1));
  double* sq = sum_data(op, "sum_sq", sum_sq, x.size(1));
  const auto kernel = kernel_for(kernels_of(x).channel_sums, x.dtype(), op, kernels_of(x).name);
  if (x.numel()) kernel(x.view(), s, sq);
}

Tensor channel_totals(const Tensor& x) {
  std::vector<double> sums(x.size(1));
  channel_sums(x, sums);
  return channel_vector(sums, x);
}

Tensor channel_affine(const Tensor& x, const Tensor& scale, const Tensor& shift, Activation activation,
                      const Tensor& out) {
  const char* op = "channel_affine";
  check_rank(op, x);
  AR_CHECK(activation != Activation::leaky_relu, op, ": leaky_relu is not among its activations");
  const void* s = needed_vector(op, "scale", scale, x);
  const void* h = needed_vector(op, "shift", shift, x);
  const auto kernel = kernel_for(kernels_of(x).channel_affine, x.dtype(), op, kernels_of(x).name);
  const Tensor y = result(op, x.shape(), x, out);
  if (y.numel()) kernel(x.view(), s, h, activation, y.writable());
  return y;
}

Tensor channel_gate(const Tensor& g, const Gate& gate, const Tensor& out, bool accumulate) {
  const char* op = "channel_gate";
  check_rank(op, g);
  AR_CHECK(gate.x.defined(), op, ": the gate's x is needed");
  const ConvGate v = gate_view(op, gate, g.shape(), g);
  const auto kernel = kernel_for(kernels_of(g).channel_gate, g.dtype(), op, kernels_of(g).name);
  const Tensor gx = result(op, g.shape(), gate.x, out, accumulate);
  if (gx.numel()) kernel(g.view(), gx.writable(), accumulate, v);
  return gx;
}

void channel_affine_add_(const Tensor& x, const Tensor& a, const Tensor& b, const Tensor& y) {
  const char* op = "channel_affine_add";
  check_rank(op, x);
  check_alike(op, "y", y, x);
  check_shape(op, "y", y, x.shape());
  const void* pa = needed_vector(op, "a", a, x);
  const void* pb = needed_vector(op, "b", b, x);
  const auto kernel = kernel_for(kernels_of(x).channel_affine_add, x.dtype(), op, kernels_of(x).name);
  if (x.numel()) kernel(x.view(), pa, pb, y.writable());
}

Tensor norm_relu_pool2(const Tensor& x, const Tensor& scale, const Tensor& shift, const Tensor& out) {
  const char* op = "norm_relu_pool2";
  const Dims shape = half_size(op, x.shape());
  const void* s = needed_vector(op, "scale", scale, x);
  const void* h = needed_vector(op, "shift", shift, x);
  const auto kernel = kernel_for(kernels_of(x).norm_relu_pool2, x.dtype(), op, kernels_of(x).name);
  const Tensor y = result(op, shape, x, out);
  if (y.numel()) kernel(x.view(), s, h, y.writable());
  return y;
}

Tensor norm_relu_pool2_backward(const Tensor& gy, const Gate& gate, const Tensor& out, bool accumulate) {
  const char* op = "norm_relu_pool2_backward";
  const Dims x_shape = gate.x.shape(), shape = half_size(op, x_shape);
  check_shape(op, "gradient", gy, shape);
  const ConvGate v = gate_view(op, gate, x_shape, gy);
  const auto kernel = kernel_for(kernels_of(gy).norm_relu_pool2_backward, gy.dtype(), op, kernels_of(gy).name);
  const Tensor gx = result(op, x_shape, gate.x, out, accumulate);
  if (gx.numel()) kernel(gy.view(), gx.writable(), accumulate, v);
  return gx;
}

Tensor local_response_norm(const Tensor& x, const LrnParams& params) {
  const char* op = "local_response_norm";
  check_lrn(op, x, params);
  const auto kernel = kernel_for(kernels_of(x).lrn, x.dtype(), op, kernels_of(x).name);
  const Tensor y = empty_like(x);
  if (y.numel()) kernel(params, x.view(), y.writable());
  return y;
}

Tensor local_response_norm_backward(const Tensor& x, const Tensor& gy, const LrnParams& params) {
  const char* op = "local_response_norm_backward";
  check_lrn(op, x, params);
  check_alike(op, "gradient", gy, x);
  check_shape(op, "gradient", gy, x.shape());
  const auto kernel = kernel_for(kernels_of(x).lrn_backward, x.dtype(), op, kernels_of(x).name);
  const Tensor gx = empty_like(x);
  if (gx.numel()) kernel(params, x.view(), gy.view(), gx.writable());
  return gx;
}

}  // namespace ar::ops
