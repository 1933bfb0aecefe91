// Colour conversion against its equations, for all widths (vectors and their remainders), samplings and ranges.
#include "io/image_yuv.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tests/image/pictures.h"

namespace ar::io::test {
namespace {

/// Chroma at a pixel: three parts of the nearest sample and one of the next in each halved direction.
double chroma_at(const std::vector<uint8_t>& plane, int stride, int width, int height, int x, int y, int shift_x,
                 int shift_y) {
  const auto next_of = [](int at, int shift, int count) {
    return shift == 1 ? std::clamp((at >> 1) + (at & 1 ? 1 : -1), 0, count - 1) : at >> shift;
  };
  const int x0 = x >> shift_x, x1 = next_of(x, shift_x, width);
  const int y0 = y >> shift_y, y1 = next_of(y, shift_y, height);
  const auto row = [&](int r) { return 0.75 * plane[r * stride + x0] + 0.25 * plane[r * stride + x1]; };
  return 0.75 * row(y0) + 0.25 * row(y1);
}

TEST(Yuv, AsDefined) {
  std::mt19937 random(1);
  for (int width = 1; width < 70; ++width)
    for (const auto& shift : {std::pair(0, 0), {1, 0}, {0, 1}, {1, 1}, {2, 0}, {2, 2}})
      for (const bool full : {true, false})
        for (const auto& [kr, kb] : {std::pair(0.299, 0.114), {0.2126, 0.0722}}) {
          const int shift_x = shift.first, shift_y = shift.second;
          const int height = 1 + width % 5, stride = width + 3;
          const int chroma_width = (width + (1 << shift_x) - 1) >> shift_x;
          const int chroma_height = (height + (1 << shift_y) - 1) >> shift_y;
          std::vector<uint8_t> plane[3];
          for (auto& p : plane) {
            p.resize(size_t(stride) * height);
            for (auto& sample : p) sample = uint8_t(random());
          }
          Image out(width, height);
          yuv_to_rgb({.plane = {plane[0].data(), plane[1].data(), plane[2].data()},
                      .stride = {stride, stride, stride},
                      .width = width,
                      .height = height,
                      .shift_x = shift_x,
                      .shift_y = shift_y,
                      .full_range = full,
                      .kr = kr,
                      .kb = kb},
                     out.view());
          double worst = 0;
          for (int y = 0; y < height; ++y)
            for (int x = 0; x < width; ++x) {
              const auto chroma = [&](int i) {
                return (chroma_at(plane[i], stride, chroma_width, chroma_height, x, y, shift_x, shift_y) - 128) /
                       (full ? 255 : 224);
              };
              const double luma = (plane[0][y * stride + x] - (full ? 0 : 16)) / (full ? 255.0 : 219.0);
              const double red = luma + 2 * (1 - kr) * chroma(2), blue = luma + 2 * (1 - kb) * chroma(1);
              const double rgb[] = {red, (luma - kr * red - kb * blue) / (1 - kr - kb), blue};
              for (int c = 0; c < 3; ++c)
                worst = std::max(worst, std::abs(std::clamp(255 * rgb[c], 0.0, 255.0) - out.view().row(y)[3 * x + c]));
            }
          // Half a step from rounding the result, and half a step of chroma times its weight.
          EXPECT_LE(worst, 1.9) << width << "x" << height << " " << shift_x << shift_y << full << kr;
        }
}

}  // namespace
}  // namespace ar::io::test
