// Vec<float> and Vec<double>: one register of the instruction set that this object is compiled for. 64 bytes with
// AVX-512, 32 with AVX2, 16 otherwise (plain compiler vectors: SSE2 on x86-64, NEON on ARM).
//
// Comparisons give a Mask, select(mask, a, b) picks per lane. Loads and stores are unaligned; those with a count touch
// `n` elements and no more (n in [0, kLanes]), and lanes that were not loaded are zero.
//
// With AVX512-BF16, Vec<float> is also loaded from and stored to bf16 (rounded to nearest even; subnormals become
// zero).
#pragma once
#include <cstdint>

#include "tensor/dtype.h"
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace ar::cpu::AR_ISA {
namespace {

#if defined(__AVX512F__)
inline constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
inline constexpr int kVectorBytes = 32;
#else
inline constexpr int kVectorBytes = 16;
#endif

template <class T>
struct VecTypes;
template <>
struct VecTypes<float> {
  typedef float Raw __attribute__((vector_size(kVectorBytes)));
  typedef int32_t Int __attribute__((vector_size(kVectorBytes)));
#if defined(__AVX512F__)
  using Mask = __mmask16;
#else
  using Mask = Int;
#endif
};
template <>
struct VecTypes<double> {
  typedef double Raw __attribute__((vector_size(kVectorBytes)));
  typedef int64_t Int __attribute__((vector_size(kVectorBytes)));
#if defined(__AVX512F__)
  using Mask = __mmask8;
#else
  using Mask = Int;
#endif
};

/// One bit (AVX-512) or one lane of all ones (otherwise) per element.
template <class T>
struct Mask {
  typename VecTypes<T>::Mask raw;
  friend Mask operator&(Mask a, Mask b) { return {decltype(raw)(a.raw & b.raw)}; }
  friend Mask operator|(Mask a, Mask b) { return {decltype(raw)(a.raw | b.raw)}; }
  friend Mask operator~(Mask a) { return {decltype(raw)(~a.raw)}; }
};

template <class T>
struct Vec {
  using Raw = typename VecTypes<T>::Raw;
  using Int = typename VecTypes<T>::Int;  // integers of T's size: + - & | << >> as plain operators
  static constexpr int kLanes = kVectorBytes / int(sizeof(T));
  Raw raw;

  static Vec zero() { return {Raw{}}; }
  static Vec set1(T s);
  static Vec load(const T* p) {
    typedef Raw Loose __attribute__((aligned(alignof(T)), may_alias));
    return {*reinterpret_cast<const Loose*>(p)};
  }
  static Vec load(const T* p, int n);
  static Vec load(const bf16* p);
  static Vec load(const bf16* p, int n);
  void store(bf16* p) const;
  void store(bf16* p, int n) const;
  void store(T* p) const {
    typedef Raw Loose __attribute__((aligned(alignof(T)), may_alias));
    *reinterpret_cast<Loose*>(p) = raw;
  }
  void store(T* p, int n) const;

  Vec& operator+=(Vec o) { return *this = *this + o; }
  Vec& operator-=(Vec o) { return *this = *this - o; }
  Vec& operator*=(Vec o) { return *this = *this * o; }
  friend Vec operator+(Vec a, Vec b) { return {a.raw + b.raw}; }
  friend Vec operator-(Vec a, Vec b) { return {a.raw - b.raw}; }
  friend Vec operator*(Vec a, Vec b) { return {a.raw * b.raw}; }
  friend Vec operator/(Vec a, Vec b) { return {a.raw / b.raw}; }
  friend Vec operator-(Vec a) { return {-a.raw}; }
};

// ---- what the instruction sets spell differently ----

#if defined(__AVX512F__)

template <>
inline Vec<float> Vec<float>::set1(float s) {
  return {(Raw)_mm512_set1_ps(s)};
}
template <>
inline Vec<double> Vec<double>::set1(double s) {
  return {(Raw)_mm512_set1_pd(s)};
}
template <>
inline Vec<float> Vec<float>::load(const float* p, int n) {
  return {(Raw)_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), p)};
}
template <>
inline Vec<double> Vec<double>::load(const double* p, int n) {
  return {(Raw)_mm512_maskz_loadu_pd(__mmask8((1u << n) - 1), p)};
}
template <>
inline void Vec<float>::store(float* p, int n) const {
  _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1), (__m512)raw);
}
template <>
inline void Vec<double>::store(double* p, int n) const {
  _mm512_mask_storeu_pd(p, __mmask8((1u << n) - 1), (__m512d)raw);
}
#if defined(__AVX512BF16__)
inline Vec<float> widened(__m256i a) { return {(__m512)_mm512_slli_epi32(_mm512_cvtepu16_epi32(a), 16)}; }
template <>
inline Vec<float> Vec<float>::load(const bf16* p) {
  return widened(_mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(p)));
}
template <>
inline Vec<float> Vec<float>::load(const bf16* p, int n) {
  return widened(_mm256_maskz_loadu_epi16(__mmask16((1u << n) - 1), p));
}
/// bf16 of a (low half) and b in each lane.
inline Vec<float> paired(Vec<float> a, Vec<float> b) {
  const __m512i low = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)a.raw));
  const __m512i high = _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh((__m512)b.raw));
  return {(__m512)_mm512_or_si512(low, _mm512_slli_epi32(high, 16))};
}
template <>
inline void Vec<float>::store(bf16* p) const {
  _mm256_storeu_si256(reinterpret_cast<__m256i_u*>(p), (__m256i)_mm512_cvtneps_pbh((__m512)raw));
}
template <>
inline void Vec<float>::store(bf16* p, int n) const {
  _mm256_mask_storeu_epi16(p, __mmask16((1u << n) - 1), (__m256i)_mm512_cvtneps_pbh((__m512)raw));
}
#endif
#define AR_COMPARE(name, code)                                                                             \
  inline Mask<float> name(Vec<float> a, Vec<float> b) { return {_mm512_cmp_ps_mask(a.raw, b.raw, code)}; } \
  inline Mask<double> name(Vec<double> a, Vec<double> b) { return {_mm512_cmp_pd_mask(a.raw, b.raw, code)}; }
AR_COMPARE(operator>, _CMP_GT_OQ)
AR_COMPARE(operator>=, _CMP_GE_OQ)
AR_COMPARE(operator<, _CMP_LT_OQ)
AR_COMPARE(operator<=, _CMP_LE_OQ)
AR_COMPARE(operator==, _CMP_EQ_OQ)
AR_COMPARE(operator!=, _CMP_NEQ_UQ)
#undef AR_COMPARE
inline Vec<float> select(Mask<float> m, Vec<float> a, Vec<float> b) {
  return {_mm512_mask_blend_ps(m.raw, b.raw, a.raw)};
}
inline Vec<double> select(Mask<double> m, Vec<double> a, Vec<double> b) {
  return {_mm512_mask_blend_pd(m.raw, b.raw, a.raw)};
}
template <class T>
inline bool any(Mask<T> m) {
  return m.raw != 0;
}
inline Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return {_mm512_fmadd_ps(a.raw, b.raw, c.raw)}; }
inline Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return {_mm512_fmadd_pd(a.raw, b.raw, c.raw)}; }
inline Vec<float> max(Vec<float> a, Vec<float> b) { return {_mm512_max_ps(a.raw, b.raw)}; }
inline Vec<double> max(Vec<double> a, Vec<double> b) { return {_mm512_max_pd(a.raw, b.raw)}; }
inline Vec<float> min(Vec<float> a, Vec<float> b) { return {_mm512_min_ps(a.raw, b.raw)}; }
inline Vec<double> min(Vec<double> a, Vec<double> b) { return {_mm512_min_pd(a.raw, b.raw)}; }
inline Vec<float> sqrt(Vec<float> a) { return {_mm512_sqrt_ps(a.raw)}; }
inline Vec<double> sqrt(Vec<double> a) { return {_mm512_sqrt_pd(a.raw)}; }

#else

/// a < b as a mask of lanes and so on: compiler vectors compare to all ones or zero.
#define AR_COMPARE(op)                                     \
  template <class T>                                       \
  inline Mask<T> operator op(Vec<T> a, Vec<T> b) {         \
    return {(typename VecTypes<T>::Mask)(a.raw op b.raw)}; \
  }
AR_COMPARE(>)
AR_COMPARE(>=)
AR_COMPARE(<)
AR_COMPARE(<=)
AR_COMPARE(==)
AR_COMPARE(!=)
#undef AR_COMPARE

#if defined(__AVX2__)

// A window into this table is a mask of n lanes.
alignas(64) inline constexpr int32_t kLaneMask[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
inline __m256i lane_mask32(int n) { return _mm256_loadu_si256(reinterpret_cast<const __m256i_u*>(kLaneMask + 8 - n)); }
inline __m256i lane_mask64(int n) { return lane_mask32(2 * n); }

template <>
inline Vec<float> Vec<float>::set1(float s) {
  return {(Raw)_mm256_set1_ps(s)};
}
template <>
inline Vec<double> Vec<double>::set1(double s) {
  return {(Raw)_mm256_set1_pd(s)};
}
template <>
inline Vec<float> Vec<float>::load(const float* p, int n) {
  return {(Raw)_mm256_maskload_ps(p, lane_mask32(n))};
}
template <>
inline Vec<double> Vec<double>::load(const double* p, int n) {
  return {(Raw)_mm256_maskload_pd(p, lane_mask64(n))};
}
template <>
inline void Vec<float>::store(float* p, int n) const {
  _mm256_maskstore_ps(p, lane_mask32(n), (__m256)raw);
}
template <>
inline void Vec<double>::store(double* p, int n) const {
  _mm256_maskstore_pd(p, lane_mask64(n), (__m256d)raw);
}
inline Vec<float> select(Mask<float> m, Vec<float> a, Vec<float> b) {
  return {_mm256_blendv_ps(b.raw, a.raw, (__m256)m.raw)};
}
inline Vec<double> select(Mask<double> m, Vec<double> a, Vec<double> b) {
  return {_mm256_blendv_pd(b.raw, a.raw, (__m256d)m.raw)};
}
template <class T>
inline bool any(Mask<T> m) {
  return _mm256_movemask_epi8((__m256i)m.raw) != 0;
}
inline Vec<float> fma(Vec<float> a, Vec<float> b, Vec<float> c) { return {_mm256_fmadd_ps(a.raw, b.raw, c.raw)}; }
inline Vec<double> fma(Vec<double> a, Vec<double> b, Vec<double> c) { return {_mm256_fmadd_pd(a.raw, b.raw, c.raw)}; }
inline Vec<float> max(Vec<float> a, Vec<float> b) { return {_mm256_max_ps(a.raw, b.raw)}; }
inline Vec<double> max(Vec<double> a, Vec<double> b) { return {_mm256_max_pd(a.raw, b.raw)}; }
inline Vec<float> min(Vec<float> a, Vec<float> b) { return {_mm256_min_ps(a.raw, b.raw)}; }
inline Vec<double> min(Vec<double> a, Vec<double> b) { return {_mm256_min_pd(a.raw, b.raw)}; }
inline Vec<float> sqrt(Vec<float> a) { return {_mm256_sqrt_ps(a.raw)}; }
inline Vec<double> sqrt(Vec<double> a) { return {_mm256_sqrt_pd(a.raw)}; }

#else

template <class T>
inline Vec<T> Vec<T>::set1(T s) {
  Raw r;
  for (int i = 0; i < kLanes; ++i) r[i] = s;
  return {r};
}
template <class T>
inline Vec<T> Vec<T>::load(const T* p, int n) {
  Raw r{};
  for (int i = 0; i < kLanes; ++i)
    if (i < n) r[i] = p[i];
  return {r};
}
template <class T>
inline void Vec<T>::store(T* p, int n) const {
  for (int i = 0; i < kLanes; ++i)
    if (i < n) p[i] = raw[i];
}
template <class T>
inline Vec<T> select(Mask<T> m, Vec<T> a, Vec<T> b) {
  return {m.raw ? a.raw : b.raw};
}
template <class T>
inline bool any(Mask<T> m) {
  bool some = false;
  for (int i = 0; i < Vec<T>::kLanes; ++i) some |= m.raw[i] != 0;
  return some;
}
template <class T>
inline Vec<T> fma(Vec<T> a, Vec<T> b, Vec<T> c) {
  return a * b + c;
}
template <class T>
inline Vec<T> max(Vec<T> a, Vec<T> b) {
  return {a.raw > b.raw ? a.raw : b.raw};
}
template <class T>
inline Vec<T> min(Vec<T> a, Vec<T> b) {
  return {a.raw < b.raw ? a.raw : b.raw};
}
inline Vec<float> sqrt(Vec<float> a) {
  for (int i = 0; i < a.kLanes; ++i) a.raw[i] = __builtin_sqrtf(a.raw[i]);
  return a;
}
inline Vec<double> sqrt(Vec<double> a) {
  for (int i = 0; i < a.kLanes; ++i) a.raw[i] = __builtin_sqrt(a.raw[i]);
  return a;
}

#endif
#endif

// max(a, b) is a > b ? a : b, and min likewise: the second operand wins where either is NaN, on every instruction set.
// So max(zero, x) and min(six, x) keep the NaN of x.

/// The lanes' bits as integers, and back.
template <class T>
inline typename Vec<T>::Int bits(Vec<T> a) {
  return (typename Vec<T>::Int)a.raw;
}
template <class T>
inline Vec<T> from_bits(typename Vec<T>::Int a) {
  return {(typename Vec<T>::Raw)a};
}
template <class T>
inline Vec<T> abs(Vec<T> a) {
  const auto sign = bits(Vec<T>::set1(T(-0.0)));
  return from_bits<T>(bits(a) & ~sign);
}
/// Sum of all lanes, pairwise: a fixed order.
template <class T>
inline T sum_lanes(Vec<T> a) {
  T v[Vec<T>::kLanes];
  a.store(v);
  for (int n = Vec<T>::kLanes / 2; n > 0; n /= 2)
    for (int i = 0; i < n; ++i) v[i] += v[i + n];
  return v[0];
}

}  // namespace
}  // namespace ar::cpu::AR_ISA
