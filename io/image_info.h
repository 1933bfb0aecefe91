// What a picture is, without decoding it.
#pragma once
#include <cstdint>
#include <span>
#include <string>

namespace ar::io {

struct ImageInfo {
  std::string ending;             ///< of a file of this format: "jpg", "png", "webp", "gif", ...
  int64_t width = 0, height = 0;  ///< as stored, in pixels; 0: known only to the decoder
};

/// Reads the header alone, whatever number of pixels it states. Throws ar::Error, as decode_image() does, for what is
/// no picture or is cut off.
ImageInfo image_info(std::span<const uint8_t> bytes);

}  // namespace ar::io
