#include "autograd/norm.h"

#include "autograd/batch_stats.h"
#include "autograd/checkpoint.h"
#include "tensor/ops_norm.h"

namespace ar {
namespace {

void check_arguments(const Tensor& x, const Tensor& running_mean, const Tensor& running_var, const Tensor& weight,
                     const Tensor& bias) {
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
}

}  // namespace

Variable batch_norm(const Variable& x, const Tensor& running_mean, const Tensor& running_var, const Variable& weight,
                    const Variable& bias, const BatchNormOptions& options) {
  const Tensor none;
  const Tensor &w = weight.defined() ? weight.value() : none, &beta = bias.defined() ? bias.value() : none;
  check_arguments(x.value(), running_mean, running_var, w, beta);

  const bool of_batch = options.training || !running_mean.defined();
  const int64_t count = values_per_channel(x.value());
  AR_CHECK(!options.training || count != 1, "batch_norm: training needs more than one value per channel, x is ",
           x.shape());

  ops::NormSource source{.weight = w,
                         .bias = beta,
                         .running_mean = running_mean,
                         .running_var = running_var,
                         .momentum = options.momentum,
                         .num_batches_tracked = options.num_batches_tracked,
                         .eps = options.eps};
  if (of_batch && count > 0) {
    const BatchSums batch(x.value());
    source.sum = batch.sums.sum, source.sum_sq = batch.sums.sum_sq, source.count = count;
    // A batch far from zero is normalised as x + offset: the backward pass makes that copy again.
    source.offset = batch.offset, source.shifted = true;
    source.update = options.training && running_mean.defined() && !recomputing();
  }
  const ops::NormVectors vectors = ops::norm_vectors(x.value(), source);
  Tensor y = ops::channel_affine(shifted(x.value(), source.offset), vectors.scale, vectors.shift, options.activation,
                                 options.slope);

  const Saved saved("batch_norm", "input", x.value()), saved_w("batch_norm", "weight", w);
  return record("batch_norm", std::move(y), {x, weight, bias},
                [saved, saved_w, offset = source.offset, vectors, activation = options.activation,
                 slope = options.slope, of_batch, count, eps = options.eps](Backward& b) -> std::vector<Tensor> {
                  const Tensor& w = saved_w.get();
                  const Tensor input = shifted(saved.get(), offset);
                  const ChannelSums d = zero_sums(input.size(1), input);
                  const Tensor gx = ops::channel_gate(b.grad(), {input, vectors.scale, vectors.shift, activation, slope,
                                                                 d.sum, d.sum_sq, vectors.center});
                  const bool rest = of_batch && b.wanted(0);
                  const ops::NormGradients g = ops::norm_gradients(input, vectors, w, eps, std::max<int64_t>(count, 1),
                                                                   d.sum, d.sum_sq, {.wanted = rest});
                  if (rest) ops::channel_affine_add_(input, g.a, g.b, gx);
                  return {gx, g.weight, g.bias};
                });
}

Variable local_response_norm(const Variable& x, const LrnParams& params) {
  return record("local_response_norm", ops::local_response_norm(x.value(), params), {x},
                [saved = Saved("local_response_norm", "input", x.value()), params](Backward& b) -> std::vector<Tensor> {
                  return {ops::local_response_norm_backward(saved.get(), b.grad(), params)};
                });
}

}  // namespace ar
