#include <algorithm>
#include <cstdlib>
#include <limits>

#include "io/image_decoders.h"

namespace {

// A forged file can make stb_image unpack far more than the picture holds; an allocation beyond this fails cleanly.
thread_local size_t allocation_limit = 0;

void* limited_realloc(void* old, size_t size) { return size <= allocation_limit ? std::realloc(old, size) : nullptr; }

}  // namespace

// A copy of our own, invisible outside of this file: Debian's libstb may be in the same program.
#define STBI_MALLOC(size) limited_realloc(nullptr, size)
#define STBI_REALLOC(old, size) limited_realloc(old, size)
#define STBI_FREE(old) std::free(old)
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_FAILURE_STRINGS  // one of them is a static buffer, which threads would share
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb_image.h>
#pragma GCC diagnostic pop

namespace ar::io {

bool decode_with_stb(std::span<const uint8_t> padded, const ImageHeader& header, Image& into) {
  if (padded.size() > size_t(std::numeric_limits<int>::max())) return false;
  allocation_limit = std::max(size_t(header.width * header.height) * 16, padded.size() * 2) + (size_t{1} << 20);
  const auto* bytes = padded.data();
  const int size = int(padded.size());
  int width = 0, height = 0, channels = 0;
  if (!stbi_info_from_memory(bytes, size, &width, &height, &channels)) return false;
  if (width != header.width || height != header.height) return false;
  const bool alpha = header.transparent || channels == 2 || channels == 4;
  const std::unique_ptr<uint8_t, decltype(&stbi_image_free)> pixels(
      stbi_load_from_memory(bytes, size, &width, &height, &channels, alpha ? 4 : 3), &stbi_image_free);
  if (!pixels) return false;
  into.reshape(width, height);
  if (alpha)
    composite_on_white(pixels.get(), ptrdiff_t{4} * width, into.view());
  else
    std::copy_n(pixels.get(), size_t{3} * width * height, into.view().data);
  return true;
}

}  // namespace ar::io
