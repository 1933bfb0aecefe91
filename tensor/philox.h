// Philox-4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3" (SC
// 2011): ten rounds turn a 128-bit counter and a 64-bit key into four 32-bit numbers. Every device computes the same
// ones.
//
// The stream of a seed is the numbers of counters 0, 1, 2, ... in order; PhiloxState::offset says where in it to begin.
#pragma once
#include <cmath>
#include <cstdint>

#include "tensor/hd.h"

namespace ar {

struct Philox4 {
  uint32_t v[4];
};

/// The generator's definition: counter and key in 32-bit words, lowest first.
AR_HD Philox4 philox4x32_10(Philox4 c, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t(c.v[0]) * 0xD2511F53u, b = uint64_t(c.v[2]) * 0xCD9E8D57u;
    c = {{uint32_t(b >> 32) ^ c.v[1] ^ key0, uint32_t(b), uint32_t(a >> 32) ^ c.v[3] ^ key1, uint32_t(a)}};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return c;
}

/// Numbers 4*block .. 4*block+3 of the seed's stream.
AR_HD Philox4 philox_block(uint64_t seed, uint64_t block) {
  return philox4x32_10({{uint32_t(block), uint32_t(block >> 32), 0, 0}}, uint32_t(seed), uint32_t(seed >> 32));
}

/// [0, 1), a multiple of 2^-32.
AR_HD double philox_unit(uint32_t number) { return double(number) * 0x1p-32; }

/// A dropout mask keeps an element if its number is at least this: with probability 1-p. p < 1.
AR_HD uint32_t philox_drop_below(double p) { return uint32_t(p * 0x1p32); }

/// U[lo, hi), rounded to T; what would round up to hi becomes lo.
template <class T>
AR_HD T philox_uniform(uint32_t number, T lo, T hi) {
  const T x = T(double(lo) + (double(hi) - double(lo)) * philox_unit(number));
  return x < hi ? x : lo;
}

struct PhiloxNormals {
  double even, odd;
};
/// Two standard normals from numbers 2j and 2j+1 of a stream (Box & Muller 1958), for its elements 2j and 2j+1. In
/// f64, so that devices whose log and cos differ in the last bit still round to the same f32.
AR_HD PhiloxNormals philox_normals(uint32_t first, uint32_t second) {
  const double radius = ::sqrt(-2.0 * ::log((double(first) + 1.0) * 0x1p-32));
  const double angle = 6.283185307179586476925 * philox_unit(second);
  return {radius * ::cos(angle), radius * ::sin(angle)};
}

}  // namespace ar
