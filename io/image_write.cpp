#include "io/image_write.h"

#include <cstdint>

#include "tensor/error.h"

#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include <stb_image_write.h>
#pragma GCC diagnostic pop

namespace ar::io {
namespace {

void append(void* to, void* data, int size) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  static_cast<std::vector<uint8_t>*>(to)->insert(static_cast<std::vector<uint8_t>*>(to)->end(), bytes, bytes + size);
}

void check_size(const char* what, ImageView image) {
  AR_CHECK(image.width > 0 && image.height > 0, what, ": empty image (", image.width, "x", image.height, ")");
  AR_CHECK(image.width <= 65535 && image.height <= 65535 && int64_t{image.width} * image.height < 1 << 28, what, ": ",
           image.width, "x", image.height, " pixels are too many");
}

}  // namespace

std::vector<uint8_t> encode_png(ImageView image) {
  check_size("encode_png", image);
  std::vector<uint8_t> bytes;
  AR_CHECK(stbi_write_png_to_func(&append, &bytes, image.width, image.height, 3, image.data, int(image.stride)),
           "encode_png: not enough memory");
  return bytes;
}

std::vector<uint8_t> encode_jpeg(ImageView image, int quality) {
  check_size("encode_jpeg", image);
  AR_CHECK(quality >= 1 && quality <= 100, "encode_jpeg: quality must be from 1 to 100, is ", quality);
  std::vector<uint8_t> pixels, bytes;
  if (image.stride != ptrdiff_t{3} * image.width) {  // stb_image_write wants rows without gaps
    for (int y = 0; y < image.height; ++y)
      pixels.insert(pixels.end(), image.row(y), image.row(y) + ptrdiff_t{3} * image.width);
    image.data = pixels.data();
  }
  AR_CHECK(stbi_write_jpg_to_func(&append, &bytes, image.width, image.height, 3, image.data, quality),
           "encode_jpeg: failed");
  return bytes;
}

}  // namespace ar::io
