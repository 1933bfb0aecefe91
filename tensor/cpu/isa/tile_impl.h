// The tiles themselves, for one element type. See tile.h.
#pragma once
#include <utility>

#include "tensor/cpu/isa/finish.h"

namespace ar::cpu::AR_ISA {
namespace {

// Where the k-th elements of a tile's P pixels lie. Many pixels: two bases, and steps that index registers hold. Few:
// a register for each, as Zen 3 reads [register] faster than [register + register] (93 against 80 % of peak).
template <int P, bool each_in_register = (kTile <= 6)>
class PixelPointers {
 public:
  static constexpr int P1 = (P + 1) / 2;
  [[gnu::always_inline]] PixelPointers(const char* p, const char* q, std::ptrdiff_t s)
      : p_(p), q_(q), s_(s), s3_(3 * s), s5_(5 * s) {
    asm("" : "+r"(s3_), "+r"(s5_));  // keep them as index registers
  }
  template <int I>
  [[gnu::always_inline]] const char* at() const {
    return I < P1 ? from<I>(p_) : from<I - P1>(q_);
  }
  [[gnu::always_inline]] void advance(int64_t bytes) { p_ += bytes, q_ += bytes; }

 private:
  // base + I*s for I in 0..6 without a multiplication or a register per pixel.
  template <int I>
  [[gnu::always_inline]] const char* from(const char* base) const {
    return I == 3 || I == 6 ? base + (I / 3) * s3_ : I == 5 ? base + s5_ : base + I * s_;
  }
  const char *p_, *q_;
  std::ptrdiff_t s_, s3_, s5_;
};
template <int P>
class PixelPointers<P, true> {
 public:
  [[gnu::always_inline]] PixelPointers(const char* p, const char* q, std::ptrdiff_t s) {
    constexpr int P1 = (P + 1) / 2;
#pragma GCC unroll 8
    for (int i = 0; i < P; ++i) at_[i] = i < P1 ? p + i * s : q + (i - P1) * s;
  }
  template <int I>
  [[gnu::always_inline]] const char* at() const {
    return at_[I];
  }
  [[gnu::always_inline]] void advance(int64_t bytes) {
#pragma GCC unroll 8
    for (int i = 0; i < P; ++i) {
      at_[i] += bytes;
      asm("" : "+r"(at_[i]));  // or they would become one register and offsets again
    }
  }

 private:
  const char* at_[P];
};

/// c + a * b; bf16: the registers hold pairs.
template <class T>
[[gnu::always_inline]] inline Vec<Compute<T>> multiply_add(Vec<Compute<T>> a, Vec<Compute<T>> b, Vec<Compute<T>> c) {
#if defined(__AVX512BF16__)
  if constexpr (__is_same(T, bf16)) return {_mm512_dpbf16_ps((__m512)c.raw, (__m512bh)a.raw, (__m512bh)b.raw)};
#endif
  return fma(a, b, c);
}

/// The same of the lower halves; what lies above is nobody's.
template <class T>
[[gnu::always_inline]] inline Vec<Compute<T>> multiply_add_half(Vec<Compute<T>> a, Vec<Compute<T>> b,
                                                                Vec<Compute<T>> c) {
#if defined(__AVX512F__)
  if constexpr (__is_same(T, double))
    return {_mm512_castpd256_pd512(
        _mm256_fmadd_pd(_mm512_castpd512_pd256(a.raw), _mm512_castpd512_pd256(b.raw), _mm512_castpd512_pd256(c.raw)))};
  else {
    const __m256 al = _mm512_castps512_ps256(a.raw), bl = _mm512_castps512_ps256(b.raw),
                 cl = _mm512_castps512_ps256(c.raw);
#if defined(__AVX512BF16__)
    if constexpr (__is_same(T, bf16)) return {_mm512_castps256_ps512(_mm256_dpbf16_ps(cl, (__m256bh)al, (__m256bh)bl))};
#endif
    return {_mm512_castps256_ps512(_mm256_fmadd_ps(al, bl, cl))};
  }
#else
  return multiply_add<T>(a, b, c);
#endif
}

/// Registers that hold G grains of columns, and whether only half of the last one is computed.
template <class T, int G>
constexpr int kRegisters = (G * kGrain<T> + kLanes<T> - 1) / kLanes<T>;
template <class T, int G>
constexpr bool kEndsInHalf = G* kGrain<T> % kLanes<T> != 0;

/// *a in all lanes that G grains of columns need.
template <class T, int G>
[[gnu::always_inline]] inline Vec<Compute<T>> broadcast(const void* a) {
  typedef Compute<T> Loose __attribute__((aligned(alignof(T)), may_alias));
  const Compute<T> value = *static_cast<const Loose*>(a);
#if defined(__AVX512F__)
  if constexpr (kRegisters<T, G> == 1 && kEndsInHalf<T, G>) {
    if constexpr (__is_same(T, double))
      return {_mm512_castpd256_pd512(_mm256_set1_pd(value))};
    else
      return {_mm512_castps256_ps512(_mm256_set1_ps(value))};
  }
#endif
  return Vec<Compute<T>>::set1(value);
}

/// c[j] += a * b[j] for G grains of columns.
template <class T, int G>
[[gnu::always_inline]] inline void add_products(Vec<Compute<T>> a, const Vec<Compute<T>> (&b)[kRegisters<T, G>],
                                                Vec<Compute<T>> (&c)[kRegisters<T, G>]) {
  constexpr int NV = kRegisters<T, G>;
#pragma GCC unroll 2
  for (int j = 0; j < NV; ++j)
#if defined(__AVX2__) && !defined(__AVX512F__)
    // Left to itself, GCC lets sums and factors change places, and with all 16 registers in use keeps some in memory.
    if constexpr (__is_same(T, float))
      asm("vfmadd231ps %2, %1, %0" : "+x"(c[j].raw) : "x"(a.raw), "x"(b[j].raw));
    else
      asm("vfmadd231pd %2, %1, %0" : "+x"(c[j].raw) : "x"(a.raw), "x"(b[j].raw));
#else
    c[j] = kEndsInHalf<T, G> && j == NV - 1 ? multiply_add_half<T>(a, b[j], c[j]) : multiply_add<T>(a, b[j], c[j]);
#endif
}

// The sums of P pixels x NV vectors in registers: everything of Finish, one step after another over all of them. The
// last vector holds `last` channels.
template <bool kWhole, class T, int P, int NV>
[[gnu::always_inline]] inline void finish_registers(const Tile<T>& t, Vec<Compute<T>> (&acc)[P][NV], int last) {
  using V = Vec<Compute<T>>;
  constexpr int P1 = (P + 1) / 2, L = V::kLanes;
  const Finish<Compute<T>>& f = *t.finish;
  auto load = [&](const auto* p, int j) __attribute__((always_inline)) {
    return kWhole || j < NV - 1 ? V::load(p + j * L) : V::load(p + j * L, last);
  };
  auto store = [&](V v, T * p, int j) __attribute__((always_inline)) {
    kWhole || j < NV - 1 ? v.store(p + j * L) : v.store(p + j * L, last);
  };
  const int64_t ch = t.channel;
  auto at = [&](auto* p1, auto* p2, std::ptrdiff_t step, int i) __attribute__((always_inline)) {
    return i < P1 ? p1 + i * step : p2 + (i - P1) * step;
  };
  if (f.gate) {
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) {
      const V sc = load(f.scale + ch, j), sh = load(f.shift + ch, j);
      V s1 = V::load(f.sum + ch + j * L), s2 = V::load(f.sum_sq + ch + j * L);
      const V center = load(f.center + ch, j), slope = V::set1(f.slope);
#pragma GCC unroll 16
      for (int i = 0; i < P; ++i) {
        const V x = load(at(t.x1, t.x2, t.x_step, i), j);
        acc[i][j] = activation_gradient(fma(x, sc, sh), acc[i][j], f.gate_activation, slope);
        s1 += acc[i][j];
        s2 = fma(acc[i][j], x - center, s2);
        acc[i][j] *= sc;
      }
      s1.store(f.sum + ch + j * L);
      s2.store(f.sum_sq + ch + j * L);
    }
  } else if (f.scale) {
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) {
      const V sc = load(f.scale + ch, j), sh = load(f.shift + ch, j);
#pragma GCC unroll 16
      for (int i = 0; i < P; ++i) acc[i][j] = fma(acc[i][j], sc, sh);
    }
  }
  if (f.accumulate) {
#pragma GCC unroll 16
    for (int i = 0; i < P; ++i)
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) acc[i][j] += load(at(t.c1, t.c2, t.c_step, i), j);
  }
  if (f.residual) {
#pragma GCC unroll 16
    for (int i = 0; i < P; ++i)
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) acc[i][j] += load(at(t.x1, t.x2, t.x_step, i), j);
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
    for (int j = 0; j < NV; ++j) store(acc[i][j], at(t.c1, t.c2, t.c_step, i), j);
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

/// B comes from the second-level cache. Where two 512-bit multiply-adds start in a cycle (Intel) it is needed twice as
/// soon as on Zen 4, and what the processor fetches by itself comes late: 32 steps of k ahead.
template <int NV>
[[gnu::always_inline]] inline void fetch_ahead(const void* b) {
  if constexpr (kRegisterBytes == 64)
    for (int j = 0; j < NV; ++j) __builtin_prefetch(static_cast<const char*>(b) + 4096 + j * kRegisterBytes, 0, 3);
}

/// What a tile does with its sums: leaves them in t.raw, or finishes them, with a last vector that is whole or not.
enum class End { raw, whole, part };

template <class T, int P, int G, End end>
void tile(const Tile<T>& t, int last) {
  using W = Compute<T>;
  using V = Vec<W>;
  constexpr int P1 = (P + 1) / 2, L = V::kLanes, NV = kRegisters<T, G>;
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

  const W* b = reinterpret_cast<const W*>(t.b);
  auto step = [&]<int... I>(std::integer_sequence<int, I...>, const auto& pixels, int64_t offset)
      __attribute__((always_inline)) {
    V bv[NV];
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) bv[j] = V::load(b + j * L);
    fetch_ahead<NV>(b);
    (add_products<T, G>(broadcast<T, G>(pixels.template at<I>() + offset), bv, acc[I]), ...);
    b += kPanel<T>;
  };
  constexpr std::make_integer_sequence<int, P> all;

  constexpr int64_t E = sizeof(W), line = 64 / E;
  for (int64_t tap = 0; tap < t.n_taps; ++tap) {
    PixelPointers<P> pixels(reinterpret_cast<const char*>(t.a1) + t.taps[tap],
                            reinterpret_cast<const char*>(t.a2) + t.taps[tap], t.a_step);
    int64_t k = 0;
    for (; k + 4 <= t.k; k += 4) {
      if (t.prefetch)
        __builtin_prefetch(t.prefetch + ((k >> 2) & (kPrefetchRows<T> - 1)) * t.prefetch_step + (k & ~(line - 1)) * E,
                           0, 2);
      step(all, pixels, 0);
      step(all, pixels, E);
      step(all, pixels, 2 * E);
      step(all, pixels, 3 * E);
      pixels.advance(4 * E);
    }
    for (; k < t.k; ++k) step(all, pixels, 0), pixels.advance(E);
  }

  if constexpr (end != End::raw) {
    finish_registers<end == End::whole>(t, acc, last);
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
    finish_channels<act>(
        f, s.channel + j, io, s.pixels, s.c + j, s.c_step, [&](int64_t i) { return io.load(s.sums + i * s.step + j); },
        [&](int64_t i) { return io.load(s.x + i * s.x_step + j); });
  });
}

template <class T>
void finish_memory(const Finish<Compute<T>>& f, const Sums<T>& s) {
  by_activation(f.gate ? f.gate_activation : f.activation,
                [&]<Activation act>() { f.gate ? gate_memory<act, T>(f, s) : activate_memory<act, T>(f, s); });
}

template <class T, int P, int G>
void grad_tile(const GradTile<T>& t) {
  using W = Compute<T>;
  using V = Vec<W>;
  constexpr int L = V::kLanes, NV = kRegisters<T, G>;
  V acc[P][NV];
#pragma GCC unroll 16
  for (int i = 0; i < P; ++i)
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) acc[i][j] = V::zero();
  const T* prefetch = t.prefetch;
  const W *g = t.g, *a = nullptr;
  auto pixel = [&]() __attribute__((always_inline)) {
    __builtin_prefetch(prefetch, 0, 2);
    V gv[NV];
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) gv[j] = V::load(g + j * L);
#pragma GCC unroll 16
    for (int i = 0; i < P; ++i) add_products<T, G>(broadcast<T, G>(a + i), gv, acc[i]);
    a += t.a_step, g += kPanel<T>, prefetch += t.prefetch_step;
  };
  constexpr bool four = kTile <= 6;  // few multiply-adds: a jump after each pixel would cost a quarter more
  for (int64_t n = 0; n < t.images; ++n)
    for (int64_t r = 0; r < t.rows; ++r) {
      a = t.a + n * t.a_image + r * t.a_row;
      int64_t w = 0;
      if constexpr (four)
        for (; w + 4 <= t.width; w += 4) pixel(), pixel(), pixel(), pixel();
      for (; w < t.width; ++w) pixel();
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
constexpr int kGrains = kPanel<T> / kGrain<T>;

/// The tiles of each number of grains and of pixels (or, of gradients, of values of k); whole tiles of pixels finish
/// their sums in registers.
template <class T>
struct Tables {
  void (*raw[kGrains<T>][kTile])(const Tile<T>&, int);
  void (*part[kGrains<T>])(const Tile<T>&, int);
  void (*gradient[kGrains<T>][kTile])(const GradTile<T>&);

  constexpr Tables() { add_grains(std::make_integer_sequence<int, kGrains<T>>()); }

 private:
  template <int... G>
  constexpr void add_grains(std::integer_sequence<int, G...>) {
    ((part[G] = tile<T, kTile, G + 1, End::part>, add_pixels<G>(std::make_integer_sequence<int, kTile>())), ...);
  }
  template <int G, int... P>
  constexpr void add_pixels(std::integer_sequence<int, P...>) {
    ((raw[G][P] = tile<T, P + 1, G + 1, End::raw>, gradient[G][P] = grad_tile<T, P + 1, G + 1>), ...);
  }
};
template <class T>
constexpr Tables<T> kTables;

/// Grains that cover so many columns, less one.
template <class T>
[[gnu::always_inline]] inline int last_grain(int columns) {
  return (columns - 1) / kGrain<T>;
}

template <class T>
[[gnu::always_inline]] inline void run_raw(const Tile<T>& t, int pixels, int columns) {
  kTables<T>.raw[last_grain<T>(columns)][pixels - 1](t, 0);
}
template <class T>
[[gnu::always_inline]] inline void run(const Tile<T>& t, int pixels, int columns) {
  if (pixels == kTile && columns == kPanel<T>) return tile<T, kTile, kGrains<T>, End::whole>(t, kLanes<T>);
  if (pixels == kTile) return kTables<T>.part[last_grain<T>(columns)](t, (columns - 1) % kLanes<T> + 1);
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
  kTables<T>.gradient[last_grain<T>(columns)][k - 1](t);
}

}  // namespace
}  // namespace ar::cpu::AR_ISA
