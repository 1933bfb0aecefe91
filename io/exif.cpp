#include "io/exif.h"

#include <cstring>
#include <utility>

#include "io/bytes.h"

namespace ar::io {

int exif_orientation(std::span<const uint8_t> exif) {
  Bytes tiff(exif);
  if (tiff.starts(0, std::string_view("Exif\0\0", 6))) tiff = Bytes(exif.subspan(6));
  const bool big = tiff.starts(0, "MM");
  if (!(big || tiff.starts(0, "II")) || !tiff.has(0, 8)) return 1;
  const size_t directory = tiff.number(4, 4, big);
  if (!tiff.has(directory, 2)) return 1;
  const uint32_t entries = tiff.number(directory, 2, big);
  for (uint32_t i = 0; i < entries; ++i) {
    const size_t entry = directory + 2 + size_t{12} * i;  // tag, type, count, value
    if (!tiff.has(entry, 12)) return 1;
    if (tiff.number(entry, 2, big) != 274) continue;
    const uint32_t value = tiff.number(entry + 8, 2, big);
    return value >= 1 && value <= 8 ? int(value) : 1;
  }
  return 1;
}

void make_upright(Image& image, int orientation) {
  if (orientation <= 1 || orientation > 8) return;
  const bool swapped = orientation >= 5;  // rows were stored as columns
  const bool from_right = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const bool from_bottom = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const MutableImageView stored = image.view();
  Image turned(swapped ? stored.height : stored.width, swapped ? stored.width : stored.height);
  // Where the upright picture's first pixel is stored, and the steps to its right and lower neighbours.
  const ptrdiff_t along = from_right ? -3 : 3, down = from_bottom ? -stored.stride : stored.stride;
  const uint8_t* first = stored.row(from_bottom ? stored.height - 1 : 0) + (from_right ? 3 * (stored.width - 1) : 0);
  const ptrdiff_t step_x = swapped ? down : along, step_y = swapped ? along : down;
  const MutableImageView out = turned.view();
  for (int y = 0; y < out.height; ++y) {
    const uint8_t* from = first + y * step_y;
    uint8_t* to = out.row(y);
    for (int x = 0; x < out.width; ++x, from += step_x, to += 3) std::memcpy(to, from, 3);
  }
  image.swap(turned);
}

}  // namespace ar::io
