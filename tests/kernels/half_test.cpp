#include "tensor/half.h"

#include <gtest/gtest.h>

#include <cmath>

namespace ar {
namespace {

/// The value of 1 sign, `e` exponent and `m` mantissa bits, by definition.
double value_of(uint32_t bits, int e, int m) {
  const int sign = int(bits >> (e + m)), exponent = int(bits >> m) & ((1 << e) - 1), bias = (1 << (e - 1)) - 1;
  const double fraction = std::ldexp(double(bits & ((1u << m) - 1)), -m);
  double v;
  if (exponent == (1 << e) - 1)
    v = fraction != 0 ? std::nan("") : INFINITY;
  else
    v = exponent ? std::ldexp(1 + fraction, exponent - bias) : std::ldexp(fraction, 1 - bias);
  return sign ? -v : v;
}

template <class H>
void check_type(int e, int m, H (*round)(float)) {
  double previous = -1;
  for (uint32_t b = 0; b < 65536; ++b) {
    const double v = value_of(b, e, m);
    const float f = to_f32(H{uint16_t(b)});
    if (std::isnan(v)) {
      ASSERT_TRUE(std::isnan(f)) << b;
      ASSERT_TRUE(std::isnan(to_f32(round(f)))) << b;
      continue;
    }
    ASSERT_EQ(double(f), v) << b;
    ASSERT_EQ(std::signbit(f), std::signbit(v)) << b;
    ASSERT_EQ(round(f).bits, b);
    // Halfway between neighbours goes to the even one; a little off it, to the nearer.
    if (b > 0 && b < 32768 && std::isfinite(v)) {
      const float middle = float((previous + v) / 2);
      ASSERT_EQ(round(middle).bits, b & 1 ? b - 1 : b);
      ASSERT_EQ(round(std::nextafter(middle, INFINITY)).bits, b);
      ASSERT_EQ(round(std::nextafter(middle, 0.0f)).bits, b - 1);
      ASSERT_EQ(round(-middle).bits, 0x8000u | (b & 1 ? b - 1 : b));
    }
    previous = v;
  }
}

f16 round_f16(float x) { return to_f16(x); }
bf16 round_bf16(float x) { return to_bf16(x); }

TEST(Half, EveryF16) { check_type<f16>(5, 10, &round_f16); }
TEST(Half, EveryBf16) { check_type<bf16>(8, 7, &round_bf16); }

TEST(Half, Overflow) {
  EXPECT_EQ(to_f16(65504).bits, 0x7bff);
  EXPECT_EQ(to_f16(65519.9f).bits, 0x7bff);
  EXPECT_EQ(to_f16(65520).bits, 0x7c00);
  EXPECT_EQ(to_f16(-1e30f).bits, 0xfc00);
  EXPECT_EQ(to_bf16(3.4e38f).bits, 0x7f80);
}

}  // namespace
}  // namespace ar
