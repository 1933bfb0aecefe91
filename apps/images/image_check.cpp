#include "apps/images/image_check.h"

#include <algorithm>
#include <span>

#include "io/image.h"
#include "io/image_info.h"
#include "io/perceptual_hash.h"
#include "io/sha256.h"
#include "tensor/error.h"

namespace ar::apps {
scrape::CheckedImage check_image(const std::string& bytes, const ImageRules& rules) {
  scrape::CheckedImage checked;
  const std::span data(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  thread_local io::Image image;  // its memory is used again
  try {
    const io::ImageInfo info = io::image_info(data);
    if (info.width > 0 && info.height > rules.max_pixels / info.width) {
      checked.cause = "too-many-pixels";
      checked.error = std::to_string(info.width) + "x" + std::to_string(info.height) + " pixels";
      return checked;
    }
    io::decode_image(data, {.max_pixels = rules.max_pixels}, image);
    checked.format = info.ending;
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
