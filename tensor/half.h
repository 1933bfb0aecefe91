// Conversions between f32 and the half types, rounding to nearest, ties to even. Overflow gives infinity, NaN stays
// NaN, subnormals are exact. Written without branches, so that loops over them vectorise.
#pragma once
#include <cstdint>
#include <cstring>

#include "tensor/dtype.h"
#include "tensor/hd.h"

namespace ar {

namespace detail {
AR_HD uint32_t bits_of(float x) {
  uint32_t b;
  memcpy(&b, &x, sizeof b);
  return b;
}
AR_HD float float_of(uint32_t b) {
  float x;
  memcpy(&x, &b, sizeof x);
  return x;
}
}  // namespace detail

AR_HD float to_f32(bf16 h) { return detail::float_of(uint32_t(h.bits) << 16); }

AR_HD float to_f32(f16 h) {
  // binary16's exponent is 112 smaller in bias: multiply by 2^112, which also normalises subnormals. What was infinity
  // or NaN comes out at 2^16 or above, where no finite half lies, and gets all exponent bits.
  const uint32_t sign = uint32_t(h.bits & 0x8000u) << 16;
  const float scaled = detail::float_of(uint32_t(h.bits & 0x7fffu) << 13) * 0x1p112f;
  const uint32_t special = scaled >= 65536.0f ? 0x7f800000u : 0u;
  return detail::float_of(detail::bits_of(scaled) | special | sign);
}

AR_HD bf16 to_bf16(float x) {
  const uint32_t b = detail::bits_of(x);
  const uint32_t rounded = (b + 0x7fffu + (b >> 16 & 1u)) >> 16;
  return {uint16_t((b & 0x7fffffffu) > 0x7f800000u ? (b >> 16 | 0x40u) : rounded)};
}

AR_HD f16 to_f16(float x) {
  const uint32_t b = detail::bits_of(x), sign = b >> 16 & 0x8000u, a = b & 0x7fffffffu;
  // Below 2^-14 the result is subnormal, a multiple of 2^-24, the unit in the last place of 0.5f: the addition rounds.
  const uint32_t subnormal = detail::bits_of(detail::float_of(a) + 0.5f) - 0x3f000000u;
  // Else 112 is taken off the exponent, and half of the last place (less one, plus the even bit) added before the
  // shift.
  const uint32_t normal = (a - (112u << 23) + 0xfffu + (a >> 13 & 1u)) >> 13;
  const uint32_t finite = a < 0x38800000u ? subnormal : normal;
  const uint32_t special = a > 0x7f800000u ? 0x7e00u : 0x7c00u;
  return {uint16_t(sign | (a >= 0x47800000u ? special : finite))};
}

}  // namespace ar
