// The two decoders behind decode_image. Internal to io/image*.cpp.
#pragma once
#include <cstdint>
#include <span>

#include "io/image.h"
#include "io/image_header.h"
#include "tensor/error.h"

namespace ar::io {

/// Both libraries may read a little past the end: the bytes must be followed by this many zeros.
constexpr size_t kPadding = 64;

/// The picture may be good, but its decoder lacks what it takes.
struct NotSupported : Error {
  using Error::Error;
};

/// PNG and BMP, by stb_image. False where it fails: it does not tell apart what is broken and what it does not know.
bool decode_with_stb(std::span<const uint8_t> padded, const ImageHeader& header, Image& into);

/// All formats, by libavcodec. Throws NotSupported or another ar::Error.
void decode_with_av(std::span<const uint8_t> padded, const ImageHeader& header, int64_t max_pixels, Image& into);

/// 8-bit R, G, B, A (not premultiplied) onto white, into RGB.
void composite_on_white(const uint8_t* rgba, ptrdiff_t stride, MutableImageView out);

}  // namespace ar::io
