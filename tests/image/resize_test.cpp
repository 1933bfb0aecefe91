// Resizing against Pillow.
#include "io/resize.h"

#include <gtest/gtest.h>

#include <cstdio>

#include "tests/image/pictures.h"

namespace ar::io::test {
namespace {

TEST(Resize, AsPillow) {
  const Image source = read_ppm("resize");
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(picture_path("."))) {
    int width, height, x = 0, y = 0, w = 16 * source.width(), h = 16 * source.height();
    const std::string name = entry.path().stem().string();
    if (std::sscanf(name.c_str(), "resize_%dx%d_%d_%d_%d_%d", &width, &height, &x, &y, &w, &h) < 2) continue;
    SCOPED_TRACE(name);
    Image out(width, height);
    resize(source, {x / 16.0, y / 16.0, w / 16.0, h / 16.0}, out.view());
    const Difference d = difference(out, read_ppm(name));
    EXPECT_LE(d.mean, 1);
    EXPECT_LE(d.most, 3);
    RecordProperty(name, std::to_string(d.mean) + " at most " + std::to_string(d.most));
    ++count;
  }
  EXPECT_EQ(count, 9);
}

}  // namespace
}  // namespace ar::io::test
