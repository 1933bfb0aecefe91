// Totals of contiguous rows. Blocks of f32 numbers are added up, then folded into f64 (integers: into i64), so that
// long sums keep their precision.
#pragma once
#include "tensor/cpu/isa/rows.h"

namespace ar::cpu::AR_ISA {
namespace {

constexpr int64_t kBlock = 16;  // f32 numbers added before they are folded

template <class T>
struct SumType {
  using type = int64_t;
};
template <>
struct SumType<float> {
  using type = double;
};
template <>
struct SumType<double> {
  using type = double;
};
template <class T>
constexpr bool is_float = __is_same(T, float) || __is_same(T, double);

struct SumOp {
  template <class T>
  using Total = typename SumType<T>::type;
  template <class T>
  static constexpr T first() {
    return T(0);
  }
  template <class T>
  static T f(T a, T b) {
    if constexpr (__is_same(T, int64_t))
      return T(uint64_t(a) + uint64_t(b));
    else if constexpr (__is_same(T, int32_t))
      return T(uint32_t(a) + uint32_t(b));
    else
      return a + b;
  }
  template <class T>
  static Vec<T> lanes(Vec<T> a, Vec<T> b) {
    return a + b;
  }
};
// NaN anywhere gives NaN.
struct MaxOp {
  template <class T>
  using Total = T;
  template <class T>
  static constexpr T first() {
    if constexpr (is_float<T>)
      return -T(__builtin_inf());
    else
      return sizeof(T) == 4 ? T(-0x7fffffff - 1) : T(-0x7fffffffffffffff - 1);
  }
  template <class T>
  static T f(T a, T b) {
    return a > b || a != a ? a : b;
  }
  template <class T>
  static Vec<T> lanes(Vec<T> a, Vec<T> b) {
    return select(a != a, a, max(a, b));
  }
};
struct MinOp {
  template <class T>
  using Total = T;
  template <class T>
  static constexpr T first() {
    if constexpr (is_float<T>)
      return T(__builtin_inf());
    else
      return sizeof(T) == 4 ? T(0x7fffffff) : T(0x7fffffffffffffff);
  }
  template <class T>
  static T f(T a, T b) {
    return a < b || a != a ? a : b;
  }
  template <class T>
  static Vec<T> lanes(Vec<T> a, Vec<T> b) {
    return select(a != a, a, min(a, b));
  }
};

/// The total of n contiguous numbers.
template <class Op, class T>
typename Op::template Total<T> along_row(const T* x, int64_t n) {
  using A = typename Op::template Total<T>;
  A total = Op::template first<A>();
  int64_t i = 0;
  if constexpr (is_float<T>) {
    using V = Vec<T>;
    constexpr int64_t step = 4 * V::kLanes, longest = kBlock * step;
    while (n - i >= step) {  // four registers, kBlock times
      const int64_t end = n - i < longest ? n - (n - i) % step : i + longest;
      V s[4];
      for (V& v : s) v = V::set1(Op::template first<T>());
      for (; i < end; i += step)
        for (int j = 0; j < 4; ++j) s[j] = Op::lanes(s[j], V::load(x + i + j * V::kLanes));
      T lane[V::kLanes];
      Op::lanes(Op::lanes(s[0], s[1]), Op::lanes(s[2], s[3])).store(lane);
      for (T v : lane) total = Op::template f<A>(total, A(v));
    }
  }
  for (; i < n; ++i) total = Op::template f<A>(total, A(x[i]));
  return total;
}

/// Sum of a[i] * b[i].
template <class T>
double dot(const T* a, const T* b, int64_t n) {
  double total = 0;
  constexpr int64_t block = kBlock * Vec<T>::kLanes;
  for (int64_t i = 0; i < n; i += block) {
    Vec<T> sum = Vec<T>::zero();
    each_vector<T>(n - i < block ? n - i : block,
                   [&](int64_t j, auto io) { sum = fma(io.load(a + i + j), io.load(b + i + j), sum); });
    total += double(sum_lanes(sum));
  }
  return total;
}

}  // namespace
}  // namespace ar::cpu::AR_ISA
