#include "autograd/conv_norm.h"

#include "autograd/elementwise.h"
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

/// A step of inference: the norm is a scale and a shift of the convolution's sums.
struct Folded {
  Tensor weight;
  Conv2dOptions conv;
  ops::Epilogue epilogue;
};

/// As many images at once as leave what lies between two steps, at most so many numbers of an image, in the CPU's
/// caches. A GPU takes all.
int64_t images_at_once(const Tensor& x, int64_t between) {
  constexpr int64_t kBetween = 4 << 20;  // bytes
  if (!x.device().is_cpu() || between == 0) return x.size(0);
  return std::max<int64_t>(1, kBetween / (between * size_of(x.dtype())));
}

Tensor folded(const Tensor& x, const std::vector<ConvNorm>& all, const Variable& residual) {
  std::vector<Folded> steps;
  Dims shape = x.shape();
  int64_t between = 0;
  for (const ConvNorm& s : all) {
    shape = ops::conv2d_shape(shape, s.weight.shape(), s.conv);
    if (&s != &all.back()) between = std::max(between, shape[1] * shape[2] * shape[3]);
    const FusedNorm norm(empty({0, s.weight.size(0)}, x.options()), {}, s.norm, s.mode);
    steps.push_back({s.weight.value(), s.conv, norm.epilogue()});
  }
  const Tensor y = empty(shape, {.dtype = x.dtype(), .device = x.device()});
  const int64_t images = x.size(0), at_once = images_at_once(x, between);
  for (int64_t i = 0, n; i < images; i += n) {
    n = std::min(at_once, images - i);
    Tensor in = x.narrow(0, i, n);
    if (residual.defined()) steps.back().epilogue.residual = residual.value().narrow(0, i, n);
    for (const Folded& s : steps)
      in = ops::conv2d(in, s.weight, s.conv, {}, s.epilogue, &s == &steps.back() ? y.narrow(0, i, n) : Tensor(),
                       ops::Packing::cached);
  }
  return y;
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
  std::vector<Variable> inputs{x};
  for (const ConvNorm& s : steps) inputs.insert(inputs.end(), {s.weight, s.norm.weight, s.norm.bias});
  inputs.push_back(residual);
  const bool keep = grad_enabled() && any_requires_grad(inputs);
  const bool of_batch =
      std::any_of(steps.begin(), steps.end(), [](const ConvNorm& s) { return FusedNorm::uses_batch(s.norm, s.mode); });
  if (!keep && !of_batch) return folded(x.value(), steps, residual);

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
        grads[at] = ops::conv2d_backward_weight(before ? before->sums : x.get(), g, k.weight.get(), k.conv,
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
  return record(kOp, y, inputs, std::move(backward));
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
