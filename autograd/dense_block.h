// DenseNet (Huang et al. 2017, arXiv 1608.06993) without concatenation.
//
// A block is one buffer (N, C0 + L*k, H, W), channels-last. Every layer reads a range of channels from the start and
// writes its k new ones behind it, so that "concatenating" is nothing at all and memory grows linearly with depth.
//
// A channel's batch statistics do not depend on who reads it. They are taken once, while it is written, and each
// layer's norm becomes a scale and a shift inside its convolution's read. In the backward pass norm and ReLU are
// recomputed the same way. Every reader r of a channel x sends it  scale_r * d_r + a_r + b_r * x  (see
// norm_gradients); the first term is added in place by the convolution, and sum a_r + (sum b_r) * x once, when
// the channel's gradient is complete.
#pragma once
#include "autograd/batch_stats.h"
#include "autograd/norm.h"
#include "autograd/pool.h"

namespace ar {

/// norm1 - ReLU - conv1 (1x1) - norm2 - ReLU - conv2 (3x3, padding 1), named as in torchvision's _DenseLayer.
struct DenseLayerParameters {
  NormParameters norm1;
  Variable conv1;  // (bn_size * k, C, 1, 1)
  NormParameters norm2;
  Variable conv2;  // (k, bn_size * k, 3, 3)
};

struct DenseBlockResult {
  Variable features;  // (N, C0 + L*k, H, W)
  ChannelSums sums;   // of the features, where norms use the batch's statistics
};

/// x (N,C0,H,W). `buffer`, of the result's shape, may hold x as its first channels already (then nothing is copied);
/// undefined: one is made. Of the options, the activation is not used: it is ReLU.
DenseBlockResult dense_block(const Variable& x, const std::vector<DenseLayerParameters>& layers,
                             const BatchNormOptions& options, Tensor buffer = {});

/// Between blocks: norm - ReLU - conv (1x1) - average pool 2x2, (N,C,H,W) -> (N,O,H/2,W/2). Pooling and a 1x1
/// convolution commute, so the pool goes first and the convolution has a quarter of the work. Written into `out` if
/// that is defined.
Variable dense_transition(const Variable& x, const ChannelSums& sums, const NormParameters& norm, const Variable& conv,
                          const BatchNormOptions& options, const Tensor& out = {});

/// The stem's norm - ReLU - max pool in one op that keeps x and the indices only. Written into `out` if that is
/// defined.
Variable norm_relu_max_pool2d(const Variable& x, const NormParameters& norm, const BatchNormOptions& options,
                              const Pool2dOptions& pool, const Tensor& out = {});

}  // namespace ar
