// exp, log, tanh, sigmoid and power of Vec<T>. f32 within 3 units in the last place, f64 within 4e-16 relative;
// infinities, zeros and subnormal results come out right, NaN stays NaN.
#pragma once
#include "tensor/cpu/isa/simd.h"

namespace ar::cpu::AR_ISA {
namespace {

template <class T>
struct MathConstants;
template <>
struct MathConstants<float> {
  static constexpr int mantissa = 23, bias = 127;
  static constexpr float round = 0x1.8p23f;  // x + round - round is x to the nearest integer
  static constexpr float ln2_hi = 0.693359375f, ln2_lo = -2.12194440e-4f;  // hi has 9 bits: k * hi is exact
  static constexpr float exp_min = -104, exp_max = 89;                     // exp is 0 and infinite there
  static constexpr float smallest_normal = 0x1p-126f, tanh_is_one = 10;
  static constexpr int expm1_terms = 7;  // remainder 0.35^7 / 8! is 2e-8 of the leading term
  static constexpr int atanh_terms = 4;  // 0.172^8 / 9
};
template <>
struct MathConstants<double> {
  static constexpr int mantissa = 52, bias = 1023;
  static constexpr double round = 0x1.8p52;
  static constexpr double ln2_hi = 0x1.62e42feep-1, ln2_lo = 0x1.a39ef35793c76p-33;
  static constexpr double exp_min = -746, exp_max = 710;
  static constexpr double smallest_normal = 0x1p-1022, tanh_is_one = 20;
  static constexpr int expm1_terms = 13;  // 0.35^13 / 14!
  static constexpr int atanh_terms = 10;  // 0.172^20 / 21
};

/// 2^k for integers k (given as the bits of k + round) within the normal range.
template <class T>
inline Vec<T> power_of_two(typename Vec<T>::Int k) {
  using M = MathConstants<T>;
  return from_bits<T>((k + M::bias) << M::mantissa);
}

template <class T>
struct ExpParts {
  typename Vec<T>::Int k;  // x = k ln2 + r with |r| <= ln2 / 2
  Vec<T> expm1;            // e^r - 1, to its own relative precision
};
/// For x within [exp_min, exp_max] or NaN.
template <class T>
inline ExpParts<T> exp_parts(Vec<T> x) {
  using M = MathConstants<T>;
  using V = Vec<T>;
  const V round = V::set1(M::round), shifted = fma(x, V::set1(T(1.4426950408889634)), round), k = shifted - round;
  const V r = fma(k, V::set1(-M::ln2_lo), fma(k, V::set1(-M::ln2_hi), x));
  T c = 1;
  for (int n = 2; n <= M::expm1_terms; ++n) c /= T(n);
  V p = V::set1(c);  // r/2! + r^2/3! + ..., by Horner from the last term
#pragma GCC unroll 16
  for (int n = M::expm1_terms - 1; n >= 2; --n) p = fma(p, r, V::set1(c *= T(n + 1)));
  return {bits(shifted) - bits(round), fma(p, r * r, r)};
}

template <class T>
inline Vec<T> exp(Vec<T> x) {
  using M = MathConstants<T>;
  using V = Vec<T>;
  const ExpParts<T> e = exp_parts(min(V::set1(M::exp_max), max(V::set1(M::exp_min), x)));
  // In two steps, since 2^k itself may be out of range: the second rounds subnormals and overflows to infinity.
  const auto half = e.k >> 1;
  return (V::set1(1) + e.expm1) * power_of_two<T>(half) * power_of_two<T>(e.k - half);
}

/// 1 / (1 + e^-x)
template <class T>
inline Vec<T> sigmoid(Vec<T> x) {
  using V = Vec<T>;
  const V one = V::set1(1), zero = V::zero();
  const V e = exp(zero - abs(x)), s = one / (one + e);
  return select(x < zero, e * s, s);
}

template <class T>
inline Vec<T> tanh(Vec<T> x) {
  using M = MathConstants<T>;
  using V = Vec<T>;
  // With E = e^(2|x|) - 1 it is E / (E + 2), which keeps the relative precision of small x.
  const V a = min(V::set1(M::tanh_is_one), abs(x));
  const ExpParts<T> e = exp_parts(a + a);
  const V p = power_of_two<T>(e.k), E = fma(p, e.expm1, p - V::set1(1));
  const auto sign = bits(x) & bits(V::set1(T(-0.0)));
  return from_bits<T>(bits(E / (E + V::set1(2))) | sign);
}

/// Natural logarithm; log(0) is -infinity, of negative numbers NaN.
template <class T>
inline Vec<T> log(Vec<T> x) {
  using M = MathConstants<T>;
  using V = Vec<T>;
  const V zero = V::zero(), round = V::set1(M::round);
  const Mask<T> tiny = x < V::set1(M::smallest_normal);
  const V up = abs(select(tiny, x * V::set1(T(int64_t(1) << M::mantissa)), x));  // negative numbers: see the end
  // x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2))
  const auto root_half = bits(V::set1(T(0.7071067811865476)));
  const auto mantissa_mask = (typename V::Int{} + ((int64_t(1) << M::mantissa) - 1));
  const auto offset = bits(up) - root_half;
  const V k = from_bits<T>((offset >> M::mantissa) + bits(round)) - round - select(tiny, V::set1(T(M::mantissa)), zero);
  const V f = from_bits<T>((offset & mantissa_mask) + root_half) - V::set1(1);
  // log(1+f) = 2 atanh(s) with s = f / (2+f). Writing 2s as f - s f keeps f exact:
  // log(1+f) = f - (f^2/2 - s (f^2/2 + R)), R = 2/3 s^2 + 2/5 s^4 + ...
  const V s = f / (V::set1(2) + f), z = s * s, half_square = V::set1(T(0.5)) * f * f;
  V R = V::set1(T(2) / T(2 * M::atanh_terms + 1));
#pragma GCC unroll 16
  for (int n = M::atanh_terms - 1; n >= 1; --n) R = fma(R, z, V::set1(T(2) / T(2 * n + 1)));
  R = R * z;
  const V low = fma(k, V::set1(M::ln2_lo), s * (half_square + R));
  const V y = fma(k, V::set1(M::ln2_hi), f - (half_square - low));
  const V infinity = V::set1(T(__builtin_inf()));
  const V special = select(x == zero, zero - infinity, select(x < zero, V::set1(T(__builtin_nan(""))), x));
  return select((x > zero) & (x < infinity), y, special);
}

/// x^p for x > 0.
template <class T>
inline Vec<T> power(Vec<T> x, T p) {
  return exp(Vec<T>::set1(p) * log(x));
}

}  // namespace
}  // namespace ar::cpu::AR_ISA
