// Winograd's minimal filtering F(2x2, 3x3) (Lavin & Gray 2016, arXiv:1509.09308, section 4.1) for 3x3 kernels that
// visit every pixel: 16 instead of 36 multiplications for each 2x2 tile of outputs,
//
//   Y = A' [ (G g G') * (B' d B) ] A        d: the 4x4 inputs that the tile meets, g: the kernel, *: element by element
//
// summed over input channels, so that each of the 16 elements is a matrix product of its own, V[tile][k] U[k][panel].
// U is made when weights are packed. Sums round differently from the direct loop's, by a small factor more, and a NaN
// or an infinity in the input reaches all outputs of a tile whose 4x4 inputs hold it.
//
// Tiles are counted in reading order over all images. A block of them is transformed into scratch through the reader
// (outside the image lies zero), multiplied panel by panel, transformed back and finished.
#pragma once
#include "tensor/cpu/isa/correlate.h"

namespace ar::cpu::AR_ISA {
namespace {

constexpr int kWinogradProducts = 16;

/// The 2x2 tiles of a grid of outputs.
struct Squares {
  int64_t down, across, images;
  Squares(const Axis& h, const Axis& w, int64_t n) : down(ceil_div(h.out, 2)), across(ceil_div(w.out, 2)), images(n) {}
  int64_t count() const { return images * down * across; }
};
struct Square {  // number i
  int64_t n, h, w;
  Square(const Squares& s, int64_t i) : n(i / (s.down * s.across)), h(i / s.across % s.down * 2), w(i % s.across * 2) {}
};

/// Calls f(offset, first square, length) for the pieces of squares [i, i + n) that lie in one row of them.
template <class F>
[[gnu::always_inline]] inline void for_square_rows(const Squares& s, int64_t i, int64_t n, F f) {
  for (int64_t done = 0; done < n;) {
    const Square at(s, i + done);
    const int64_t length = least(n - done, s.across - at.w / 2);
    f(done, at, length);
    done += length;
  }
}

// ---- weights ----

/// bf16 keeps too few digits for the sums that the transformations form, and needs no help against its multiplications.
template <class T>
inline constexpr bool kWinograd = __is_same(T, Compute<T>);

/// Whether a convolution goes this way. Weights are packed for it, so it cannot depend on the images. Fewer channels
/// are not worth the transformations; the 16 products of more weigh so much that memory is what one waits for.
template <class T>
inline bool winograd(const ConvParams& p, const View& w) {
  return kWinograd<T> && w.shape[2] == 3 && w.shape[3] == 3 && p.stride_h == 1 && p.stride_w == 1 &&
         p.dilation_h == 1 && p.dilation_w == 1 && p.groups == 1 && w.shape[0] >= 16 && w.shape[1] >= 16 &&
         w.shape[0] * w.shape[1] <= 384 * 384;
}

/// [9][k][kPanel] to [16][k][kPanel]: G g G' with G = (1 0 0; 1/2 1/2 1/2; 1/2 -1/2 1/2; 0 0 1).
template <class T>
inline void transform_weights(const T* g, int64_t k, T* u) {
  using V = Vec<T>;
  const int64_t plane = k * kPanel<T>;
  const V half = V::set1(T(0.5));
  for (int64_t c = 0; c < plane; c += kLanes<T>) {
    V rows[4][3];
    for (int j = 0; j < 3; ++j) {
      const V a = V::load(g + j * plane + c), b = V::load(g + (3 + j) * plane + c),
              d = V::load(g + (6 + j) * plane + c);
      const V ends = half * (a + d), middle = half * b;
      rows[0][j] = a, rows[1][j] = ends + middle, rows[2][j] = ends - middle, rows[3][j] = d;
    }
    for (int i = 0; i < 4; ++i) {
      T* const to = u + i * 4 * plane + c;
      const V ends = half * (rows[i][0] + rows[i][2]), middle = half * rows[i][1];
      rows[i][0].store(to), (ends + middle).store(to + plane);
      (ends - middle).store(to + 2 * plane), rows[i][2].store(to + 3 * plane);
    }
  }
}

// ---- inputs ----

/// B' d B of one 4x4 patch, k channels: out[16][plane], B' = (1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1). Only rows
/// [h0, h1) and columns [w0, w1) of the patch exist.
template <class T, bool kWhole, bool kScale, Activation act>
inline void transform_patch(const T* x, std::ptrdiff_t row, std::ptrdiff_t pixel, int h0, int h1, int w0, int w1,
                            Reader<T> r, int64_t k, T* out, std::ptrdiff_t plane) {
  using V = Vec<T>;
  constexpr int L = kLanes<T>;
  auto lanes = [&](int64_t c, auto load, auto store) __attribute__((always_inline)) {
    V scale = V::zero(), shift = V::zero(), slope = V::set1(r.slope);
    if constexpr (kScale) scale = load(r.scale + c), shift = load(r.shift + c);
    auto at = [&](int i, int j) __attribute__((always_inline)) {
      if (!kWhole && (i < h0 || i >= h1 || j < w0 || j >= w1)) return V::zero();
      V v = load(x + i * row + j * pixel + c);
      if constexpr (kScale) v = fma(v, scale, shift);
      return activate<act>(v, slope);
    };
    V t[4][4];
#pragma GCC unroll 4
    for (int j = 0; j < 4; ++j) {
      const V a = at(0, j), b = at(1, j), d = at(2, j), e = at(3, j);
      t[0][j] = a - d, t[1][j] = b + d, t[2][j] = d - b, t[3][j] = b - e;
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i) {
      T* const to = out + i * 4 * plane + c;
      store(t[i][0] - t[i][2], to), store(t[i][1] + t[i][2], to + plane);
      store(t[i][2] - t[i][1], to + 2 * plane), store(t[i][1] - t[i][3], to + 3 * plane);
    }
  };
  const int64_t whole = k / L * L;
  for (int64_t c = 0; c < whole; c += L)
    lanes(
        c, [](const T* p) __attribute__((always_inline)) { return V::load(p); },
        [](V v, T * p) __attribute__((always_inline)) { v.store(p); });
  if (const int tail = int(k - whole))
    lanes(
        whole, [&](const T* p) __attribute__((always_inline)) { return V::load(p, tail); },
        [&](V v, T * p) __attribute__((always_inline)) { v.store(p, tail); });
}

template <class T, bool kScale, Activation act>
inline void transform_squares(const Images<const T>& x, const Axis& h, const Axis& w, const Squares& s, int64_t first,
                              int64_t n, Reader<T> r, T* out, std::ptrdiff_t ld, std::ptrdiff_t plane) {
  for_square_rows(s, first, n, [&](int64_t offset, Square at, int64_t length) {
    const int64_t top = at.h + h.first;
    const int h0 = int(least(4, most(0, -top))), h1 = int(most(0, least(4, h.in - top)));
    for (int64_t i = 0; i < length; ++i) {
      const int64_t left = at.w + 2 * i + w.first;
      const int w0 = int(least(4, most(0, -left))), w1 = int(most(0, least(4, w.in - left)));
      const T* const from = x.at(at.n, top, left);
      T* const to = out + (offset + i) * ld;
      if (h0 == 0 && h1 == 4 && w0 == 0 && w1 == 4)
        transform_patch<T, true, kScale, act>(from, x.row, x.pixel, 0, 4, 0, 4, r, x.channels, to, plane);
      else
        transform_patch<T, false, kScale, act>(from, x.row, x.pixel, h0, h1, w0, w1, r, x.channels, to, plane);
    }
  });
}

/// Transforms what squares [first, first + n) meet: out[16][square][ld], planes `plane` apart.
template <class T>
inline void transform_inputs(const Images<const T>& x, const Axis& h, const Axis& w, const Squares& s, int64_t first,
                             int64_t n, Reader<T> r, T* out, std::ptrdiff_t ld, std::ptrdiff_t plane) {
  if (!r.scale) return transform_squares<T, false, Activation::none>(x, h, w, s, first, n, r, out, ld, plane);
  by_activation(r.activation,
                [&]<Activation act>() { transform_squares<T, true, act>(x, h, w, s, first, n, r, out, ld, plane); });
}

// ---- outputs ----

/// A' m A with A' = (1 1 1 0; 0 1 -1 -1) of `n` neighbouring squares: m[16][square][kPanel], planes `plane` apart, to
/// two rows of 2 * n pixels, `row` elements apart.
template <class T>
inline void transform_outputs(const T* m, std::ptrdiff_t plane, int64_t n, int64_t columns, T* out,
                              std::ptrdiff_t row) {
  using V = Vec<T>;
  constexpr int P = kPanel<T>;
  for (int64_t i = 0; i < n; ++i, m += P, out += 2 * P)
    for (int64_t c = 0; c < columns; c += kLanes<T>) {
      V s[2][4];
#pragma GCC unroll 4
      for (int j = 0; j < 4; ++j) {
        const T* const p = m + j * plane + c;
        const V b = V::load(p + 4 * plane), d = V::load(p + 8 * plane);
        s[0][j] = V::load(p) + b + d, s[1][j] = b - d - V::load(p + 12 * plane);
      }
#pragma GCC unroll 2
      for (int j = 0; j < 2; ++j) {
        (s[j][0] + s[j][1] + s[j][2]).store(out + j * row + c);
        (s[j][1] - s[j][2] - s[j][3]).store(out + j * row + P + c);
      }
    }
}

// ---- the loop ----

template <class T>
struct WinogradBlock {  // how many squares are transformed at a time, and how they lie in scratch
  int64_t squares, ld;

  explicit WinogradBlock(int64_t k) : ld(padded_step<T>(k)) {
    // Transformed inputs share the second-level cache with a panel of weights and its sums.
    const int64_t bytes = kWinogradProducts * kTile * ld * int64_t(sizeof(T));
    squares = kTile * most(1, least(4, (int64_t(288) << 10) / bytes));
  }
  std::ptrdiff_t v_plane() const { return squares * ld; }
  std::ptrdiff_t m_plane() const { return squares * kPanel<T>; }
};

template <class T>
inline void winograd_unit(const Correlation<T>& c, const Squares& s, const WinogradBlock<T>& size, const Finish<T>& f,
                          int64_t begin, int64_t end, int64_t panel0, int64_t panel1) {
  const int64_t k = c.k(), ld = size.ld, v_plane = size.v_plane(), m_plane = size.m_plane();
  Scratch scratch(Scratch::bytes<T>(kWinogradProducts * v_plane) + Scratch::bytes<T>(kWinogradProducts * m_plane) +
                  Scratch::bytes<T>(4 * m_plane));
  T* const v = scratch.take<T>(kWinogradProducts * v_plane);
  T* const m = scratch.take<T>(kWinogradProducts * m_plane);
  T* const rows = scratch.take<T>(4 * m_plane);  // two, of at most 2 * squares pixels
  const std::ptrdiff_t no_tap = 0, out_row = 2 * m_plane, E = sizeof(T);
  Tile<T> t{};
  t.a_step = ld * E;
  t.taps = &no_tap;
  t.n_taps = 1;
  t.k = k;
  t.finish = &f;
  t.prefetch_step = c.x.pixel * E;

  const int64_t blocks = ceil_div(end - begin, size.squares);
  for (int64_t block = 0; block < blocks; ++block) {
    const int64_t first = begin + (end - begin) * block / blocks, last = begin + (end - begin) * (block + 1) / blocks;
    const int64_t n = last - first, parts = ceil_div(n, kTile);
    transform_inputs(c.x, c.h, c.w, s, first, n, c.reader, v, ld, v_plane);
    for (int64_t j = panel0; j < panel1; ++j) {
      const int64_t columns = c.columns(j), channel = j * kPanel<T>;
      int64_t call = 0;
      for (int product = 0; product < kWinogradProducts; ++product)
        for (int64_t part = 0; part < parts; ++part, ++call) {
          const int64_t from = n * part / parts, pixels = n * (part + 1) / parts - from, half = (pixels + 1) / 2;
          t.a1 = v + product * v_plane + from * ld;
          t.a2 = t.a1 + half * ld;
          t.b = c.packed + (j * kWinogradProducts + product) * k * kPanel<T>;
          t.raw = m + product * m_plane + from * kPanel<T>;
          // Meanwhile the next block's inputs come closer, two squares' new pixels in a row at a time,
          const int64_t ahead = last + (call & ~int64_t(1));
          t.prefetch = nullptr;
          if (j == panel0 && ahead < end) {
            const Square next(s, ahead);
            t.prefetch =
                reinterpret_cast<const char*>(c.x.at(next.n, next.h + c.h.first + 2 + (call & 1), next.w + c.w.first));
          }
          // and, at last, the outputs of these squares.
          t.c1 = t.raw, t.c2 = t.raw + half * kPanel<T>, t.c_step = kPanel<T>;
          t.x1 = t.x2 = nullptr;
          if (product >= 12) {
            const Square to(s, first + from);
            const int64_t h = to.h + (product >> 1 & 1), w = to.w + (product & 1) * pixels;
            t.c1 = c.y.at(to.n, h, w) + channel, t.c_step = c.y.pixel, t.c2 = t.c1 + half * t.c_step;
            if (c.beside.data) {
              t.x1 = c.beside.at(to.n, h, w) + channel, t.x_step = c.beside.pixel, t.x2 = t.x1 + half * t.x_step;
            }
          }
          run_raw_tile(t, int(pixels), int(columns));
        }
      for_square_rows(s, first, n, [&](int64_t offset, Square at, int64_t length) {
        transform_outputs(m + offset * kPanel<T>, m_plane, length, columns, rows, out_row);
        const int64_t pixels = least(2 * length, c.w.out - at.w);
        for (int64_t i = 0; i < least(2, c.h.out - at.h); ++i)
          finish_sums(f, Sums<T>{rows + i * out_row, kPanel<T>, c.y.at(at.n, at.h + i, at.w) + channel, c.y.pixel,
                                 c.beside.data ? c.beside.at(at.n, at.h + i, at.w) + channel : nullptr, c.beside.pixel,
                                 pixels, channel, columns});
      });
    }
  }
}

/// c.packed: [panel][16][k][kPanel].
template <class T>
inline void correlate_winograd(const Correlation<T>& c) {
  const Squares s(c.h, c.w, c.y.count);
  const int64_t squares = s.count(), panels = c.panels(), threads = num_threads();
  if (squares * panels == 0) return;
  const WinogradBlock<T> size(c.k());
  // Few squares: smaller blocks, so that each thread has as many.
  const int64_t blocks = ceil_div(squares, size.squares);
  const int64_t units = least(squares, round_up(ceil_div(blocks, blocks < 8 * threads ? 1 : 8), threads));
  const PartialSums<T> sums(c, units);
  parallel_parts(int(units), [&](int u, int) {
    Finish<T> f = c.finish;
    sums.begin(f, u, 0, panels);
    winograd_unit(c, s, size, f, squares * u / units, squares * (u + 1) / units, 0, panels);
  });
  if (c.sum || c.sum_sq) sums.add_to(c.sum, c.sum_sq, c.y.channels);
}

}  // namespace
}  // namespace ar::cpu::AR_ISA
