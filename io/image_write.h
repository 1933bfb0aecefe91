// Pictures to bytes, for thumbnails in reports and logs.
#pragma once
#include <cstdint>
#include <vector>

#include "io/image.h"

namespace ar::io {

/// Throws ar::Error if the image is empty, or larger than 65535 in a direction or 2^28 pixels.
std::vector<uint8_t> encode_png(ImageView image);

/// `quality` from 1 to 100. Throws ar::Error if it is not, or for an image as above.
std::vector<uint8_t> encode_jpeg(ImageView image, int quality);

}  // namespace ar::io
