#include "autograd/norm.h"

#include "autograd/batch_stats.h"
#include "autograd/checkpoint.h"
#include "autograd/elementwise.h"
#include "tensor/ops_norm.h"

namespace ar {
namespace {

using Vector = std::vector<double>;

Vector doubles(const Tensor& t) { return t.defined() ? t.to_vector<double>() : Vector(); }

void check_arguments(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight,
                     const Tensor& bias, Activation activation) {
  AR_CHECK(x.rank() >= 2 && x.rank() <= 5,
           "batch_norm: x must be (N,C), (N,C,L), (N,C,H,W) or (N,C,T,H,W), it has shape ", x.shape());
  AR_CHECK(is_floating(x.dtype()), "batch_norm: x must be floating, it is ", x.dtype());
  const Dims channels{x.size(1)};
  const auto check = [&](const char* what, const Tensor& t) {
    if (!t.defined()) return;
    AR_CHECK(t.shape() == channels, "batch_norm: ", what, " must have shape ", channels, ", it has ", t.shape(), " (x ",
             x.shape(), ")");
    const Dtype wanted = parameter_dtype(x.dtype());
    AR_CHECK(t.dtype() == wanted, "batch_norm: ", what, " must be ", wanted, ", it is ", t.dtype());
  };
  check("running_mean", running_mean);
  check("running_var", running_var);
  check("weight", weight);
  check("bias", bias);
  AR_CHECK(running_mean.defined() == running_var.defined(), "batch_norm: running_mean and running_var come together, ",
           running_mean.defined() ? "running_var" : "running_mean", " is missing");
  AR_CHECK(activation != Activation::leaky_relu, "batch_norm: leaky_relu cannot be fused, apply it to the result");
}

}  // namespace

Variable batch_norm(const Variable& x, const Tensor& running_mean, const Tensor& running_var, const Variable& weight,
                    const Variable& bias, const BatchNormOptions& options) {
  const Tensor none;
  const Tensor &w = weight.defined() ? weight.value() : none, &beta = bias.defined() ? bias.value() : none;
  check_arguments(x.value(), running_mean, running_var, w, beta, options.activation);
  if (options.activation == Activation::relu6 && grad_enabled()) {  // the gate below knows relu only
    BatchNormOptions plain = options;
    plain.activation = Activation::none;
    return relu6(batch_norm(x, running_mean, running_var, weight, bias, plain));
  }

  const bool of_batch = options.training || !running_mean.defined();
  const int64_t channels = x.size(1), count = values_per_channel(x.value());
  AR_CHECK(!options.training || count != 1, "batch_norm: training needs more than one value per channel, x is ",
           x.shape());

  Tensor offset;  // a batch far from zero is normalised as x + offset: the backward pass makes that copy again
  ChannelStats stats;
  if (of_batch && count > 0) {
    const BatchStats batch(x.value());
    offset = batch.offset, stats = batch.stats;
    if (options.training && running_mean.defined() && !recomputing())
      update_running_(running_mean, running_var, batch.of_x(), count, options.momentum);
  } else if (running_mean.defined()) {
    stats = {doubles(running_mean), doubles(running_var)};
  } else {
    stats = {Vector(channels, 0), Vector(channels, 1)};  // of nothing: any will do
  }

  const Vector w_values = doubles(w);
  const ChannelAffine affine = batch_norm_affine(stats, w_values, doubles(beta), options.eps);
  const Tensor scale = ops::channel_vector(affine.scale, x.value());
  const Tensor shift = ops::channel_vector(affine.shift, x.value());
  Tensor y = ops::channel_affine(shifted(x.value(), offset), scale, shift, options.activation);

  const Saved saved("batch_norm", "input", x.value());
  const bool relu = options.activation == Activation::relu;
  return record(
      "batch_norm", std::move(y), {x, weight, bias},
      [saved, offset, stats, w_values, scale, shift, relu, of_batch, count,
       eps = options.eps](Backward& b) -> std::vector<Tensor> {
        const Tensor input = shifted(saved.get(), offset);
        const auto vector = [&](const Vector& v) { return ops::channel_vector(v, input); };
        Vector sum_d(stats.mean.size()), sum_dx(stats.mean.size());
        const Tensor gx = ops::channel_gate(b.grad(), {input, scale, shift, relu, sum_d, sum_dx, vector(stats.mean)});
        const auto g = batch_norm_gradients(stats, w_values, eps, sum_d, sum_dx, std::max<int64_t>(count, 1));
        if (of_batch && b.wanted(0)) ops::channel_affine_add_(input, vector(g.a), vector(g.b), gx);
        return {gx, vector(g.weight), vector(g.bias)};
      });
}

Variable local_response_norm(const Variable& x, const LrnParams& params) {
  return record("local_response_norm", ops::local_response_norm(x.value(), params), {x},
                [saved = Saved("local_response_norm", "input", x.value()), params](Backward& b) -> std::vector<Tensor> {
                  return {ops::local_response_norm_backward(saved.get(), b.grad(), params)};
                });
}

}  // namespace ar
