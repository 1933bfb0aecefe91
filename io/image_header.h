// What the first look at a picture's bytes tells, before anything is decoded.
#pragma once
#include <cstdint>
#include <span>
#include <string>

namespace ar::io {

enum class ImageFormat { Jpeg, Png, WebP, Gif, Bmp, Tiff, Avif, Jpeg2000, Pbm, Pgm, Ppm };

struct ImageHeader {
  ImageFormat format;
  int64_t width = 0, height = 0;  // 0: known only to the decoder
  int orientation = 1;            // as EXIF
  bool cmyk = false;              // JPEG: four components, and they are not YCCK
  bool rgb = false;               // JPEG: three components, and they are not YCbCr
  bool transparent = false;       // PNG: has an alpha channel or a transparent colour
  bool plain = false;             // PNG with a whole palette or none; BMP without run lengths
  size_t alpha = 0, primary = 0;  // AVIF with an alpha item: where its number stands, and where that of the one shown
  const char* unsupported = nullptr;  // what no decoder here gets right; null: nothing known
  size_t frame = 0;                   // animated WebP: where the first frame (chunk ANMF) starts; 0 if not animated
};

const char* name_of(ImageFormat format);

/// Reads the header of a picture and the marks of its end. Throws ar::Error for what is not a picture of a known
/// format, what states more than `max_pixels`, and what is cut off.
ImageHeader read_image_header(std::span<const uint8_t> bytes, int64_t max_pixels);

}  // namespace ar::io
