// Neighbouring elements that are moved by one access of up to 16 bytes.
#pragma once
#include "cuda/gpu.h"

namespace ar::cuda {

template <int bytes>
struct BitsOf;
template <>
struct BitsOf<2> {
  using type = uint16_t;
};
template <>
struct BitsOf<4> {
  using type = uint32_t;
};
template <>
struct BitsOf<8> {
  using type = uint2;
};
template <>
struct BitsOf<16> {
  using type = uint4;
};

/// N elements of S.
template <class S, int N = 16 / sizeof(S)>
union alignas(N * sizeof(S)) Pack {
  using Bits = typename BitsOf<int(N * sizeof(S))>::type;
  static constexpr int size = N;
  Bits bits;
  S value[N];
  AR_HD Pack() : bits{} {}
  /// From and to an address that is a multiple of the pack's size.
  AR_HD void load(const S* from) { bits = *reinterpret_cast<const Bits*>(from); }
  AR_HD void store(S* to) const { *reinterpret_cast<Bits*>(to) = bits; }
};

}  // namespace ar::cuda
