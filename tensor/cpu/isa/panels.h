// Weights and other right-hand sides in the order in which the tiles stream them, [k][panel], and back.
#pragma once
#include <utility>

#include "tensor/cpu/isa/images.h"

namespace ar::cpu::AR_ISA {
namespace {

/// Transposes a square of registers: log2(lanes) rounds, each exchanging the off-diagonal blocks of one size.
template <class T, int S, int... Lane>
[[gnu::always_inline]] inline void transpose_rounds(Vec<T> (&r)[kLanes<T>], std::integer_sequence<int, Lane...> lanes) {
  constexpr int L = kLanes<T>;
#pragma GCC unroll 16
  for (int i = 0; i < L; ++i)
    if (!(i & S)) {
      const auto a = r[i].raw, b = r[i + S].raw;
      r[i].raw = __builtin_shufflevector(a, b, (Lane & S ? L + Lane - S : Lane)...);
      r[i + S].raw = __builtin_shufflevector(a, b, (Lane & S ? L + Lane : Lane + S)...);
    }
  if constexpr (S > 1) transpose_rounds<T, S / 2>(r, lanes);
}
template <class T>
[[gnu::always_inline]] inline void transpose(Vec<T> (&r)[kLanes<T>]) {
  transpose_rounds<T, kLanes<T> / 2>(r, std::make_integer_sequence<int, kLanes<T>>{});
}

/// out[k][i] = in[k * k_step + i * i_step] for i < columns, zero up to kPanel.
template <class T>
inline void pack_panel(const T* in, std::ptrdiff_t k_step, std::ptrdiff_t i_step, int64_t k, int64_t columns, T* out) {
  using V = Vec<T>;
  constexpr int L = V::kLanes, P = kPanel<T>;
  if (i_step == 1) {
    const int n0 = int(least(columns, L)), n1 = int(columns) - n0;
    if (columns == P)
      for (int64_t c = 0; c < k; ++c)
        V::load(in + c * k_step).store(out + c * P), V::load(in + c * k_step + L).store(out + c * P + L);
    else
      for (int64_t c = 0; c < k; ++c)
        V::load(in + c * k_step, n0).store(out + c * P), V::load(in + c * k_step + n0, n1).store(out + c * P + L);
  } else if (k_step == 1) {
    for (int64_t c = 0; c < k; c += L) {
      const int m = int(least(L, k - c));
      for (int half = 0; half < 2; ++half) {
        V r[L];
        for (int i = 0; i < L; ++i)
          r[i] = half * L + i < columns ? V::load(in + (half * L + i) * i_step + c, m) : V::zero();
        transpose<T>(r);
        for (int i = 0; i < m; ++i) r[i].store(out + (c + i) * P + half * L);
      }
    }
  } else {
    for (int64_t c = 0; c < k; ++c)
      for (int64_t i = 0; i < P; ++i) out[c * P + i] = i < columns ? in[c * k_step + i * i_step] : T(0);
  }
}

#if defined(__AVX512BF16__)
/// Rounded to bf16: out[k / 2][i][2], with zeros after an odd k.
inline void pack_panel(const float* in, std::ptrdiff_t k_step, std::ptrdiff_t i_step, int64_t k, int64_t columns,
                       bf16* out) {
  constexpr int P = kPanel<bf16>;
  constexpr int64_t at_once = 64;
  alignas(64) float rows[at_once * P];
  for (int64_t c = 0; c < k; c += at_once) {
    const int64_t n = least(at_once, k - c);
    pack_panel(in + c * k_step, k_step, i_step, n, columns, rows);
    if (n % 2) zero(rows + n * P, P);
    for (int64_t j = 0; j < n; j += 2, out += 2 * P)
      for (int i = 0; i < P; i += kLanes<bf16>)
        paired(Vec<float>::load(rows + j * P + i), Vec<float>::load(rows + (j + 1) * P + i))
            .store(reinterpret_cast<float*>(out + 2 * i));
  }
}
#endif

/// The way back: out[k * k_step + i * i_step] (+)= in[k][i].
template <class T>
inline void unpack_panel(const T* in, int64_t k, int64_t columns, bool accumulate, T* out, std::ptrdiff_t k_step,
                         std::ptrdiff_t i_step) {
  using V = Vec<T>;
  constexpr int L = V::kLanes, P = kPanel<T>;
  auto put = [&](V v, T * to, int n) __attribute__((always_inline)) {
    if (accumulate) v += V::load(to, n);
    v.store(to, n);
  };
  if (i_step == 1) {
    for (int64_t c = 0; c < k; ++c)
      for (int64_t i = 0; i < columns; i += L)
        put(V::load(in + c * P + i), out + c * k_step + i, int(least(L, columns - i)));
  } else if (k_step == 1) {
    for (int64_t c = 0; c < k; c += L) {
      const int m = int(least(L, k - c));
      for (int64_t i0 = 0; i0 < columns; i0 += L) {
        V r[L];
        for (int i = 0; i < L; ++i) r[i] = i < m ? V::load(in + (c + i) * P + i0) : V::zero();
        transpose<T>(r);
        for (int i = 0; i < L && i0 + i < columns; ++i) put(r[i], out + (i0 + i) * i_step + c, m);
      }
    }
  } else {
    for (int64_t i = 0; i < columns; ++i)
      for (int64_t c = 0; c < k; ++c) {
        T& to = out[c * k_step + i * i_step];
        to = accumulate ? to + in[c * P + i] : in[c * P + i];
      }
  }
}

}  // namespace
}  // namespace ar::cpu::AR_ISA
