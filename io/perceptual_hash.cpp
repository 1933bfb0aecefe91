#include "io/perceptual_hash.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <numbers>

#include "io/resize.h"

namespace ar::io {
namespace {

constexpr int kSize = 32, kLow = 8;

using Basis = std::array<std::array<float, kSize>, kLow>;

Basis cosines() {
  Basis basis;
  for (int k = 0; k < kLow; ++k)
    for (int x = 0; x < kSize; ++x) basis[k][x] = float(std::cos(std::numbers::pi * (x + 0.5) * k / kSize));
  return basis;
}

}  // namespace

uint64_t perceptual_hash(ImageView image) {
  static const Basis basis = cosines();
  uint8_t pixels[kSize * kSize * 3];
  resize(image, {pixels, kSize, kSize, ptrdiff_t{3} * kSize});
  // Columns, then rows.
  float half[kLow][kSize] = {};
  for (int y = 0; y < kSize; ++y)
    for (int x = 0; x < kSize; ++x) {
      const uint8_t* p = pixels + 3 * (kSize * y + x);
      const float luma = 0.299f * p[0] + 0.587f * p[1] + 0.114f * p[2];
      for (int k = 0; k < kLow; ++k) half[k][x] += basis[k][y] * luma;
    }
  std::array<float, kLow * kLow> frequencies{};
  for (int k = 0; k < kLow; ++k)
    for (int l = 0; l < kLow; ++l)
      for (int x = 0; x < kSize; ++x) frequencies[k * kLow + l] += half[k][x] * basis[l][x];
  auto sorted = frequencies;
  const auto middle = sorted.begin() + 1 + (kLow * kLow - 1) / 2;  // of all but the mean brightness, which comes first
  std::nth_element(sorted.begin() + 1, middle, sorted.end());
  uint64_t hash = 0;
  for (const float f : frequencies) hash = hash << 1 | uint64_t{f > *middle};
  return hash;
}

int hamming(uint64_t a, uint64_t b) { return std::popcount(a ^ b); }

}  // namespace ar::io
