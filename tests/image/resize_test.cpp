// Resizing against Pillow, and against the filter's definition.
#include "io/resize.h"

#include <cmath>
#include <cstdio>
#include <random>

#include "tests/errors.h"
#include "tests/image/pictures.h"

namespace ar::io::test {
namespace {

Image noise(int width, int height, unsigned seed) {
  std::mt19937 random(seed);
  Image image(width, height);
  const MutableImageView view = image.view();
  for (int y = 0; y < height; ++y)
    for (int i = 0; i < 3 * width; ++i) view.row(y)[i] = uint8_t(random());
  return image;
}

/// A triangle as wide as one pixel of the coarser grid on each side, cut off at the picture's border.
std::vector<double> weights(int size, double centre, double scale) {
  const double support = std::max(scale, 1.0);
  std::vector<double> w(size);
  double sum = 0;
  for (int i = 0; i < size; ++i) sum += w[i] = std::max(0.0, 1 - std::abs(i + 0.5 - centre) / support);
  for (double& x : w) x /= sum;
  return w;
}

Image by_definition(ImageView src, RectF box, int width, int height) {
  Image out(width, height);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x) {
      const auto across = weights(src.width, box.x + (x + 0.5) * box.width / width, box.width / width);
      const auto down = weights(src.height, box.y + (y + 0.5) * box.height / height, box.height / height);
      for (int c = 0; c < 3; ++c) {
        double sum = 0;
        for (int j = 0; j < src.height; ++j)
          for (int i = 0; i < src.width; ++i)
            if (down[j] != 0 && across[i] != 0) sum += down[j] * across[i] * src.row(j)[3 * i + c];
        out.view().row(y)[3 * x + c] = uint8_t(std::lround(sum));
      }
    }
  return out;
}

TEST(Resize, AsPillow) {
  const Image source = read_ppm("resize");
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(picture_path("."))) {
    int width, height, x = 0, y = 0, w = 16 * source.width(), h = 16 * source.height();
    const std::string name = entry.path().stem().string();
    if (std::sscanf(name.c_str(), "resize_%dx%d_%d_%d_%d_%d", &width, &height, &x, &y, &w, &h) < 2) continue;
    Image out(width, height);
    resize(source, {x / 16.0, y / 16.0, w / 16.0, h / 16.0}, out.view());
    const Difference d = difference(out, read_ppm(name));
    EXPECT_LE(d.mean, 0.25) << name;
    EXPECT_LE(d.most, 1) << name;
    ++count;
  }
  EXPECT_EQ(count, 9);
}

TEST(Resize, AsDefined) {
  const struct {
    int from_width, from_height, width, height;
    RectF box;
  } kCases[] = {{1, 1, 5, 7, {0, 0, 1, 1}},        {2, 3, 1, 1, {0, 0, 2, 3}},
                {17, 5, 16, 5, {0, 0, 17, 5}},     {40, 30, 7, 29, {0.3, 0.7, 39.1, 20}},
                {33, 64, 50, 3, {8, 8, 16, 48.5}}, {300, 4, 3, 4, {0, 0, 300, 4}}};
  for (const auto& c : kCases) {
    const Image source = noise(c.from_width, c.from_height, 7);
    Image out(c.width, c.height);
    resize(source, c.box, out.view());
    const Difference d = difference(out, by_definition(source, c.box, c.width, c.height));
    EXPECT_LE(d.most, 1) << c.from_width << "x" << c.from_height << " to " << c.width << "x" << c.height;
  }
}

TEST(Resize, SameSizeIsTheSamePicture) {
  const Image source = noise(37, 21, 1);
  Image out(37, 21);
  resize(source, out.view());
  EXPECT_EQ(difference(source, out).most, 0);
}

TEST(Resize, OneColourStaysAtAnyScale) {
  for (const int width : {1, 2, 5, 100, 3000, 70000}) {
    Image source(width, 3);
    std::fill_n(source.view().data, size_t{9} * width, uint8_t{201});
    for (const int to : {1, 3, 224}) {
      Image out(to, 2);
      resize(source, out.view());
      for (int i = 0; i < 3 * 2 * to; ++i) ASSERT_EQ(out.view().data[i], 201) << width << " to " << to;
    }
  }
}

TEST(Resize, FlipMirrors) {
  const Image source = noise(50, 20, 3);
  Image plain(31, 17), flipped(31, 17);
  resize(source, {1.5, 2, 40, 17}, plain.view());
  resize(source, {1.5, 2, 40, 17}, flipped.view(), true);
  for (int y = 0; y < 17; ++y)
    for (int x = 0; x < 31; ++x)
      for (int c = 0; c < 3; ++c)
        ASSERT_EQ(plain.view().row(y)[3 * x + c], flipped.view().row(y)[3 * (30 - x) + c]) << x << " " << y;
}

TEST(Resize, WritesItsRowsAndNothingElse) {
  const Image source = noise(50, 20, 4);
  Image expected(9, 6);
  resize(source, expected.view());
  for (const bool flip : {false, true}) {
    constexpr int kStride = 27 + 11;
    std::vector<uint8_t> memory(16 + 6 * kStride, 0xa5);
    const MutableImageView out{memory.data() + 16, 9, 6, kStride};
    resize(source, out, flip);
    for (int i = 0; i < 16; ++i) EXPECT_EQ(memory[i], 0xa5);
    for (int y = 0; y < 6; ++y)
      for (int i = 27; i < kStride; ++i) EXPECT_EQ(out.row(y)[i], 0xa5);
    if (!flip) {
      EXPECT_EQ(difference(out, expected).most, 0);
    }
  }
}

TEST(Resize, ReadsOnlyThePicture) {  // as a part of a larger one: its neighbours do not matter
  Image large = noise(60, 40, 5);
  const ImageView part{large.view().row(10) + 3 * 20, 21, 13, large.view().stride};
  Image before(64, 7), after(64, 7);
  resize(part, before.view());
  for (int y = 0; y < 40; ++y)
    for (int x = 0; x < 60; ++x)
      if (y < 10 || y >= 23 || x < 20 || x >= 41) std::fill_n(large.view().row(y) + 3 * x, 3, uint8_t{0});
  resize(part, after.view());
  EXPECT_EQ(difference(before, after).most, 0);
}

TEST(Resize, BadArguments) {
  const Image source = noise(5, 4, 6);
  Image out(2, 2), none;
  EXPECT_EQ(error_of([&] {
              resize(source, {1, 0, 4.5, 4}, out.view());
            }),
            "resize: the box (x 1, y 0, 4.5x4) is not inside the image (5x4)");
  EXPECT_MESSAGE(resize(source, {0, 0, 0, 4}, out.view()), "is not inside the image");
  EXPECT_MESSAGE(resize(source, {0, 0, std::nan(""), 4}, out.view()), "is not inside the image");
  EXPECT_EQ(error_of([&] { resize(none, out.view()); }), "resize: empty image (0x0 to 2x2)");
  EXPECT_EQ(error_of([&] { resize(source, none.view()); }), "resize: empty image (5x4 to 0x0)");
}

}  // namespace
}  // namespace ar::io::test
