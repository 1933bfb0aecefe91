#include <algorithm>
#include <cstdlib>
#include <limits>

#include "io/image_decoders.h"
#include "tensor/error.h"

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
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_ONLY_BMP
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_NO_HDR
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb_image.h>
#pragma GCC diagnostic pop

namespace ar::io {

void decode_with_stb(std::span<const uint8_t> padded, const ImageHeader& header, Image& into) {
  allocation_limit = std::max(size_t(header.width * header.height) * 16, padded.size() * 2) + (size_t{1} << 20);
  AR_CHECK(padded.size() <= size_t(std::numeric_limits<int>::max()), "too large a file");
  const auto* bytes = padded.data();
  const int size = int(padded.size());
  int width = 0, height = 0, channels = 0;
  // No telling apart what is broken and what is beyond stb_image: the other decoder may try.
  const auto check = [](bool good) {
    if (!good) throw NotSupported(stbi_failure_reason());
  };
  check(stbi_info_from_memory(bytes, size, &width, &height, &channels));
  AR_CHECK(width == header.width && height == header.height, "contradicts its header");
  const bool alpha = header.transparent || channels == 2 || channels == 4;
  const std::unique_ptr<uint8_t, decltype(&stbi_image_free)> pixels(
      stbi_load_from_memory(bytes, size, &width, &height, &channels, alpha ? 4 : 3), &stbi_image_free);
  check(pixels != nullptr);
  into.reshape(width, height);
  if (alpha)
    composite_on_white(pixels.get(), ptrdiff_t{4} * width, into.view());
  else
    std::copy_n(pixels.get(), size_t{3} * width * height, into.view().data);
}

}  // namespace ar::io
