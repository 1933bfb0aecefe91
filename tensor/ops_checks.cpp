#include "tensor/ops_checks.h"

namespace ar::ops {

Tensor channels_together(const Tensor& x) {
  return detail::channels_are_together(x) ? x : x.contiguous(Layout::channels_last);
}

namespace detail {

void check_alike(const char* op, const char* what, const Tensor& t, const Tensor& x) {
  AR_CHECK(t.dtype() == x.dtype(), op, ": ", what, " must be ", x.dtype(), ", it is ", t.dtype());
  AR_CHECK(t.device() == x.device(), op, ": ", what, " must be on ", x.device(), ", it is on ", t.device());
}

void check_parameter(const char* op, const char* what, const Tensor& t, const Tensor& x) {
  const Dtype wanted = parameter_dtype(x.dtype());
  AR_CHECK(t.dtype() == wanted, op, ": ", what, " must be ", wanted, ", it is ", t.dtype(),
           wanted == x.dtype() ? "" : " (activations alone are halves)");
  AR_CHECK(t.device() == x.device(), op, ": ", what, " must be on ", x.device(), ", it is on ", t.device());
}

void check_shape(const char* op, const char* what, const Tensor& t, const Dims& shape) {
  AR_CHECK(t.shape() == shape, op, ": ", what, " must have shape ", shape, ", it has ", t.shape());
}

void check_out(const char* op, const Tensor& out, const Dims& shape, const Tensor& like) {
  check_alike(op, "out", out, like);
  check_shape(op, "out", out, shape);
}

bool channels_are_together(const Tensor& x) { return x.size(1) == 1 || x.stride(1) == 1 || x.numel() == 0; }

const void* vector_data(const char* op, const char* what, const Tensor& v, int64_t channels, const Tensor& like) {
  if (!v.defined()) return nullptr;
  check_parameter(op, what, v, like);
  AR_CHECK(v.rank() == 1 && v.size(0) == channels, op, ": ", what, " must have shape [", channels, "], it has ",
           v.shape());
  AR_CHECK(channels == 1 || v.stride(0) == 1, op, ": ", what, " must be dense, its stride is ", v.stride(0));
  return v.view().data;
}

double* sum_data(const char* op, const char* what, const Tensor& sum, int64_t channels, const Tensor& like) {
  if (!sum.defined()) return nullptr;
  check_shape(op, what, sum, {channels});
  AR_CHECK(sum.dtype() == Dtype::f64 && (channels == 1 || sum.stride(0) == 1), op, ": ", what,
           " must be dense float64, it is ", sum.dtype(), " of stride ", sum.stride(0));
  AR_CHECK(sum.device() == like.device(), op, ": ", what, " must be on ", like.device(), ", it is on ", sum.device());
  return static_cast<double*>(sum.writable().data);
}

ConvGate gate_view(const char* op, const Gate& g, const Dims& shape, const Tensor& like) {
  if (!g.x.defined()) return {};
  AR_CHECK(g.x.shape() == shape, op, ": the gate's x must have shape ", shape, ", it has ", g.x.shape());
  AR_CHECK(g.scale.defined() && g.shift.defined(), op, ": a gate needs both scale and shift");
  check_alike(op, "the gate's x", g.x, like);
  const int64_t channels = shape[1];
  return {.x = g.x.view(),
          .scale = vector_data(op, "the gate's scale", g.scale, channels, like),
          .shift = vector_data(op, "the gate's shift", g.shift, channels, like),
          .activation = g.activation,
          .slope = g.slope,
          .sum_d = sum_data(op, "the gate's sum_d", g.sum_d, channels, like),
          .sum_dx = sum_data(op, "the gate's sum_dx", g.sum_dx, channels, like),
          .center = vector_data(op, "the gate's center", g.center, channels, like)};
}

}  // namespace detail
}  // namespace ar::ops
