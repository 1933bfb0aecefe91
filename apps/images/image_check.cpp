#include "apps/images/image_check.h"

#include <algorithm>
#include <span>

#include "io/image.h"
#include "io/image_header.h"
#include "io/perceptual_hash.h"
#include "io/sha256.h"
#include "tensor/error.h"

namespace ar::apps {
namespace {

const char* ending_of(io::ImageFormat format) {
  switch (format) {
    case io::ImageFormat::Jpeg:
      return "jpg";
    case io::ImageFormat::Png:
      return "png";
    case io::ImageFormat::WebP:
      return "webp";
    case io::ImageFormat::Gif:
      return "gif";
    case io::ImageFormat::Bmp:
      return "bmp";
    case io::ImageFormat::Tiff:
      return "tif";
    case io::ImageFormat::Avif:
      return "avif";
    case io::ImageFormat::Jpeg2000:
      return "jp2";
    case io::ImageFormat::Pbm:
      return "pbm";
    case io::ImageFormat::Pgm:
      return "pgm";
    case io::ImageFormat::Ppm:
      return "ppm";
  }
  return "img";
}

}  // namespace

scrape::CheckedImage check_image(const std::string& bytes, const ImageRules& rules) {
  scrape::CheckedImage checked;
  const std::span data(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  thread_local io::Image image;  // its memory is used again
  try {
    const io::ImageHeader header = io::read_image_header(data, INT64_MAX);
    if (header.width > 0 && header.height > rules.max_pixels / header.width) {
      checked.cause = "too-many-pixels";
      checked.error = std::to_string(header.width) + "x" + std::to_string(header.height) + " pixels";
      return checked;
    }
    io::decode_image(data, {.max_pixels = rules.max_pixels}, image);
    checked.format = ending_of(header.format);
  } catch (const Error& error) {
    checked.cause = "not-an-image";
    checked.error = error.what();
    return checked;
  }
  checked.width = image.width();
  checked.height = image.height();
  if (std::min(image.width(), image.height()) < rules.min_size) {
    checked.cause = "too-small";
    checked.error = std::to_string(image.width()) + "x" + std::to_string(image.height()) + " pixels";
    return checked;
  }
  checked.sha256 = io::sha256_hex(data);
  checked.phash = io::perceptual_hash(image);
  return checked;
}

}  // namespace ar::apps
