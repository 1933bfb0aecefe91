// Whether downloaded bytes are a picture worth keeping.
#pragma once
#include <string>

#include "scrape/builder.h"

namespace ar::apps {

struct ImageRules {
  int min_size = 64;  ///< shorter side, in pixels
  int64_t max_pixels = 89'478'485;
};

/// Decodes the bytes whole. Causes: not-an-image (nothing that can be decoded, or cut off), too-many-pixels, too-small.
/// Any thread.
scrape::CheckedImage check_image(const std::string& bytes, const ImageRules& rules);

}  // namespace ar::apps
