// Random numbers that are the same with every compiler and library (std's distributions are not).
#pragma once
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "apps/demo/geometry.h"

namespace ar::apps::demo {

/// SplitMix64 (Steele, Lea, Flood 2014). A stream of its own for each list of keys.
class Random {
 public:
  Random(std::initializer_list<uint64_t> keys) {
    for (const uint64_t key : keys) state_ = (state_ ^ key) + next();
  }
  uint64_t next() {
    state_ += 0x9E3779B97F4A7C15u;
    uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }
  /// In [low, high).
  float uniform(float low, float high) { return low + (high - low) * float(next() >> 40) * 0x1p-24f; }
  int below(int n) { return int(next() % uint64_t(n)); }
  bool chance(float p) { return uniform(0, 1) < p; }
  template <class T, size_t N>
  const T& pick(const T (&choices)[N]) {
    return choices[below(int(N))];
  }
  /// Hue 0..1, saturation and value from ranges.
  Colour colour(float saturation_low, float saturation_high, float value_low, float value_high) {
    const float h = uniform(0, 6), s = uniform(saturation_low, saturation_high), v = uniform(value_low, value_high);
    const auto channel = [&](float n) {
      const float k = std::fmod(n + h, 6.f);
      return v - v * s * std::clamp(std::min(k, 4 - k), 0.f, 1.f);
    };
    return {channel(5), channel(3), channel(1)};
  }

 private:
  uint64_t state_ = 0;
};

}  // namespace ar::apps::demo
