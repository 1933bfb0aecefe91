#include "io/image_info.h"

#include "io/image_header.h"

namespace ar::io {
namespace {

const char* ending_of(ImageFormat format) {
  switch (format) {
    case ImageFormat::Jpeg:
      return "jpg";
    case ImageFormat::Png:
      return "png";
    case ImageFormat::WebP:
      return "webp";
    case ImageFormat::Gif:
      return "gif";
    case ImageFormat::Bmp:
      return "bmp";
    case ImageFormat::Tiff:
      return "tif";
    case ImageFormat::Avif:
      return "avif";
    case ImageFormat::Jpeg2000:
      return "jp2";
    case ImageFormat::Pbm:
      return "pbm";
    case ImageFormat::Pgm:
      return "pgm";
    case ImageFormat::Ppm:
      return "ppm";
  }
  return "img";
}

}  // namespace

ImageInfo image_info(std::span<const uint8_t> bytes) {
  const ImageHeader header = read_image_header(bytes, INT64_MAX);
  return {ending_of(header.format), header.width, header.height};
}

}  // namespace ar::io
