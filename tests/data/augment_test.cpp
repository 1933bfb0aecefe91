#include "io/augment.h"

#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "tests/errors.h"

namespace ar::io {
namespace {

nlohmann::json fixture() {
  std::ifstream file(AR_FIXTURES_DIR "/augment.json");
  return nlohmann::json::parse(file);
}

/// A picture of its own bytes.
struct Picture {
  int width, height;
  std::vector<uint8_t> bytes;
  Picture(int w, int h) : width(w), height(h), bytes(std::size_t(3 * w * h)) {}
  Picture(int w, int h, std::vector<uint8_t> b) : width(w), height(h), bytes(std::move(b)) {}
  ImageView view() const { return {bytes.data(), width, height, ptrdiff_t(3) * width}; }
  MutableImageView view() { return {bytes.data(), width, height, ptrdiff_t(3) * width}; }
};
Picture waves(int width, int height) {
  Picture p(width, height);
  for (int y = 0; y < height; ++y)
    for (int x = 0; x < width; ++x)
      for (int c = 0; c < 3; ++c)
        p.bytes[std::size_t((y * width + x) * 3 + c)] =
            uint8_t(128 + 100 * std::sin(0.05 * x + c) * std::cos(0.07 * y));
  return p;
}

TEST(Augment, ColoursAreTorchvisions) {
  const auto f = fixture();
  const std::map<std::string, void (*)(MutableImageView, double)> adjust{
      {"brightness", &adjust_brightness}, {"contrast", &adjust_contrast}, {"saturation", &adjust_saturation}};
  for (const auto& want : f["colours"]) {
    Picture p(9, 7, f["image"]);
    adjust.at(want["name"])(p.view(), want["factor"]);
    const std::vector<uint8_t> result = want["result"];
    for (std::size_t i = 0; i < result.size(); ++i)
      ASSERT_NEAR(p.bytes[i], result[i], 1) << want["name"] << want["factor"] << i;
    int64_t differ = 0;
    for (std::size_t i = 0; i < result.size(); ++i) differ += p.bytes[i] != result[i];
    // What is a whole number may be one less in torchvision's f32, and loses the rest either way.
    EXPECT_LE(differ, want["factor"] == 1 ? 0 : 10) << want["name"] << want["factor"];
  }
}

TEST(Augment, CentreCropsAreTorchvisions) {
  const auto f = fixture();
  for (const auto& c : f["centre_crops"]) {
    const Picture src(c["width"], c["height"], c["image"]);
    Picture dst(c["size"], c["size"]);
    resize_centre_crop(src.view(), dst.view());
    const std::vector<uint8_t> want = c["result"];
    double sum = 0;
    for (std::size_t i = 0; i < want.size(); ++i) {
      EXPECT_NEAR(dst.bytes[i], want[i], 3);
      sum += std::abs(dst.bytes[i] - want[i]);
    }
    EXPECT_LT(sum / double(want.size()), 0.3) << c["width"];
  }
}

/// Mean and deviation of what torchvision's boxes have, against ours.
void expect_moments(const nlohmann::json& want, const std::function<Box(SampleRandom&)>& draw) {
  const double width = want["width"], height = want["height"];
  std::map<std::string, std::vector<double>> values;
  constexpr int draws = 20000;
  for (int i = 0; i < draws; ++i) {
    SampleRandom random({.seed = 4, .epoch = 1, .position = uint64_t(i)});
    const Box b = draw(random);
    ASSERT_TRUE(b.x >= 0 && b.y >= 0 && b.width > 0 && b.height > 0 && b.x + b.width <= width &&
                b.y + b.height <= height);
    values["area"].push_back(double(b.width) * b.height / (width * height));
    values["log_aspect"].push_back(std::log(double(b.width) / b.height));
    values["x"].push_back((b.x + b.width / 2.0) / width);
    values["y"].push_back((b.y + b.height / 2.0) / height);
    values["whole"].push_back(b.width == width || b.height == height);
  }
  for (const auto& [name, v] : values) {
    double sum = 0, squares = 0;
    for (double x : v) sum += x;
    const double mean = sum / draws;
    for (double x : v) squares += (x - mean) * (x - mean);
    const double std = std::sqrt(squares / (draws - 1)), other = want["moments"][name][1];
    // Both means are drawn: five deviations of their difference.
    EXPECT_NEAR(mean, want["moments"][name][0].get<double>(), 5 * std::max(std, other) * std::sqrt(2.0 / draws) + 1e-12)
        << name;
    EXPECT_NEAR(std, other, 0.05 * other + 0.01) << name;
  }
}

TEST(Augment, BoxesAreDistributedAsTorchvisions) {
  const auto f = fixture();
  for (const auto& want : f["resized_crops"]) {
    SCOPED_TRACE(want["width"]);
    const int w = want["width"], h = want["height"];
    expect_moments(want, [&](SampleRandom& random) { return random_resized_crop(w, h, random); });
  }
  for (const auto& want : f["erasings"]) {
    SCOPED_TRACE(want["width"]);
    const int w = want["width"], h = want["height"];
    expect_moments(want, [&](SampleRandom& random) { return random_erasing(w, h, random).value_or(Box{0, 0, w, h}); });
  }
}

TEST(Augment, OriginalMirrorsAndErasesHalfOfThem) {
  const Picture src = waves(90, 70);
  const ImageTransform t{.height = 40, .width = 50, .augment = Augment::original};
  Picture plain(50, 40), got(50, 40);
  transform_image(src.view(), t.evaluation(), {}, plain.view());
  int mirrored = 0, erased = 0;
  constexpr int n = 2000;
  for (uint64_t i = 0; i < n; ++i) {
    transform_image(src.view(), t, {.seed = 1, .position = i}, got.view());
    int64_t as_is = 0, flipped = 0, mean = 0;
    for (int y = 0; y < 40; ++y)
      for (int x = 0; x < 50; ++x) {
        const uint8_t* const p = got.view().row(y) + 3 * x;
        as_is += !std::memcmp(p, plain.view().row(y) + 3 * x, 3);
        flipped += !std::memcmp(p, plain.view().row(y) + 3 * (49 - x), 3);
        mean += p[0] == 124 && p[1] == 116 && p[2] == 104;
      }
    // Resizing a mirrored picture gives the mirrored result, or nearly so.
    EXPECT_GT(std::max(as_is, flipped) + mean, 1500);
    mirrored += flipped > as_is;
    erased += mean > 30;
    if (mean > 30) {
      EXPECT_LE(mean, 0.36 * 2000);
    }
  }
  EXPECT_NEAR(mirrored, n / 2, 120);
  EXPECT_NEAR(erased, n / 2, 120);
}

TEST(Augment, ImagenetVariesAndDependsOnTheKeyAlone) {
  const Picture src = waves(120, 80);
  const ImageTransform t{.height = 32, .width = 32, .augment = Augment::imagenet};
  std::set<std::vector<uint8_t>> seen;
  for (uint64_t i = 0; i < 50; ++i) {
    Picture a(32, 32), b(32, 32);
    const SampleKey key{.seed = i / 10, .epoch = i % 5, .position = i % 10};
    transform_image(src.view(), t, key, a.view());
    transform_image(src.view(), t, key, b.view());
    EXPECT_EQ(a.bytes, b.bytes);
    seen.insert(a.bytes);
  }
  EXPECT_EQ(seen.size(), 50u);
  EXPECT_EQ(t.evaluation().fit, Fit::centre_crop);
  EXPECT_EQ(t.evaluation().augment, Augment::none);
  EXPECT_EQ((ImageTransform{.augment = Augment::original, .fit = Fit::centre_crop}).evaluation().fit, Fit::squash);
}

TEST(Augment, TinyPictures) {
  for (const auto& [w, h] : {std::pair{1, 1}, {1, 50}, {200, 1}, {2, 3}})
    for (const ImageTransform& t : {ImageTransform{.height = 7, .width = 5, .augment = Augment::imagenet},
                                    {.height = 7, .width = 5, .augment = Augment::original},
                                    {.height = 7, .width = 5, .fit = Fit::centre_crop},
                                    {.height = 1, .width = 1, .augment = Augment::original}})
      for (uint64_t i = 0; i < 20; ++i) {
        const Picture src(w, h, std::vector<uint8_t>(std::size_t(3 * w * h), 100));
        Picture dst(t.width, t.height);
        transform_image(src.view(), t, {.seed = i}, dst.view());
        for (uint8_t byte : dst.bytes) EXPECT_NEAR(byte, 100, 41);
      }
}

TEST(Augment, Names) {
  for (Augment a : {Augment::none, Augment::original, Augment::imagenet}) EXPECT_EQ(augment_named(to_string(a)), a);
  for (Fit fit : {Fit::squash, Fit::centre_crop}) EXPECT_EQ(fit_named(to_string(fit)), fit);
  EXPECT_MESSAGE(augment_named("mixup"), "there is no 'mixup', only none, original, imagenet");
}

}  // namespace
}  // namespace ar::io
