// The tiles themselves, for one element type. See tile.h.
#pragma once
#include "tensor/cpu/isa/finish.h"

namespace ar::cpu::AR_ISA {
namespace {

// p + I*s for I in 0..6 without a multiplication or a register per pixel.
template <int I>
[[gnu::always_inline]] inline const char* pixel_at(const char* p, std::ptrdiff_t s, std::ptrdiff_t s3,
                                                   std::ptrdiff_t s5) {
  if constexpr (I == 0)
    return p;
  else if constexpr (I == 1 || I == 2 || I == 4)
    return p + I * s;
  else if constexpr (I == 3 || I == 6)
    return p + (I / 3) * s3;
  else
    return p + s5;
}

/// c + a * b; bf16: the registers hold pairs.
template <class T>
[[gnu::always_inline]] inline Vec<Compute<T>> multiply_add(Vec<Compute<T>> a, Vec<Compute<T>> b, Vec<Compute<T>> c) {
#if defined(__AVX512BF16__)
  if constexpr (__is_same(T, bf16)) return {_mm512_dpbf16_ps((__m512)c.raw, (__m512bh)a.raw, (__m512bh)b.raw)};
#endif
  return fma(a, b, c);
}

// The sums of P pixels x NV vectors in registers: everything of Finish, one step after another over all of them.
template <class T, int P, int NV>
[[gnu::always_inline]] inline void finish_registers(const Tile<T>& t, Vec<Compute<T>> (&acc)[P][NV]) {
  using V = Vec<Compute<T>>;
  constexpr int P1 = (P + 1) / 2, L = V::kLanes;
  const Finish<Compute<T>>& f = *t.finish;
  const int64_t ch = t.channel;
  auto at = [&](auto* p1, auto* p2, std::ptrdiff_t step, int i) __attribute__((always_inline)) {
    return i < P1 ? p1 + i * step : p2 + (i - P1) * step;
  };
  if (f.gate) {
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) {
      const V sc = V::load(f.scale + ch + j * L), sh = V::load(f.shift + ch + j * L);
      V s1 = V::load(f.sum + ch + j * L), s2 = V::load(f.sum_sq + ch + j * L);
      const V slope = V::set1(f.slope);
#pragma GCC unroll 16
      for (int i = 0; i < P; ++i) {
        const V x = V::load(at(t.x1, t.x2, t.x_step, i) + j * L);
        acc[i][j] = activation_gradient(fma(x, sc, sh), acc[i][j], f.gate_activation, slope);
        s1 += acc[i][j];
        s2 = fma(acc[i][j], x - V::load(f.center + ch + j * L), s2);
        acc[i][j] *= sc;
      }
      s1.store(f.sum + ch + j * L);
      s2.store(f.sum_sq + ch + j * L);
    }
  } else if (f.scale) {
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) {
      const V sc = V::load(f.scale + ch + j * L), sh = V::load(f.shift + ch + j * L);
#pragma GCC unroll 16
      for (int i = 0; i < P; ++i) acc[i][j] = fma(acc[i][j], sc, sh);
    }
  }
  if (f.accumulate) {
#pragma GCC unroll 16
    for (int i = 0; i < P; ++i)
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) acc[i][j] += V::load(at(t.c1, t.c2, t.c_step, i) + j * L);
  }
  if (f.activation != Activation::none) {
    const V slope = V::set1(f.slope);
#pragma GCC unroll 16
    for (int i = 0; i < P; ++i)
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) acc[i][j] = activate(acc[i][j], f.activation, slope);
  }
#pragma GCC unroll 16
  for (int i = 0; i < P; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) acc[i][j].store(at(t.c1, t.c2, t.c_step, i) + j * L);
  if (f.sum && !f.gate) {
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) {
      V s1 = V::load(f.sum + ch + j * L), s2 = V::load(f.sum_sq + ch + j * L);
#pragma GCC unroll 16
      for (int i = 0; i < P; ++i) s1 += acc[i][j], s2 = fma(acc[i][j], acc[i][j], s2);
      s1.store(f.sum + ch + j * L);
      s2.store(f.sum_sq + ch + j * L);
    }
  }
}

template <class T, int P, int NV, bool kFinish>
void tile(const Tile<T>& t) {
  using W = Compute<T>;
  using V = Vec<W>;
  constexpr int P1 = (P + 1) / 2, P2 = P / 2, L = V::kLanes;
  V acc[P][NV];
#pragma GCC unroll 16
  for (int i = 0; i < P; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) acc[i][j] = V::zero();

      // The result's lines are fetched for writing while the sums are formed, and the next tile's into L2: stores (and
      // the loads of `accumulate`) that miss the caches would hold up the end of every tile.
#pragma GCC unroll 16
  for (int i = 0; i < P; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) {
      const T* c = (i < P1 ? t.c1 + i * t.c_step : t.c2 + (i - P1) * t.c_step) + j * L;
      __builtin_prefetch(c, 1, 3);
      __builtin_prefetch(c + kTile * t.c_step, 0, 2);
    }
  if (t.x1) {
#pragma GCC unroll 16
    for (int i = 0; i < P; ++i)
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) {
        const T* x = (i < P1 ? t.x1 + i * t.x_step : t.x2 + (i - P1) * t.x_step) + j * L;
        __builtin_prefetch(x, 0, 3);
        __builtin_prefetch(x + kTile * t.x_step, 0, 2);
      }
  }

  typedef W Loose __attribute__((aligned(alignof(T)), may_alias));
  const std::ptrdiff_t s = t.a_step;
  std::ptrdiff_t s3 = 3 * s, s5 = 5 * s;
  asm("" : "+r"(s3), "+r"(s5));  // keep them as index registers
  const W* b = reinterpret_cast<const W*>(t.b);

  auto step = [&](const char* p, const char* q) __attribute__((always_inline)) {
    V bv[NV];
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) bv[j] = V::load(b + j * L);
    auto row = [&]<int I>(V(&c)[NV], const char* base) __attribute__((always_inline)) {
      const V a = V::set1(*reinterpret_cast<const Loose*>(pixel_at<I>(base, s, s3, s5)));
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) c[j] = multiply_add<T>(a, bv[j], c[j]);
    };
    if constexpr (P1 > 0) row.template operator()<0>(acc[0], p);
    if constexpr (P1 > 1) row.template operator()<1>(acc[1], p);
    if constexpr (P1 > 2) row.template operator()<2>(acc[2], p);
    if constexpr (P1 > 3) row.template operator()<3>(acc[3], p);
    if constexpr (P1 > 4) row.template operator()<4>(acc[4], p);
    if constexpr (P1 > 5) row.template operator()<5>(acc[5], p);
    if constexpr (P1 > 6) row.template operator()<6>(acc[6], p);
    if constexpr (P2 > 0) row.template operator()<0>(acc[P1 + 0], q);
    if constexpr (P2 > 1) row.template operator()<1>(acc[P1 + 1], q);
    if constexpr (P2 > 2) row.template operator()<2>(acc[P1 + 2], q);
    if constexpr (P2 > 3) row.template operator()<3>(acc[P1 + 3], q);
    if constexpr (P2 > 4) row.template operator()<4>(acc[P1 + 4], q);
    if constexpr (P2 > 5) row.template operator()<5>(acc[P1 + 5], q);
    if constexpr (P2 > 6) row.template operator()<6>(acc[P1 + 6], q);
    b += kPanel<T>;
  };

  constexpr int64_t E = sizeof(W), line = 64 / E;
  for (int64_t tap = 0; tap < t.n_taps; ++tap) {
    const char* p = reinterpret_cast<const char*>(t.a1) + t.taps[tap];
    const char* q = reinterpret_cast<const char*>(t.a2) + t.taps[tap];
    int64_t k = 0;
    for (; k + 4 <= t.k; k += 4) {
      if (t.prefetch)
        __builtin_prefetch(t.prefetch + ((k >> 2) & (kPrefetchRows<T> - 1)) * t.prefetch_step + (k & ~(line - 1)) * E,
                           0, 2);
      step(p, q);
      step(p + E, q + E);
      step(p + 2 * E, q + 2 * E);
      step(p + 3 * E, q + 3 * E);
      p += 4 * E, q += 4 * E;
    }
    for (; k < t.k; ++k) step(p, q), p += E, q += E;
  }

  if constexpr (kFinish) {
    finish_registers<T, P, NV>(t, acc);
  } else {
#pragma GCC unroll 16
    for (int i = 0; i < P; ++i)
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) acc[i][j].store(t.raw + i * kPanel<T> + j * L);
  }
}

template <Activation act, class T>
void gate_memory(const Finish<Compute<T>>& f, const Sums<T>& s) {
  each_vector<Compute<T>>(s.columns, [&](int64_t j, auto io) {
    gate_channels<act>(f, s.channel + j, io, s.pixels, s.c + j, s.c_step, s.x + j, s.x_step,
                       [&](int64_t i) { return io.load(s.sums + i * s.step + j); });
  });
}

template <Activation act, class T>
void activate_memory(const Finish<Compute<T>>& f, const Sums<T>& s) {
  each_vector<Compute<T>>(s.columns, [&](int64_t j, auto io) {
    finish_channels<act>(f, s.channel + j, io, s.pixels, s.c + j, s.c_step,
                         [&](int64_t i) { return io.load(s.sums + i * s.step + j); });
  });
}

template <class T>
void finish_memory(const Finish<Compute<T>>& f, const Sums<T>& s) {
  by_activation(f.gate ? f.gate_activation : f.activation,
                [&]<Activation act>() { f.gate ? gate_memory<act, T>(f, s) : activate_memory<act, T>(f, s); });
}

template <class T, int P, int NV>
void grad_tile(const GradTile<T>& t) {
  using W = Compute<T>;
  using V = Vec<W>;
  constexpr int L = V::kLanes;
  V acc[P][NV];
#pragma GCC unroll 16
  for (int i = 0; i < P; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) acc[i][j] = V::zero();
  const T* prefetch = t.prefetch;
  const W* g = t.g;
  for (int64_t n = 0; n < t.images; ++n)
    for (int64_t r = 0; r < t.rows; ++r) {
      const W* a = t.a + n * t.a_image + r * t.a_row;
      for (int64_t w = 0; w < t.width; ++w, a += t.a_step, g += kPanel<T>, prefetch += t.prefetch_step) {
        __builtin_prefetch(prefetch, 0, 2);
        V gv[NV];
#pragma GCC unroll 2
        for (int j = 0; j < NV; ++j) gv[j] = V::load(g + j * L);
#pragma GCC unroll 16
        for (int i = 0; i < P; ++i) {
          const V x = V::set1(a[i]);
#pragma GCC unroll 2
          for (int j = 0; j < NV; ++j) acc[i][j] = multiply_add<T>(x, gv[j], acc[i][j]);
        }
      }
    }
#pragma GCC unroll 16
  for (int i = 0; i < P; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) {
      W* d = t.d + i * kPanel<T> + j * L;
      (V::load(d) + acc[i][j]).store(d);
    }
}

template <class T>
using TileFn = void (*)(const Tile<T>&);
template <class T>
using GradFn = void (*)(const GradTile<T>&);

template <class T, int P>
struct Tables {  // fills the entries of 1..P pixels
  static constexpr void fill(TileFn<T> (&tiles)[2][kTile], GradFn<T> (&grads)[2][kTile]) {
    tiles[0][P - 1] = tile<T, P, 1, false>;
    tiles[1][P - 1] = tile<T, P, 2, false>;
    grads[0][P - 1] = grad_tile<T, P, 1>;
    grads[1][P - 1] = grad_tile<T, P, 2>;
    if constexpr (P > 1) Tables<T, P - 1>::fill(tiles, grads);
  }
};
template <class T>
struct AllTables {
  TileFn<T> tiles[2][kTile] = {};
  GradFn<T> grads[2][kTile] = {};
  constexpr AllTables() { Tables<T, kTile>::fill(tiles, grads); }
};
template <class T>
constexpr AllTables<T> kTables;

template <class T>
[[gnu::always_inline]] inline void run_raw(const Tile<T>& t, int pixels, int columns) {
  kTables<T>.tiles[columns > kLanes<T>][pixels - 1](t);
}
template <class T>
[[gnu::always_inline]] inline void run(const Tile<T>& t, int pixels, int columns) {
  if (pixels == kTile && columns == kPanel<T>) return tile<T, kTile, 2, true>(t);
  alignas(64) Compute<T> raw[kTile * kPanel<T>];
  Tile<T> unfinished = t;
  unfinished.raw = raw;
  run_raw(unfinished, pixels, columns);
  const int first = (pixels + 1) / 2;
  finish_memory(*t.finish, Sums<T>{raw, kPanel<T>, t.c1, t.c_step, t.x1, t.x_step, first, t.channel, columns});
  finish_memory(*t.finish, Sums<T>{raw + first * kPanel<T>, kPanel<T>, t.c2, t.c_step, t.x2, t.x_step, pixels - first,
                                   t.channel, columns});
}
template <class T>
[[gnu::always_inline]] inline void run_grad(const GradTile<T>& t, int k, int columns) {
  kTables<T>.grads[columns > kLanes<T>][k - 1](t);
}

}  // namespace
}  // namespace ar::cpu::AR_ISA
