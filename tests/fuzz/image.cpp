// Pictures: whatever the bytes are, decoding ends with an upright picture or with one error.
#include <cstdlib>
#include <vector>

#include "io/image.h"
#include "io/perceptual_hash.h"
#include "tensor/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr ar::io::ImageLimits kLimits{.max_pixels = 1 << 18, .max_file_bytes = 1 << 20};
  static ar::io::Image image;
  try {
    ar::io::decode_image({data, size}, kLimits, image);
  } catch (const ar::Error&) {
    return 0;
  }
  if (image.width() <= 0 || image.height() <= 0 || image.width() > kLimits.max_pixels / image.height()) std::abort();
  ar::io::perceptual_hash(image);
  return 0;
}
