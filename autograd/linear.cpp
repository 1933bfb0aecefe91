// y = x w^T + b over the last dimension.
#include "autograd/matmul.h"
#include "autograd/operands.h"
#include "tensor/ops_linear.h"
#include "tensor/ops_norm.h"

namespace ar {
namespace {

Tensor row_major(const Dims& shape, const Tensor& like) {
  return empty(shape, {.dtype = like.dtype(), .layout = Layout::channels_first, .device = like.device()});
}

void check_arguments(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  AR_CHECK(weight.rank() == 2, "linear: weight must have shape [out,in], it has ", weight.shape());
  AR_CHECK(x.rank() >= 1, "linear: x must have at least one dimension, it has shape ", x.shape());
  AR_CHECK(x.shape().back() == weight.size(1), "linear: weight expects ", weight.size(1), " features, x has ",
           x.shape().back(), " (x ", x.shape(), ", weight ", weight.shape(), ")");
  AR_CHECK(weight.dtype() == parameter_dtype(x.dtype()), "linear: weight must be ", parameter_dtype(x.dtype()),
           ", it is ", weight.dtype());
  if (!bias.defined()) return;
  AR_CHECK(bias.shape() == Dims{weight.size(0)}, "linear: bias must have shape [", weight.size(0), "], it has ",
           bias.shape());
  AR_CHECK(bias.dtype() == weight.dtype(), "linear: bias must be ", weight.dtype(), ", it is ", bias.dtype());
}

}  // namespace

Variable linear(const Variable& x, const Variable& weight, const Variable& bias) {
  const Tensor& w = weight.value();
  const Tensor b = bias.defined() ? bias.value().contiguous(Layout::channels_first) : Tensor();
  check_arguments(x.value(), w, b);
  const ops::Packing packing = packing_of(weight);
  const Tensor rows = ops::rows_of(x.value());
  Dims shape = x.shape();
  shape[shape.size() - 1] = w.size(0);
  Tensor y = row_major(shape, rows);
  const Tensor y_rows = y.reshape({rows.size(0), w.size(0)});
  ops::linear(rows, w, b, y_rows, packing);

  const Saved x_saved("linear", "input", weight.requires_grad() ? rows : Tensor());
  const Saved w_saved("linear", "weight", w);
  return record("linear", std::move(y), {x, weight, bias},
                [x_saved, w_saved, x_shape = x.shape(), packing](Backward& b) -> std::vector<Tensor> {
                  const Tensor gy = ops::rows_of(b.grad());
                  Tensor gx, gw, gb;
                  if (b.wanted(0)) {
                    gx = row_major(x_shape, gy);
                    ops::linear_backward_data(gy, w_saved.get(), gx.reshape({gy.size(0), x_shape.back()}), packing);
                  }
                  if (b.wanted(1)) {
                    gw = empty_like(w_saved.form());
                    ops::linear_backward_weight(x_saved.get(), gy, gw);
                  }
                  if (b.wanted(2)) gb = ops::channel_totals(gy);
                  return {gx, gw, gb};
                });
}

}  // namespace ar
