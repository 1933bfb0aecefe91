// Darknet's .weights: a header, then all numbers of a network one after another, without names or shapes.
#pragma once
#include <string>

#include "io/byte_source.h"
#include "tensor/tensor.h"

namespace ar::io {

struct DarknetWeights {
  int major = 0, minor = 0, revision = 0;
  int64_t seen = 0;  // images in training
  /// (n) f32: layer by layer, for a convolution its bias, with batch norm the scale, the running mean and variance,
  /// then the weights (out, in, height, width).
  Tensor values;
};

/// Does it begin as such a file does? There is no magic number.
bool looks_like_darknet(const ByteSource& source);
/// The header is three i32 and the images seen: 32 bits of them before version 0.2, 64 from then on. Throws Error,
/// starting with the source's name, on what cannot be such a file.
DarknetWeights read_darknet_weights(const ByteSource& source);
DarknetWeights load_darknet_weights(const std::string& path);

}  // namespace ar::io
