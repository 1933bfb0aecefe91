#include "autograd/conv_norm.h"

#include "autograd/elementwise.h"
#include "autograd/folded.h"
#include "autograd/fused_norm.h"
#include "autograd/operands.h"

namespace ar {
namespace {

constexpr const char* kOp = "conv_norm";

void check(const Variable& x, const std::vector<ConvNorm>& steps, const Variable& residual) {
  AR_CHECK(!steps.empty(), kOp, ": no steps");
  Dims shape = x.shape();
  for (const ConvNorm& s : steps) {
    shape = ops::conv2d_shape(shape, s.weight.shape(), s.conv);
    const auto vector = [&](const char* what, const Tensor& t) {
      AR_CHECK(!t.defined() || (t.shape() == Dims{shape[1]} && t.dtype() == parameter_dtype(x.dtype())), kOp, ": ",
               what, " must have shape [", shape[1], "] and be ", parameter_dtype(x.dtype()), ", it has ", t.shape(),
               " and is ", t.dtype());
    };
    vector("the norm's weight", value_of(s.norm.weight));
    vector("the norm's bias", value_of(s.norm.bias));
    vector("running_mean", s.norm.running_mean);
    vector("running_var", s.norm.running_var);
  }
  AR_CHECK(!residual.defined() || residual.shape() == shape, kOp, ": residual must have shape ", shape, ", it has ",
           residual.shape());
}

/// Without gradients and with running statistics.
Tensor inference(const Variable& x, const std::vector<ConvNorm>& all, const Variable& residual) {
  std::vector<FoldedConv> steps;
  for (const ConvNorm& s : all) {
    const FusedNorm norm(empty({0, s.weight.size(0)}, x.value().options()), {}, s.norm, s.mode);
    steps.push_back({s.weight.value(), s.conv, norm.epilogue()});
  }
  steps.back().epilogue.residual = value_of(residual);
  return folded(x.value(), std::move(steps));
}

/// What a step keeps for the backward pass.
struct Kept {
  Tensor sums;  // of the convolution, before the norm
  FusedNorm norm;
  Saved weight;
  Conv2dOptions conv;
  ops::Packing packing;
};

}  // namespace

Variable conv_norm(const Variable& x, const std::vector<ConvNorm>& steps, const Variable& residual) {
  check(x, steps, residual);
  const auto inputs = [&] {
    std::vector<Variable> all{x};
    for (const ConvNorm& s : steps) all.insert(all.end(), {s.weight, s.norm.weight, s.norm.bias});
    all.push_back(residual);
    return all;
  };
  const bool keep = grad_enabled() && any_requires_grad(inputs());
  const bool of_batch =
      std::any_of(steps.begin(), steps.end(), [](const ConvNorm& s) { return FusedNorm::uses_batch(s.norm, s.mode); });
  if (!keep && !of_batch) return inference(x, steps, residual);

  const Tensor image = ops::channels_together(x.value());
  std::vector<Kept> kept;
  Tensor in = image;
  ops::Reader reader;
  for (const ConvNorm& s : steps) {
    BatchNormOptions mode = s.mode;
    if (residual.defined() && &s == &steps.back()) mode.activation = Activation::none;  // it comes after the sum
    const ChannelSums sums = FusedNorm::uses_batch(s.norm, mode) ? zero_sums(s.weight.size(0), in) : ChannelSums();
    const ops::Packing packing = packing_of(s.weight);
    in = ops::conv2d(in, s.weight.value(), s.conv, reader, {.sum = sums.sum, .sum_sq = sums.sum_sq}, {}, packing);
    FusedNorm norm(in, sums, s.norm, mode);
    reader = norm.reader();
    if (!keep) kept.clear();
    kept.push_back({in, std::move(norm), Saved(kOp, "weight", s.weight.value()), s.conv, packing});
  }
  const BatchNormOptions& last = steps.back().mode;
  const Tensor y = ops::channel_affine(in, reader.scale, reader.shift, last.activation, last.slope, value_of(residual));
  const bool gated_by_result = residual.defined() && last.activation != Activation::none;

  auto backward = [x = Saved(kOp, "input", image), y = Saved(kOp, "result", gated_by_result ? y : Tensor()), kept,
                   gated_by_result, has_residual = residual.defined(), activation = last.activation,
                   slope = last.slope](Backward& b) mutable {
    const int residual_at = int(1 + 3 * kept.size());
    std::vector<Tensor> grads(1 + residual_at);
    Tensor g = own(b.take_grad());
    if (gated_by_result) {  // the sign of the sum is that of the result, and so is where it was cut off
      const Tensor one = ones({g.size(1)}, {.dtype = parameter_dtype(g.dtype()), .device = g.device()});
      ops::channel_gate(
          g, {.x = y.get(), .scale = one, .shift = zeros_like(one), .activation = activation, .slope = slope}, g);
    }
    if (has_residual && b.wanted(residual_at)) grads[residual_at] = g;
    g = ops::channel_gate(g, kept.back().norm.gate(kept.back().sums), grads[residual_at].defined() ? Tensor() : g);
    for (int i = int(kept.size()) - 1; i >= 0; --i) {
      Kept& k = kept[i];
      Kept* const before = i > 0 ? &kept[i - 1] : nullptr;
      const int at = 1 + 3 * i;  // of this step's parameters among the inputs
      const ops::NormGradients n = k.norm.finish(k.sums, g);
      grads[at + 1] = n.weight, grads[at + 2] = n.bias;
      if (b.wanted(at))
        grads[at] = ops::conv2d_backward_weight(before ? before->sums : x.get(), g, k.weight.form(), k.conv,
                                                before ? before->norm.reader() : ops::Reader());
      bool further = false;
      for (int j = 0; j < at; ++j) further |= b.wanted(j);
      if (!further) break;
      g = ops::conv2d_backward_data(g, k.weight.get(), before ? before->sums.shape() : x.shape(), k.conv,
                                    before ? before->norm.gate(before->sums) : ops::Gate(), {}, false, k.packing);
    }
    if (b.wanted(0)) grads[0] = g;
    return grads;
  };
  return record(kOp, y, inputs(), std::move(backward));
}

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

}  // namespace ar
