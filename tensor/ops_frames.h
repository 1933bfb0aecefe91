// Frames of images and videos, as bytes, to the floats that networks read.
#pragma once
#include <array>
#include <span>

#include "tensor/kernels.h"
#include "tensor/tensor.h"

namespace ar {

/// Mean and deviation of a data set's pixels, which count from 0 to 1.
struct PixelStats {
  std::array<double, 3> mean{0.485, 0.456, 0.406};  // ImageNet's, red, green, blue
  std::array<double, 3> std{0.229, 0.224, 0.225};
};

struct NormalizeFramesOptions {
  Dtype dtype = Dtype::f32;       // of the result: f32, f64, f16 or bf16
  int64_t height = 0, width = 0;  // of the result; 0: as x
  std::span<const FrameWindow> windows =
      {};  // where each sample is cut out, and whether it is mirrored; empty: at (0,0)
};

}  // namespace ar

namespace ar::ops {

/// y = (x / 255 - mean) / std: x u8 (B,3,H,W) or (B,3,T,H,W) of any strides, y of the same rank in channels-last
/// memory. Cutting, mirroring, padded rows and the conversion are one pass over the bytes; all frames of a sample share
/// its window. Throws Error when a window leaves the frame.
Tensor normalize_frames(const Tensor& x, const PixelStats& stats = {}, const NormalizeFramesOptions& options = {});

}  // namespace ar::ops
