#include "autograd/fused.h"

#include "autograd/elementwise.h"
#include "tensor/ops_norm.h"

namespace ar {
namespace {

Variable unfused(const Variable& x, const Variable& weight, const Tensor& running_mean, const Tensor& running_var,
                 const Variable& norm_weight, const Variable& norm_bias, const ConvNormOptions& o,
                 const Variable& residual) {
  // The norm takes the relu along when nothing comes between.
  const bool relu_in_norm = o.activation == Activation::relu && !residual.defined();
  Variable y = batch_norm(conv2d(x, weight, {}, o.conv), running_mean, running_var, norm_weight, norm_bias,
                          {.training = o.training,
                           .momentum = o.momentum,
                           .eps = o.eps,
                           .activation = relu_in_norm ? Activation::relu : Activation::none,
                           .num_batches_tracked = o.num_batches_tracked});
  if (residual.defined()) y = add(y, residual);
  return relu_in_norm ? y : activate(y, o.activation, o.slope);
}

}  // namespace

Variable activate(const Variable& x, Activation activation, double slope) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return relu(x);
    case Activation::relu6:
      return relu6(x);
    case Activation::leaky_relu:
      return leaky_relu(x, slope);
  }
  fail("activate: not an activation: ", int(activation));
}

Variable conv_norm_activation(const Variable& x, const Variable& weight, const Tensor& running_mean,
                              const Tensor& running_var, const Variable& norm_weight, const Variable& norm_bias,
                              const ConvNormOptions& o, const Variable& residual) {
  bool needs_grad = false;
  for (const Variable& v : {x, weight, norm_weight, norm_bias, residual}) needs_grad |= v.requires_grad();
  if ((grad_enabled() && needs_grad) || o.training || !running_mean.defined() || !running_var.defined())
    return unfused(x, weight, running_mean, running_var, norm_weight, norm_bias, o, residual);

  const auto checked = [&](const char* what, const Tensor& t) {
    AR_CHECK(!t.defined() || (t.shape() == Dims{weight.size(0)} && t.dtype() == parameter_dtype(x.dtype())),
             "conv_norm_activation: ", what, " must have shape [", weight.size(0), "] and be ",
             parameter_dtype(x.dtype()), ", it has ", t.shape(), " and is ", t.dtype());
    return t;
  };
  const auto value = [](const Variable& v) { return v.defined() ? v.value() : Tensor(); };
  const Dims shape = ops::conv2d_shape(x.shape(), weight.shape(), o.conv);
  const Tensor like = empty({0, shape[1]}, x.value().options());
  const ops::NormVectors norm = ops::norm_vectors(like, {.weight = checked("the norm's weight", value(norm_weight)),
                                                         .bias = checked("the norm's bias", value(norm_bias)),
                                                         .running_mean = checked("running_mean", running_mean),
                                                         .running_var = checked("running_var", running_var),
                                                         .eps = o.eps});
  const ops::Epilogue epilogue{.scale = norm.scale,
                               .shift = norm.shift,
                               .accumulate = residual.defined(),
                               .activation = o.activation,
                               .slope = o.slope};
  Tensor out;
  if (residual.defined()) {
    AR_CHECK(residual.shape() == shape, "conv_norm_activation: residual must have shape ", shape, ", it has ",
             residual.shape());
    out = residual.value().clone(Layout::channels_last);
  }
  return ops::conv2d(x.value(), weight.value(), o.conv, {}, epilogue, out, ops::Packing::cached);
}

}  // namespace ar
