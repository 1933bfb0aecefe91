// Elementwise work on any strided views and element types, for functions that know contiguous rows only. What is not
// contiguous, or is a half, passes through a buffer of a few hundred elements that stays in the first cache.
#pragma once
#include "tensor/cpu/isa/compute.h"
#include "tensor/cpu/isa/simd.h"
#include "tensor/cpu/isa/strided.h"
#include "tensor/half.h"

namespace ar::cpu::AR_ISA {
namespace {

template <class S>
inline Compute<S> widen(S x) {
  return x;
}
inline float widen(f16 x) { return to_f32(x); }
inline float widen(bf16 x) { return to_f32(x); }
template <class S>
inline S narrow(Compute<S> x) {
  if constexpr (__is_same(S, f16))
    return to_f16(x);
  else if constexpr (__is_same(S, bf16))
    return to_bf16(x);
  else
    return x;
}

/// n elements from x (stride in bytes) to contiguous y, and back.
template <class S>
inline void gather(const char* x, int64_t stride, Compute<S>* y, int64_t n) {
  if (stride == int64_t(sizeof(S))) {
    const S* dense = reinterpret_cast<const S*>(x);
    for (int64_t i = 0; i < n; ++i) y[i] = widen(dense[i]);
  } else {
    for (int64_t i = 0; i < n; ++i) y[i] = widen(*reinterpret_cast<const S*>(x + i * stride));
  }
}
template <class S>
inline void scatter(const Compute<S>* x, char* y, int64_t stride, int64_t n) {
  if (stride == int64_t(sizeof(S))) {
    S* dense = reinterpret_cast<S*>(y);
    for (int64_t i = 0; i < n; ++i) dense[i] = narrow<S>(x[i]);
  } else {
    for (int64_t i = 0; i < n; ++i) *reinterpret_cast<S*>(y + i * stride) = narrow<S>(x[i]);
  }
}

/// What a row function gets: its own data, a pointer for each operand, the number of elements, and the linear index of
/// the first (meaningful with Order::logical).
template <class T>
using RowFunction = void (*)(const void* self, T* const* operands, int64_t n, int64_t first);

/// Which operands are read and which are written, a bit each.
struct Access {
  unsigned reads, writes;
};

template <class S, int K>
inline void run_rows(const View* const (&views)[K], Access access, RowFunction<Compute<S>> f, const void* self,
                     int64_t grain, Order order = Order::memory) {
  using T = Compute<S>;
  const Strided<K> s = make_strided(views, order);
  bool direct[K], all_direct = true;
  for (int k = 0; k < K; ++k) {
    direct[k] = __is_same(S, T) && (s.row_stride(k) == int64_t(sizeof(S)) || s.row() == 1);
    all_direct &= direct[k];
  }
  parallel_walk(s, grain, [&](char* const(&row)[K], int64_t n, int64_t first) {
    if (all_direct) {
      T* p[K];
      for (int k = 0; k < K; ++k) p[k] = reinterpret_cast<T*>(row[k]);
      return f(self, p, n, first);
    }
    constexpr int64_t chunk = 256;
    alignas(64) T buffer[K][chunk];
    for (int64_t i = 0; i < n; i += chunk) {
      const int64_t m = n - i < chunk ? n - i : chunk;
      T* p[K];
      for (int k = 0; k < K; ++k) {
        char* const at = row[k] + i * s.row_stride(k);
        p[k] = direct[k] ? reinterpret_cast<T*>(at) : buffer[k];
        // A repeated element needs filling in once only.
        if (!direct[k] && access.reads >> k & 1u && (i == 0 || s.row_stride(k) != 0))
          gather<S>(at, s.row_stride(k), buffer[k], m);
      }
      f(self, p, m, first + i);
      for (int k = 0; k < K; ++k)
        if (!direct[k] && access.writes >> k & 1u)
          scatter<S>(buffer[k], row[k] + i * s.row_stride(k), s.row_stride(k), m);
    }
  });
}

/// Loads and stores of a whole register, or of its first n elements; from and to bf16, too, where Vec<float> has that.
template <class T>
struct Whole {
  template <class S>
  static Vec<T> load(const S* p) {
    return Vec<T>::load(p);
  }
  template <class S>
  static void store(Vec<T> v, S* p) {
    v.store(p);
  }
};
template <class T>
struct Part {
  int n;
  template <class S>
  Vec<T> load(const S* p) const {
    return Vec<T>::load(p, n);
  }
  template <class S>
  void store(Vec<T> v, S* p) const {
    v.store(p, n);
  }
};

/// f(i, io) for each register of a row of n elements, with io.load(p + i) and io.store(v, p + i); the tail takes the
/// same arithmetic.
template <class T, class F>
[[gnu::always_inline]] inline void each_vector(int64_t n, F&& f) {
  int64_t i = 0;
  for (; i + Vec<T>::kLanes <= n; i += Vec<T>::kLanes) f(i, Whole<T>{});
  if (i < n) f(i, Part<T>{int(n - i)});
}

}  // namespace
}  // namespace ar::cpu::AR_ISA
