// The one EXIF field that changes what a picture looks like.
#pragma once
#include <cstdint>
#include <span>

#include "io/image.h"

namespace ar::io {

/// The orientation (tag 274, 1 to 8) of a TIFF structure, which is what EXIF data is. A leading "Exif\0\0" is skipped.
/// 1, which means upright, where the tag is missing or the data is broken.
int exif_orientation(std::span<const uint8_t> exif);

/// Turns and mirrors `image` such that a picture stored in `orientation` stands upright (EXIF 2.32, section 4.6.4, tag
/// Orientation; the number says where the stored first row and column belong).
void make_upright(Image& image, int orientation);

}  // namespace ar::io
