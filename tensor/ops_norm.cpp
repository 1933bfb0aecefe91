#include "tensor/ops_norm.h"

#include "tensor/live_numbers.h"
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

void channel_sums(const Tensor& x, const Tensor& sum, const Tensor& sum_sq) {
  const char* op = "channel_sums";
  check_rank(op, x);
  double* s = sum_data(op, "sum", sum, x.size(1), x);
  double* sq = sum_data(op, "sum_sq", sum_sq, x.size(1), x);
  const auto kernel = kernel_for(kernels_of(x).channel_sums, x.dtype(), op, kernels_of(x).name);
  if (x.numel()) kernel(x.view(), s, sq);
}

Tensor channel_totals(const Tensor& x) {
  const Tensor sums = zeros({x.size(1)}, {.dtype = Dtype::f64, .device = x.device()});
  channel_sums(x, sums);
  return sums.to(parameter_dtype(x.dtype()));
}

Tensor channel_affine(const Tensor& x, const Tensor& scale, const Tensor& shift, Activation activation, double slope,
                      const Tensor& residual, const Tensor& out) {
  const char* op = "channel_affine";
  check_rank(op, x);
  const void* s = needed_vector(op, "scale", scale, x);
  const void* h = needed_vector(op, "shift", shift, x);
  if (residual.defined()) {
    check_shape(op, "residual", residual, x.shape());
    check_alike(op, "residual", residual, x);
  }
  const auto kernel = kernel_for(kernels_of(x).channel_affine, x.dtype(), op, kernels_of(x).name);
  const Tensor y = result(op, x.shape(), x, out);
  if (y.numel()) kernel(x.view(), s, h, residual.defined() ? residual.view() : View(), activation, slope, y.writable());
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

NormVectors norm_vectors(const Tensor& x, const NormSource& s) {
  const char* op = "batch_norm";
  check_rank(op, x);
  const Dtype parameter = parameter_dtype(x.dtype());
  const auto kernel = kernel_for(kernels_of(x).norm_forward, parameter, op, kernels_of(x).name);
  const int64_t channels = x.size(1);
  AR_CHECK(!s.sum.defined() || s.count > 0, op, ": sums of no values");
  AR_CHECK(!s.update || (s.sum.defined() && s.running_mean.defined() && s.running_var.defined()), op,
           ": running statistics move where there are some, and a batch");
  const Tensor& batches = s.num_batches_tracked;
  AR_CHECK(
      !batches.defined() || (batches.dtype() == Dtype::i64 && batches.numel() == 1 && batches.device() == x.device()),
      op, ": num_batches_tracked must be a single int64 on ", x.device(), ", it is ", batches.shape(), " ",
      batches.dtype(), " on ", batches.device());

  const Tensor f64 = empty({2, channels}, {.dtype = Dtype::f64, .device = x.device()});
  const Tensor own = empty({3, channels}, {.dtype = parameter, .device = x.device()});
  const NormVectors v{f64.select(0, 0), f64.select(0, 1), own.select(0, 0), own.select(0, 1), own.select(0, 2)};
  const auto vector = [&](const char* what, const Tensor& t) { return vector_data(op, what, t, channels, x); };
  const auto moved = [&](const char* what, const Tensor& t) {
    vector_data(op, what, t, channels, x);
    return s.update ? t.writable().data : t.defined() ? t.view().data : nullptr;
  };
  if (LiveNumbers* const numbers = recorded_numbers(); numbers && s.update)
    numbers->at_repetition([mean = s.running_mean, var = s.running_var, batches] {  // they are written to unseen
      for (const Tensor* t : {&mean, &var, &batches})
        if (t->defined()) t->writable();
    });
  kernel({.channels = channels,
          .count = s.count,
          .sum = sum_data(op, "sum", s.sum, channels, x),
          .sum_sq = sum_data(op, "sum_sq", s.sum_sq, channels, x),
          .offset = vector("offset", s.offset),
          .shifted = s.shifted,
          .weight = vector("weight", s.weight),
          .bias = vector("bias", s.bias),
          .running_mean = moved("running_mean", s.running_mean),
          .running_var = moved("running_var", s.running_var),
          .update = s.update,
          .batches = s.update && batches.defined() ? static_cast<int64_t*>(batches.writable().data) : nullptr,
          .momentum = s.momentum,
          .eps = s.eps,
          .mean = sum_data(op, "mean", v.mean, channels, x),
          .var = sum_data(op, "var", v.var, channels, x),
          .scale = v.scale.writable().data,
          .shift = v.shift.writable().data,
          .center = v.center.writable().data});
  return v;
}

NormGradients norm_gradients(const Tensor& x, const NormVectors& v, const Tensor& weight, double eps, int64_t count,
                             const Tensor& sum_d, const Tensor& sum_dx, const NormRest& rest) {
  const char* op = "batch_norm";
  const Dtype parameter = parameter_dtype(x.dtype());
  const auto kernel = kernel_for(kernels_of(x).norm_backward, parameter, op, kernels_of(x).name);
  const int64_t channels = x.size(1);
  const TensorOptions options{.dtype = parameter, .device = x.device()};
  const bool added = rest.sum_a.defined();
  NormGradients g{empty({channels}, options), empty({channels}, options), {}, {}};
  if (rest.wanted && !added) {
    const Tensor both = empty({2, channels}, options);
    g.a = both.select(0, 0), g.b = both.select(0, 1);
  }
  kernel({.channels = channels,
          .count = count,
          .mean = sum_data(op, "mean", v.mean, channels, x),
          .var = sum_data(op, "var", v.var, channels, x),
          .sum_d = sum_data(op, "sum_d", sum_d, channels, x),
          .sum_dx = sum_data(op, "sum_dx", sum_dx, channels, x),
          .weight = vector_data(op, "weight", weight, channels, x),
          .eps = eps,
          .g_weight = g.weight.writable().data,
          .g_bias = g.bias.writable().data,
          .a = g.a.defined() ? g.a.writable().data : nullptr,
          .b = g.b.defined() ? g.b.writable().data : nullptr,
          .rest_a = rest.wanted && added ? sum_data(op, "sum_a", rest.sum_a, channels, x) : nullptr,
          .rest_b = rest.wanted && added ? sum_data(op, "sum_b", rest.sum_b, channels, x) : nullptr});
  return g;
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
