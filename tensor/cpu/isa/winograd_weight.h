// The weight gradient in the manner of winograd.h. Y = A' [(G g G') * (B' d B)] A is linear in g, so
//
//   dg = G' [ sum over tiles of (A dY A') * (B' d B) ] G
//
// and the sums are 16 outer products of transformed inputs and transformed gradients, 16 multiplications instead of 36
// for each tile; only their totals are transformed to the nine taps.
#pragma once
#include "tensor/cpu/isa/winograd.h"

namespace ar::cpu::AR_ISA {
namespace {

/// Whether a weight gradient goes this way: tiles enough to pay for folding the products, of which outputs fill three
/// in five.
template <class T>
inline bool winograd_weight(const ConvParams& p, const View& w, const Axis& h, const Axis& v, int64_t images) {
  const int64_t squares = Squares(h, v, images).count();
  return winograd<T>(p, w) && squares >= 32 && 5 * images * h.out * v.out >= 12 * squares;
}

/// A dY A' of squares [first, first + n), one panel of channels: out[16][square][kPanel], planes `plane` apart.
template <class T>
inline void transform_gradients(const Images<const T>& gy, const Squares& s, int64_t first, int64_t n, T* out,
                                std::ptrdiff_t plane) {
  using V = Vec<T>;
  constexpr int L = kLanes<T>;
  for_square_rows(s, first, n, [&](int64_t offset, Square at, int64_t length) {
    const bool below = at.h + 1 < gy.height;
    for (int64_t i = 0; i < length; ++i) {
      const bool right = at.w + 2 * i + 1 < gy.width;
      const T* const from = gy.at(at.n, at.h, at.w + 2 * i);
      for (int64_t c = 0; c < gy.channels; c += L) {
        const int lanes = int(least(L, gy.channels - c));
        const V zero = V::zero(), g00 = V::load(from + c, lanes);
        const V g01 = right ? V::load(from + gy.pixel + c, lanes) : zero;
        const V g10 = below ? V::load(from + gy.row + c, lanes) : zero;
        const V g11 = right && below ? V::load(from + gy.row + gy.pixel + c, lanes) : zero;
        const V left[4] = {g00, g00 + g10, g00 - g10, -g10}, other[4] = {g01, g01 + g11, g01 - g11, -g11};
        T* const to = out + (offset + i) * kPanel<T> + c;
#pragma GCC unroll 4
        for (int j = 0; j < 4; ++j) {
          left[j].store(to + j * 4 * plane), (left[j] + other[j]).store(to + (j * 4 + 1) * plane);
          (left[j] - other[j]).store(to + (j * 4 + 2) * plane), (-other[j]).store(to + (j * 4 + 3) * plane);
        }
      }
    }
  });
}

/// G' d G in place: [16][k][kPanel] to [9][k][kPanel].
template <class T>
inline void fold_products(T* d, int64_t k) {
  using V = Vec<T>;
  const int64_t plane = k * kPanel<T>;
  const V half = V::set1(T(0.5));
  for (int64_t c = 0; c < plane; c += kLanes<T>) {
    V rows[3][4];
    for (int j = 0; j < 4; ++j) {
      auto at = [&](int i) { return V::load(d + (i * 4 + j) * plane + c); };
      const V sum = half * (at(1) + at(2));
      rows[0][j] = at(0) + sum, rows[1][j] = half * (at(1) - at(2)), rows[2][j] = sum + at(3);
    }
    for (int i = 0; i < 3; ++i) {
      const V sum = half * (rows[i][1] + rows[i][2]);
      T* const to = d + i * 3 * plane + c;
      (rows[i][0] + sum).store(to), (half * (rows[i][1] - rows[i][2])).store(to + plane);
      (sum + rows[i][3]).store(to + 2 * plane);
    }
  }
}

/// How squares are cut into blocks, which does not depend on the number of threads. `channels`: input channels at a
/// time.
template <class T>
struct WinogradSums {
  Squares squares;
  int64_t total = 0, most_squares = 0, a_floats = 0, g_floats = 0;
  static constexpr int64_t products = kWinogradProducts;

  WinogradSums(const Axis& h, const Axis& w, const Images<const T>& x, int64_t channels) : squares(h, w, x.count) {
    // Fewer: sums are read and written often; more: transformed inputs leave the second-level cache.
    const int64_t bytes = products * padded_step<T>(x.channels) * int64_t(sizeof(T));
    const int64_t wanted = most(28, least(112, (int64_t(640) << 10) / bytes));
    total = ceil_div(squares.count(), wanted);
    most_squares = ceil_div(squares.count(), most(1, total));
    a_floats = products * most_squares * padded_step<T>(channels);
    g_floats = products * most_squares * kPanel<T>;
  }
  int64_t first(int64_t block) const { return squares.count() * block / total; }

  /// Adds blocks [block0, block1) to d, [panel][16][x.channels][kPanel].
  void add(const Images<const T>& x, Reader<T> reader, const Images<const T>& gy, const Axis& h, const Axis& w,
           int64_t block0, int64_t block1, int64_t panel0, int64_t panel1, T* a, T* gs, T* d) const {
    const int64_t k = x.channels, k_tiles = ceil_div(k, kTile), ld = padded_step<T>(k);
    constexpr int64_t line = 64 / int64_t(sizeof(T));
    const int64_t lines = 4 * ceil_div(k, line), g_lines = 4 * ceil_div(gy.channels, line);
    GradTile<T> t{};
    t.images = t.rows = 1;
    t.a_step = ld;
    for (int64_t b = block0; b < block1; ++b) {
      const int64_t n = first(b + 1) - first(b), a_plane = n * ld, g_plane = n * kPanel<T>;
      transform_inputs(x, h, w, squares, first(b), n, reader, a, ld, a_plane);
      t.width = n;
      // While a block is computed, its tiles fetch the next one's new pixels, about four for each square: a line of
      // each pixel, then the next line, for one quarter after the other.
      const Square next(squares, b + 1 < block1 ? first(b + 1) : first(b));
      const T* const next_x = x.at(next.n, next.h + h.first + 2, 0);
      const T* const next_g = gy.at(next.n, next.h, 0);
      int64_t call = 0;
      for (int64_t j = panel0; j < panel1; ++j) {
        const int64_t columns = least(kPanel<T>, gy.channels - j * kPanel<T>);
        transform_gradients(gy.channel_range(j * kPanel<T>, columns), squares, first(b), n, gs, g_plane);
        for (int64_t product = 0; product < products; ++product)
          for (int64_t q = 0; q < k_tiles; ++q, ++call) {
            const int64_t from = grad_tile_begin(q, k), to = grad_tile_begin(q + 1, k);
            t.a = a + product * a_plane + from;
            t.g = gs + product * g_plane;
            t.d = d + (((j - panel0) * products + product) * k + from) * kPanel<T>;
            if (call < lines)
              t.prefetch = next_x + call % 4 * n * x.pixel + call / 4 * line, t.prefetch_step = x.pixel;
            else if (call < lines + g_lines)
              t.prefetch = next_g + call % 4 * n * gy.pixel + (call - lines) / 4 * line, t.prefetch_step = gy.pixel;
            else
              t.prefetch = t.a, t.prefetch_step = 0;
            run_grad_tile(t, int(to - from), int(columns));
          }
      }
    }
  }
};

}  // namespace
}  // namespace ar::cpu::AR_ISA
