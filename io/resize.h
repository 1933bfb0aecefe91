// Antialiased resizing.
#pragma once
#include "io/image.h"

namespace ar::io {

/// A rectangle in pixels; (0,0) is the top left corner of the first pixel, not its centre.
struct RectF {
  double x = 0, y = 0, width = 0, height = 0;
};

/// Resizes the part `box` of `src` to fill `dst`, as Pillow's `resize(size, BILINEAR, box)`: a triangle filter that
/// spans one pixel of the coarser of both grids, so that shrinking averages instead of skipping. `flip` mirrors left
/// and right on the way. Rows of `dst` may lie at any distance: no byte outside of them is written. `src` and `dst`
/// must not overlap. Throws ar::Error if an image is empty or the box is not inside of `src`.
void resize(ImageView src, RectF box, MutableImageView dst, bool flip = false);

/// The whole of `src`.
void resize(ImageView src, MutableImageView dst, bool flip = false);

}  // namespace ar::io
