#include "io/augment.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

#include "io/resize.h"

namespace ar::io {
namespace {

constexpr std::array<const char*, 3> kAugments{"none", "original", "imagenet"};
constexpr std::array<const char*, 2> kFits{"squash", "centre_crop"};

template <std::size_t N>
int index_of(const char* what, std::string_view name, const std::array<const char*, N>& names) {
  std::string known;
  for (std::size_t i = 0; i < N; ++i) {
    if (name == names[i]) return int(i);
    known += (i ? ", " : "") + std::string(names[i]);
  }
  fail(what, ": there is no '", name, "', only ", known);
}

ImageView part(ImageView image, const Box& box) {
  return {image.row(box.y) + ptrdiff_t{3} * box.x, box.width, box.height, image.stride};
}

/// Width and height of a rectangle of so many pixels and this aspect (width / height), rounded.
std::pair<double, double> sides(double area, double aspect) {
  return {std::nearbyint(std::sqrt(area * aspect)), std::nearbyint(std::sqrt(area / aspect))};
}

double log_uniform(SampleRandom& random, double lo, double hi) {
  return std::exp(random.uniform(std::log(lo), std::log(hi)));
}

/// Paints the mean pixel of ImageNet, which normalisation makes (nearly) zero.
void erase(MutableImageView image, const Box& box) {
  constexpr uint8_t mean[3] = {124, 116, 104};
  for (int y = box.y; y < box.y + box.height; ++y)
    for (int i = 3 * box.x; i < 3 * (box.x + box.width); ++i) image.row(y)[i] = mean[i % 3];
}

// Colours are blended in 16.16 fixed point, several times as fast as in floats.
constexpr double kOne = 65536;

int grey_of(const uint8_t* pixel) { return (19589 * pixel[0] + 38470 * pixel[1] + 7471 * pixel[2]) >> 16; }

/// factor * x for each byte, and what makes a byte of a sum of such products.
std::array<int, 256> products(double factor) {
  std::array<int, 256> table;
  for (std::size_t x = 0; x < 256; ++x) table[x] = int(std::lround(factor * double(x) * kOne));
  return table;
}
uint8_t to_byte(int sum) { return uint8_t(std::clamp(sum, 0, (256 << 16) - 1) >> 16); }

/// x' = factor * x + (1 - factor) * y for one y of all pixels.
void blend_with(MutableImageView image, double factor, double y) {
  const std::array<int, 256> own = products(factor);
  const int other = int(std::lround((1 - factor) * y * kOne));
  std::array<uint8_t, 256> table;
  for (std::size_t x = 0; x < 256; ++x) table[x] = to_byte(own[x] + other);
  for (int row = 0; row < image.height; ++row) {
    uint8_t* const p = image.row(row);
    for (int i = 0; i < 3 * image.width; ++i) p[i] = table[p[i]];
  }
}

}  // namespace

ImageTransform ImageTransform::evaluation() const {
  const Fit evaluated = augment == Augment::none ? fit : augment == Augment::imagenet ? Fit::centre_crop : Fit::squash;
  return {.height = height, .width = width, .augment = Augment::none, .fit = evaluated};
}

const char* to_string(Augment augment) { return kAugments[std::size_t(augment)]; }
const char* to_string(Fit fit) { return kFits[std::size_t(fit)]; }
Augment augment_named(std::string_view name) { return Augment(index_of("augmentation", name, kAugments)); }
Fit fit_named(std::string_view name) { return Fit(index_of("fit", name, kFits)); }

Box random_resized_crop(int width, int height, SampleRandom& random) {
  constexpr double narrowest = 3.0 / 4, widest = 4.0 / 3;
  for (int i = 0; i < 10; ++i) {
    const double area = double(width) * height * random.uniform(0.08, 1);
    const auto [w, h] = sides(area, log_uniform(random, narrowest, widest));
    if (w < 1 || h < 1 || w > width || h > height) continue;
    const int y = int(random.below(height - int64_t(h) + 1)), x = int(random.below(width - int64_t(w) + 1));
    return {x, y, int(w), int(h)};
  }
  const double aspect = double(width) / height;
  Box box{0, 0, width, height};
  if (aspect < narrowest) box.height = std::min(height, int(std::nearbyint(width / narrowest)));
  if (aspect > widest) box.width = std::min(width, int(std::nearbyint(height * widest)));
  box.x = (width - box.width) / 2;
  box.y = (height - box.height) / 2;
  return box;
}

std::optional<Box> random_erasing(int width, int height, SampleRandom& random) {
  for (int i = 0; i < 10; ++i) {
    const double area = double(width) * height * random.uniform(0.02, 0.33);
    const auto [h, w] = sides(area, log_uniform(random, 0.3, 3.3));  // the aspect is height / width here
    if (w >= width || h >= height) continue;
    const int y = int(random.below(height - int64_t(h) + 1)), x = int(random.below(width - int64_t(w) + 1));
    return Box{x, y, int(w), int(h)};
  }
  return std::nullopt;
}

void resize_centre_crop(ImageView src, MutableImageView dst) {
  constexpr double margin = 256.0 / 224;
  // The whole picture's size after a resize that covers dst and its margin; whole pixels, as if it were made.
  const double need_w = std::nearbyint(dst.width * margin), need_h = std::nearbyint(dst.height * margin);
  const double scale_w = need_w / src.width, scale_h = need_h / src.height;
  const double w = scale_w >= scale_h ? need_w : std::floor(src.width * scale_h);
  const double h = scale_w >= scale_h ? std::floor(src.height * scale_w) : need_h;
  const double left = std::nearbyint((w - dst.width) / 2), top = std::nearbyint((h - dst.height) / 2);
  RectF box{left * src.width / w, top * src.height / h, dst.width * src.width / w, dst.height * src.height / h};
  box.width = std::min(box.width, src.width - box.x);
  box.height = std::min(box.height, src.height - box.y);
  resize(src, box, dst);
}

void adjust_brightness(MutableImageView image, double factor) { blend_with(image, factor, 0); }

void adjust_contrast(MutableImageView image, double factor) {
  int64_t sum = 0;
  for (int row = 0; row < image.height; ++row)
    for (int i = 0; i < image.width; ++i) sum += grey_of(image.row(row) + 3 * i);
  blend_with(image, factor, double(sum) / (double(image.width) * image.height));
}

void adjust_saturation(MutableImageView image, double factor) {
  const std::array<int, 256> own = products(factor), other = products(1 - factor);
  for (int row = 0; row < image.height; ++row) {
    uint8_t* p = image.row(row);
    for (const uint8_t* const end = p + ptrdiff_t{3} * image.width; p != end; p += 3) {
      const int grey = other[std::size_t(grey_of(p))];
      for (int c = 0; c < 3; ++c) p[c] = to_byte(own[p[c]] + grey);
    }
  }
}

void jitter_colours(MutableImageView image, double strength, SampleRandom& random) {
  using Adjust = void (*)(MutableImageView, double);
  std::array<Adjust, 3> order{&adjust_brightness, &adjust_contrast, &adjust_saturation};
  for (int i = 2; i > 0; --i) std::swap(order[std::size_t(i)], order[std::size_t(random.below(i + 1))]);
  for (const Adjust adjust : order) adjust(image, random.uniform(1 - strength, 1 + strength));
}

void transform_image(ImageView src, const ImageTransform& transform, const SampleKey& key, MutableImageView dst) {
  SampleRandom random(key);
  switch (transform.augment) {
    case Augment::none:
      return transform.fit == Fit::squash ? resize(src, dst) : resize_centre_crop(src, dst);
    case Augment::original:
      resize(src, dst, random.chance(0.5));
      if (random.chance(0.5))
        if (const std::optional<Box> box = random_erasing(dst.width, dst.height, random)) erase(dst, *box);
      return;
    case Augment::imagenet: {
      const Box box = random_resized_crop(src.width, src.height, random);
      resize(part(src, box), dst, random.chance(0.5));
      return jitter_colours(dst, 0.4, random);
    }
  }
}

}  // namespace ar::io
