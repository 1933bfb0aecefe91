// Fixtures of the picture tests, and ways to compare pixels.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include "io/image.h"

namespace ar::io::test {

inline std::filesystem::path picture_path(const std::string& name) {
  return std::filesystem::path(AR_FIXTURES_DIR) / "images" / name;
}

inline std::vector<uint8_t> read_bytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot open " + path.string());
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A binary PPM, as Pillow writes it: the expected pixels do not pass through the decoders under test.
inline Image read_ppm(const std::string& name) {
  std::ifstream file(picture_path(name + ".ppm"), std::ios::binary);
  std::string magic;
  int width = 0, height = 0, most = 0;
  file >> magic >> width >> height >> most;
  file.get();
  if (!file || magic != "P6" || most != 255) throw std::runtime_error(name + ".ppm: not a binary PPM");
  Image image(width, height);
  file.read(reinterpret_cast<char*>(image.view().data), std::streamsize{3} * width * height);
  if (!file) throw std::runtime_error(name + ".ppm: too short");
  return image;
}

struct Difference {
  double mean = 0;
  int most = 0;
};

/// Of all bytes; sizes that differ count as the largest difference there is.
inline Difference difference(ImageView a, ImageView b) {
  if (a.width != b.width || a.height != b.height) return {255, 255};
  Difference result;
  for (int y = 0; y < a.height; ++y)
    for (int x = 0; x < 3 * a.width; ++x) {
      const int d = std::abs(a.row(y)[x] - b.row(y)[x]);
      result.mean += d;
      result.most = std::max(result.most, d);
    }
  result.mean /= 3.0 * a.width * a.height;
  return result;
}

}  // namespace ar::io::test
