#include "io/image.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>
#include <utility>
#include <vector>

#include "io/exif.h"
#include "io/image_decoders.h"
#include "tensor/error.h"

namespace ar::io {
namespace {

/// A file's bytes with zeros behind them. Each thread has one, and keeps its memory unless that is large.
class PaddedBytes {
 public:
  uint8_t* resize(size_t size) {
    constexpr size_t kKeep = size_t{16} << 20;
    if (data_.capacity() > kKeep && size <= kKeep) std::vector<uint8_t>().swap(data_);
    data_.resize(size + kPadding);
    std::memset(data_.data() + size, 0, kPadding);
    return data_.data();
  }
  std::span<const uint8_t> bytes() const { return {data_.data(), data_.size() - kPadding}; }

 private:
  std::vector<uint8_t> data_;
};

PaddedBytes& buffer_of_thread() {
  thread_local PaddedBytes buffer;
  return buffer;
}

void check_file_size(int64_t size, const ImageLimits& limits) {
  AR_CHECK(size <= limits.max_file_bytes, size, " bytes, more than the limit of ", limits.max_file_bytes);
}

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

void read_file(const std::filesystem::path& path, const ImageLimits& limits, PaddedBytes& into) {
  const std::filesystem::file_status status = std::filesystem::status(path);
  AR_CHECK(!std::filesystem::is_directory(status), "is a folder, not an image");
  AR_CHECK(!std::filesystem::exists(status) || std::filesystem::is_regular_file(status), "is not a regular file");
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "rb"));
  AR_CHECK(file, "cannot be opened: ", std::strerror(errno));
  const auto size = int64_t(std::filesystem::file_size(path));
  check_file_size(size, limits);
  const size_t count = std::fread(into.resize(size_t(size)), 1, size_t(size), file.get());
  AR_CHECK(count == size_t(size), "cannot be read: ", std::ferror(file.get()) ? std::strerror(errno) : "it shrank");
}

void decode_padded(std::span<const uint8_t> padded, const ImageLimits& limits, Image& into) {
  const ImageHeader header = read_image_header(padded, limits.max_pixels);
  thread_local Image decoded;
  try {
    if (header.unsupported) throw NotSupported(header.unsupported);
    // stb_image has the first try where it is good. Not with JPEGs: it takes almost twice as long as libavcodec, fills
    // holes in damaged ones without a word, and trusts the tables of forged ones. Nor with palettes that lack colours,
    // which would come out random.
    bool done = false;
    if (header.plain) done = decode_with_stb(padded, header, decoded);
    if (!done) decode_with_av(padded, header, limits.max_pixels, decoded);
  } catch (const NotSupported& error) {
    fail(name_of(header.format), " of an unsupported kind: ", error.what());
  } catch (const Error& error) {
    fail("broken ", name_of(header.format), ": ", error.what());
  }
  make_upright(decoded, header.orientation);
  into.swap(decoded);
}

}  // namespace

void Image::reshape(int width, int height) {
  AR_CHECK(width >= 0 && height >= 0, "Image: negative size ", width, "x", height);
  const size_t bytes = size_t{3} * size_t(width) * size_t(height);
  constexpr size_t kKeep = size_t{64} << 20;
  if (bytes > capacity_ || (capacity_ > kKeep && bytes <= kKeep)) {
    width_ = height_ = 0;
    capacity_ = 0;
    pixels_.reset();
    pixels_ = std::make_unique_for_overwrite<uint8_t[]>(bytes);
    capacity_ = bytes;
  }
  width_ = width;
  height_ = height;
}

void Image::swap(Image& other) noexcept {
  std::swap(pixels_, other.pixels_);
  std::swap(capacity_, other.capacity_);
  std::swap(width_, other.width_);
  std::swap(height_, other.height_);
}

void composite_on_white(const uint8_t* rgba, ptrdiff_t stride, MutableImageView out) {
  for (int y = 0; y < out.height; ++y) {
    const uint8_t* from = rgba + y * stride;
    uint8_t* to = out.row(y);
    for (int x = 0; x < out.width; ++x, from += 4, to += 3)
      for (int c = 0; c < 3; ++c) to[c] = uint8_t((from[c] * from[3] + 255 * (255 - from[3]) + 127) / 255);
  }
}

void decode_image(std::span<const uint8_t> bytes, const ImageLimits& limits, Image& into) {
  check_file_size(int64_t(bytes.size()), limits);
  try {
    PaddedBytes& buffer = buffer_of_thread();
    if (!bytes.empty()) std::memcpy(buffer.resize(bytes.size()), bytes.data(), bytes.size());
    decode_padded(bytes.empty() ? bytes : buffer.bytes(), limits, into);
  } catch (const std::bad_alloc&) {
    fail("not enough memory for this image");
  }
}

void decode_image_file(const std::filesystem::path& path, const ImageLimits& limits, Image& into) {
  try {
    PaddedBytes& buffer = buffer_of_thread();
    read_file(path, limits, buffer);
    decode_padded(buffer.bytes(), limits, into);
  } catch (const std::bad_alloc&) {
    fail(path.string(), ": not enough memory for this image");
  } catch (const std::filesystem::filesystem_error& error) {
    fail(path.string(), ": ", error.code().message());
  } catch (const Error& error) {
    fail(path.string(), ": ", error.what());
  }
}

}  // namespace ar::io
