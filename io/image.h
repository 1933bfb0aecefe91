// Pictures: any common file or bytes in, an upright 8-bit RGB image out.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>

namespace ar::io {

/// Pixels of somebody else: rows of interleaved 8-bit RGB, `stride` bytes apart.
struct ImageView {
  const uint8_t* data = nullptr;
  int width = 0, height = 0;
  ptrdiff_t stride = 0;

  const uint8_t* row(int y) const { return data + y * stride; }
};

struct MutableImageView {
  uint8_t* data = nullptr;
  int width = 0, height = 0;
  ptrdiff_t stride = 0;

  uint8_t* row(int y) const { return data + y * stride; }
  operator ImageView() const { return {data, width, height, stride}; }
};

/// Owns its pixels. A new size reuses the memory when it is large enough, and gives back more than 64 MiB that it does
/// not need.
class Image {
 public:
  Image() = default;
  Image(int width, int height) { reshape(width, height); }
  Image(Image&& other) noexcept { swap(other); }
  Image& operator=(Image&& other) noexcept {
    swap(other);
    return *this;
  }

  int width() const { return width_; }
  int height() const { return height_; }
  ImageView view() const { return {pixels_.get(), width_, height_, ptrdiff_t{3} * width_}; }
  MutableImageView view() { return {pixels_.get(), width_, height_, ptrdiff_t{3} * width_}; }
  operator ImageView() const { return view(); }

  /// Sets the size. The pixels are undefined after that.
  void reshape(int width, int height);
  void swap(Image& other) noexcept;

 private:
  std::unique_ptr<uint8_t[]> pixels_;
  size_t capacity_ = 0;
  int width_ = 0, height_ = 0;
};

/// What a file may ask for. Both are checked before memory for the picture is taken.
struct ImageLimits {
  int64_t max_pixels = 89'478'485;  ///< a quarter GiB of 24-bit pixels, where Pillow warns of a decompression bomb
  int64_t max_file_bytes = int64_t{256} << 20;
};

/// Decodes a picture; the content alone says of what format: JPEG (also CMYK and YCCK), PNG, WebP, GIF, BMP, TIFF
/// (neither in tiles nor with JPEG inside), AVIF, JPEG 2000, PNM. Of an animation the first frame. Grey becomes RGB, 16
/// bits become 8, transparency is composited on white, and the orientation that the file states (EXIF tag 274, AVIF's
/// irot and imir) is applied. `into` keeps its old pixels when this throws. Any number of threads may decode at the
/// same time. Throws ar::Error: "empty file", "not an image (HTML page)", "truncated JPEG", "81000x81000 pixels, more
/// than ...".
void decode_image(std::span<const uint8_t> bytes, const ImageLimits& limits, Image& into);

/// The same of a file; its name plays no part. Errors start with the path.
void decode_image_file(const std::filesystem::path& path, const ImageLimits& limits, Image& into);

}  // namespace ar::io
