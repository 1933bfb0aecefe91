// Y, Cb, Cr planes to RGB. Internal to io/image*.cpp.
#pragma once
#include <cstddef>
#include <cstdint>

#include "io/image.h"

namespace ar::io {

/// 8-bit planes. Chroma has width and height divided by 2^shift, rounded up.
struct YuvPlanes {
  const uint8_t* plane[3];
  ptrdiff_t stride[3];
  int width, height;
  int shift_x, shift_y;
  bool full_range;  // 0..255, else luma in 16..235 and chroma in 16..240
  double kr, kb;    // weights of red and blue in luma; ITU-R BT.601: 0.299 and 0.114
};

/// Converts into `out`, of the same size:
///   R = Y + 2 (1-kr) Cr,  B = Y + 2 (1-kb) Cb,  G = (Y - kr R - kb B) / (1-kr-kb).
/// Chroma of half the resolution is interpolated: three quarters of the nearest sample and one of the next nearest, in
/// each direction, which is what libjpeg does.
void yuv_to_rgb(const YuvPlanes& in, MutableImageView out);

}  // namespace ar::io
