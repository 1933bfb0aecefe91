#include "autograd/dense_block.h"

#include <algorithm>

#include "autograd/fused_norm.h"
#include "autograd/operands.h"
#include "tensor/ops_conv.h"
#include "tensor/ops_pool.h"

namespace ar {
namespace {

constexpr Conv2dOptions k1x1{}, k3x3{.padding = 1};

/// Those of some channels, of sums over all.
ChannelSums part(const ChannelSums& s, int64_t from, int64_t n) {
  if (!s.sum.defined()) return {};
  return {s.sum.narrow(0, from, n), s.sum_sq.narrow(0, from, n)};
}

BatchNormOptions with_relu(BatchNormOptions options) {
  options.activation = Activation::relu;
  return options;
}

/// What a layer keeps for the backward pass: the sums of its first convolution, and both norms.
struct KeptLayer {
  FusedNorm norm1, norm2;
  Tensor narrow;  // (N, bn_size * k, H, W), before norm2
  Saved conv1, conv2;
  int64_t in, growth;
};

Tensor block_buffer(const Tensor& x, const std::vector<DenseLayerParameters>& layers, Tensor buffer) {
  Dims shape = x.shape();
  for (const DenseLayerParameters& l : layers) {
    AR_CHECK(l.conv1.rank() == 4 && l.conv1.size(1) == shape[1], "dense_block: a layer's conv1 ", l.conv1.shape(),
             " meets ", shape[1], " channels");
    shape[1] += l.conv2.size(0);
  }
  if (!buffer.defined()) buffer = empty(shape, {.dtype = x.dtype(), .device = x.device()});
  AR_CHECK(buffer.shape() == shape && buffer.dtype() == x.dtype() && buffer.is_dense(Layout::channels_last),
           "dense_block: the buffer must be ", shape, " ", x.dtype(), " channels_last, it is ", buffer.shape(), " ",
           buffer.dtype());
  const Tensor first = buffer.narrow(1, 0, x.size(1));
  const bool in_place = x.shares_memory_with(buffer) && x.offset() == first.offset() && x.strides() == first.strides();
  if (!in_place) first.copy_from(x);
  return buffer;
}

}  // namespace

DenseBlockResult dense_block(const Variable& x, const std::vector<DenseLayerParameters>& layers,
                             const BatchNormOptions& mode, Tensor buffer) {
  const BatchNormOptions options = with_relu(mode);
  AR_CHECK(x.rank() == 4, "dense_block: x must be (N,C,H,W), it is ", x.shape());
  std::vector<Variable> inputs{x};
  for (const DenseLayerParameters& l : layers)
    inputs.insert(inputs.end(), {l.norm1.weight, l.norm1.bias, l.conv1, l.norm2.weight, l.norm2.bias, l.conv2});
  const bool keep = grad_enabled() && any_requires_grad(inputs);
  const bool of_batch = std::any_of(layers.begin(), layers.end(), [&](const DenseLayerParameters& l) {
    return FusedNorm::uses_batch(l.norm1, options) || FusedNorm::uses_batch(l.norm2, options);
  });
  const bool inference = !keep && !of_batch;

  const int64_t first = x.size(1);
  const Tensor block = block_buffer(x.value(), layers, std::move(buffer));
  ChannelSums sums;
  if (of_batch) {
    sums = zero_sums(block.size(1), block);
    const ChannelSums of_x = part(sums, 0, first);
    ops::channel_sums(x.value(), of_x.sum, of_x.sum_sq);
  }

  std::vector<KeptLayer> kept;
  Tensor narrow;
  int64_t in = first;
  for (const DenseLayerParameters& l : layers) {
    const int64_t growth = l.conv2.size(0), middle = l.conv1.size(0);
    const Tensor seen = block.narrow(1, 0, in), fresh = block.narrow(1, in, growth);
    FusedNorm norm1(seen, part(sums, 0, in), l.norm1, options);
    if (inference) {
      if (!narrow.defined())
        narrow = empty({x.size(0), middle, x.size(2), x.size(3)}, {.dtype = x.dtype(), .device = block.device()});
      const FusedNorm norm2(narrow, {}, l.norm2, options);
      ops::conv2d(seen, l.conv1.value(), k1x1, norm1.reader(), norm2.epilogue(), narrow, ops::Packing::cached);
      ops::conv2d(narrow, l.conv2.value(), k3x3, {}, {}, fresh, ops::Packing::cached);
    } else {
      const ChannelSums middle_sums = of_batch ? zero_sums(middle, block) : ChannelSums();
      narrow = ops::conv2d(seen, l.conv1.value(), k1x1, norm1.reader(),
                           {.sum = middle_sums.sum, .sum_sq = middle_sums.sum_sq});
      FusedNorm norm2(narrow, middle_sums, l.norm2, options);
      const ChannelSums fresh_sums = part(sums, in, growth);
      ops::conv2d(narrow, l.conv2.value(), k3x3, norm2.reader(), {.sum = fresh_sums.sum, .sum_sq = fresh_sums.sum_sq},
                  fresh);
      if (keep)
        kept.push_back({std::move(norm1), std::move(norm2), narrow,
                        Saved("dense_block", "conv1 weight", l.conv1.value()),
                        Saved("dense_block", "conv2 weight", l.conv2.value()), in, growth});
    }
    in += growth;
  }

  auto backward = [block = Saved("dense_block", "features", block), kept, first, of_batch](Backward& b) mutable {
    const Tensor g = own(b.take_grad());
    const Tensor& x = block.get();
    std::vector<Tensor> grads(1 + 6 * kept.size());
    const Tensor rest = zeros({2, x.size(1)}, {.dtype = Dtype::f64, .device = x.device()});
    const Tensor rest_a = rest.select(0, 0), rest_b = rest.select(0, 1);
    const auto keep_grads = [&](const ops::NormGradients& n, int at) {
      grads[at] = n.weight;
      grads[at + 1] = n.bias;
    };
    /// These channels' gradient g += rest_a + rest_b * x: all their readers are done.
    const auto complete = [&](const Tensor& g, int64_t from) {
      if (!of_batch) return;
      const Tensor ab = rest.narrow(1, from, g.size(1)).to(parameter_dtype(x.dtype()));
      ops::channel_affine_add_(x.narrow(1, from, g.size(1)), ab.select(0, 0), ab.select(0, 1), g);
    };
    for (int i = int(kept.size()) - 1; i >= 0; --i) {
      KeptLayer& l = kept[i];
      const int at = 1 + 6 * i;  // of this layer's parameters among the inputs
      const Tensor fresh = g.narrow(1, l.in, l.growth), seen = x.narrow(1, 0, l.in);
      complete(fresh, l.in);
      if (b.wanted(at + 5))
        grads[at + 5] = ops::conv2d_backward_weight(l.narrow, fresh, l.conv2.get(), k3x3, l.norm2.reader());
      const Tensor g_narrow =
          ops::conv2d_backward_data(fresh, l.conv2.get(), l.narrow.shape(), k3x3, l.norm2.gate(l.narrow));
      keep_grads(l.norm2.finish(l.narrow, g_narrow), at + 3);
      if (b.wanted(at + 2))
        grads[at + 2] = ops::conv2d_backward_weight(seen, g_narrow, l.conv1.get(), k1x1, l.norm1.reader());
      ops::conv2d_backward_data(g_narrow, l.conv1.get(), seen.shape(), k1x1, l.norm1.gate(seen), g.narrow(1, 0, l.in),
                                true);
      keep_grads(l.norm1.finish_later(seen, rest_a.narrow(0, 0, l.in), rest_b.narrow(0, 0, l.in)), at);
    }
    grads[0] = g.narrow(1, 0, first);
    complete(grads[0], 0);
    return grads;
  };
  return {record("dense_block", block, inputs, std::move(backward)), std::move(sums)};
}

Variable dense_transition(const Variable& x, const ChannelSums& sums, const NormParameters& norm, const Variable& conv,
                          const BatchNormOptions& options, const Tensor& out) {
  AR_CHECK(x.rank() == 4, "dense_transition: x must be (N,C,H,W), it is ", x.shape());
  const std::vector<Variable> inputs{x, norm.weight, norm.bias, conv};
  const bool keep = grad_enabled() && any_requires_grad(inputs);
  FusedNorm fused(x.value(), sums, norm, with_relu(options));
  const Tensor pooled = ops::norm_relu_pool2(x.value(), fused.scale(), fused.shift());
  const Tensor y =
      ops::conv2d(pooled, conv.value(), k1x1, {}, {}, out, keep ? ops::Packing::temporary : ops::Packing::cached);
  auto backward = [x = Saved("dense_transition", "x", x.value()),
                   weight = Saved("dense_transition", "weight", conv.value()), pooled, fused](Backward& b) mutable {
    const Tensor& gy = b.grad();
    std::vector<Tensor> grads(4);
    if (b.wanted(3)) grads[3] = ops::conv2d_backward_weight(pooled, gy, weight.get());
    const Tensor g_pooled = ops::conv2d_backward_data(gy, weight.get(), pooled.shape());
    grads[0] = ops::norm_relu_pool2_backward(g_pooled, fused.gate(x.get()));
    const ops::NormGradients n = fused.finish(x.get(), grads[0]);
    grads[1] = n.weight, grads[2] = n.bias;
    return grads;
  };
  return record("dense_transition", y, inputs, std::move(backward));
}

Variable norm_relu_max_pool2d(const Variable& x, const NormParameters& norm, const BatchNormOptions& options,
                              const Pool2dOptions& pool, const Tensor& out) {
  FusedNorm fused(x.value(), {}, norm, with_relu(options));
  const Tensor activated = ops::channel_affine(x.value(), fused.scale(), fused.shift(), Activation::relu);
  const ops::MaxPool2dResult pooled = ops::max_pool2d(activated, pool, out);
  auto backward = [x = Saved("norm_relu_max_pool2d", "x", x.value()), indices = pooled.indices, pool,
                   fused](Backward& b) mutable {
    const Tensor g = ops::max_pool2d_backward(b.grad(), indices, x.get().shape(), pool);
    ops::channel_gate(g, fused.gate(x.get()), g);
    const ops::NormGradients n = fused.finish(x.get(), g);
    return std::vector<Tensor>{g, n.weight, n.bias};
  };
  return record("norm_relu_max_pool2d", pooled.y, {x, norm.weight, norm.bias}, std::move(backward));
}

}  // namespace ar
