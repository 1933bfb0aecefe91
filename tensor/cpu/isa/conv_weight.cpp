// The weight gradient: outer products of the (read) input and the output's gradient, with pixels as the summed index,
// so neither has to be transposed. Both are copied block by block into scratch; sums of up to kTile x kPanel weights
// stay in registers for a block. In bf16 two neighbouring pixels of a row make a pair (tile.h); since a tap may move by
// one pixel, x is copied as the pairs that begin at every pixel.
//
// Work is cut over input channels and panels of output channels, so no two threads add to the same weight and the
// result does not depend on their number. Only where that leaves threads idle (few channels) images are cut as well,
// and the pieces are added in order.
#include "tensor/cpu/isa/depthwise.h"
#include "tensor/cpu/isa/families.h"
#include "tensor/cpu/isa/panels.h"
#include "tensor/cpu/isa/winograd_weight.h"

namespace ar::cpu::AR_ISA {
namespace {

constexpr int64_t kBlockPixels = 196;  // fewer: sums are read and written often; more: wide layers leave the cache

template <class T>
struct WeightGradient {
  Images<const T> x;
  Reader<Compute<T>> reader;
  Images<const T> gy;
  Axis h, w;

  int64_t panels() const { return ceil_div(gy.channels, kPanel<T>); }
  int64_t taps() const { return h.count * w.count; }
  bool pointwise() const { return h.pointwise() && w.pointwise(); }
  int64_t pixels() const { return gy.count * h.out * w.out; }
};

/// Scratch memory holds numbers, or pairs of bf16.
template <class T>
using Cell = Compute<T>;
template <class T>
constexpr int64_t cells(int64_t pixels) {
  return depth<T>(pixels) / kDepth<T>;
}

/// A block of output pixels: `images` images from n on, rows [i0, i1) of each; a pointwise kernel's: pixels [p, p +
/// count) in reading order.
struct Block {
  int64_t n, images, i0, i1;
  int64_t p, count;
};

/// A pointwise block of many channels lies as its tiles read it, [tile][cell][kTile]: pixel behind pixel, each tile
/// would read a few numbers of every page.
template <class T>
struct ByTiles {
  static constexpr int64_t kRows = 8, kWide = ceil_div(kTile, kLanes<T>) * kLanes<T>;  // whole registers are copied
  int64_t channels, tiles = ceil_div(channels, kTile), ld = padded_step<Cell<T>>(channels);

  bool pays() const { return channels >= 256; }
  int64_t size(int64_t cells) const { return cells * kTile + kWide; }  // of one tile
  int64_t room(int64_t cells) const { return tiles * size(cells) + kRows * ld + kWide; }
  /// `n` cells from number i on, [cell][ld].
  void deal(const Cell<T>* rows, int64_t i, int64_t n, int64_t size, Cell<T>* out) const {
    using V = Vec<Cell<T>>;
    for (int64_t tile = 0; tile < tiles; ++tile, out += size)
      for (int64_t r = 0; r < n; ++r)
        for (int64_t v = 0; v < kWide; v += V::kLanes)
          V::load(rows + r * ld + grad_tile_begin(tile, channels) + v).store(out + (i + r) * kTile + v);
  }
};

/// How pixels are cut into blocks. Does not depend on the number of threads.
template <class T>
struct Blocks {
  int64_t rows = 1, images = 1, bands = 1, total = 0;
  int64_t a_cells = 0, g_cells = 0;  // the largest block's, with `channels` channels and one panel

  Blocks(const WeightGradient<T>& g, int64_t channels) {
    if (g.pixels() == 0) return;
    if (g.pointwise()) {
      total = ceil_div(g.pixels(), kBlockPixels);
      const int64_t pixels = cells<T>(least(g.pixels(), kBlockPixels));
      const ByTiles<T> tiles{channels};
      a_cells = tiles.pays() ? tiles.room(pixels) : pixels * padded_step<Cell<T>>(channels);
      g_cells = pixels * kPanel<T>;
      return;
    }
    rows = most(1, least(g.h.out, kBlockPixels / g.w.out));
    if (g.w.out * g.h.out <= 2 * kBlockPixels) rows = g.h.out;
    // Wide kernels over wide images: the copy of x should stay in the second-level cache.
    const int64_t row = g.w.span(g.w.out) * g.x.channels * int64_t(sizeof(Cell<T>));
    while (rows < g.h.out && rows * g.w.out < 4 * kBlockPixels && g.h.span(2 * rows) * row < (384 << 10)) rows *= 2;
    bands = ceil_div(g.h.out, rows);
    if (bands == 1) images = most(1, least(g.gy.count, 4 * kBlockPixels / (2 * g.h.out * g.w.out)));
    total = ceil_div(g.gy.count, images) * bands;
    g_cells = images * rows * cells<T>(g.w.out) * kPanel<T>;
    a_cells = images * g.h.span(rows) * g.w.span(g.w.out) * padded_step<Cell<T>>(channels);
  }
  /// Distance of pixels in scratch; dense where a row of taps is then one tap.
  static int64_t step(const WeightGradient<T>& g, int64_t channels) {
    if (g.pointwise()) return padded_step<Cell<T>>(channels);
    return channels * int64_t(sizeof(Cell<T>)) % 1024 == 0 ? padded_step<Cell<T>>(channels) : channels;
  }
  Block at(const WeightGradient<T>& g, int64_t i) const {
    if (g.pointwise()) return {0, 1, 0, 1, i * kBlockPixels, least(kBlockPixels, g.pixels() - i * kBlockPixels)};
    const int64_t n = i / bands * images, r = i % bands * rows;
    return {n, least(images, g.gy.count - n), r, least(g.h.out, r + rows), 0, 0};
  }
};

template <class T, class F>
[[gnu::always_inline]] inline void for_rows(const WeightGradient<T>& g, int64_t p, int64_t count, F f) {
  for (int64_t i = 0; i < count;) {
    const int64_t w = (p + i) % g.w.out, length = least(count - i, g.w.out - w);
    f(i, (p + i) / (g.w.out * g.h.out), (p + i) / g.w.out % g.h.out, w, length);
    i += length;
  }
}

#if defined(__AVX512BF16__)
/// Two pixels side by side, out[k][2]; null: zeros.
inline void read_pair(const bf16* x0, const bf16* x1, int64_t k, const Reader<float>& r, float* out) {
  using V = Vec<float>;
  const V slope = V::set1(r.slope);
  for (int64_t c = 0; c < k; c += V::kLanes) {
    const int n = int(least(V::kLanes, k - c));
    auto read = [&](const bf16* x) __attribute__((always_inline)) {
      if (!x) return V::zero();
      const V v = V::load(x + c, n);
      if (!r.scale) return v;
      return activate(fma(v, V::load(r.scale + c, n), V::load(r.shift + c, n)), r.activation, slope);
    };
    paired(read(x0), read(x1)).store(out + c, n);
  }
}
#endif

/// The x that output pixels [p, p + count) of a pointwise kernel meet, [cell][ld].
template <class T>
inline void read_block(const WeightGradient<T>& g, const Images<const T>& x, const Reader<Compute<T>>& reader,
                       int64_t p, int64_t count, Cell<T>* a, int64_t ld) {
  if constexpr (kDepth<T> == 1) {
    for_rows(g, p, count, [&](int64_t i, int64_t n, int64_t h, int64_t w, int64_t length) {
      read_pixels(x.at(n, h * g.h.stride + g.h.first, w * g.w.stride + g.w.first), g.w.stride * x.pixel, length,
                  x.channels, reader, a + i * ld, ld);
    });
  } else {
    auto at = [&](int64_t i) {
      const int64_t w = (p + i) % g.w.out, h = (p + i) / g.w.out % g.h.out, n = (p + i) / (g.w.out * g.h.out);
      return i < count ? x.at(n, h * g.h.stride + g.h.first, w * g.w.stride + g.w.first) : nullptr;
    };
    for (int64_t i = 0; i < count; i += 2, a += ld) read_pair(at(i), at(i + 1), x.channels, reader, a);
  }
}

/// The same in the order of ByTiles.
template <class T>
inline void read_tiles(const WeightGradient<T>& g, const Images<const T>& x, const Reader<Compute<T>>& reader,
                       int64_t p, int64_t count, const ByTiles<T>& tiles, Cell<T>* a) {
  const int64_t all = cells<T>(count), size = tiles.size(all);
  Cell<T>* const rows = a + tiles.tiles * size;
  for (int64_t i = 0; i < all; i += tiles.kRows) {
    const int64_t n = least(tiles.kRows, all - i);
    read_block(g, x, reader, p + i * kDepth<T>, least(n * kDepth<T>, count - i * kDepth<T>), rows, tiles.ld);
    tiles.deal(rows, i, n, size, a);
  }
}

/// The same for a band of rows, [h.span][w.span][ld], see read_band.
template <class T>
inline void read_rows(const WeightGradient<T>& g, const Images<const T>& x, const Reader<Compute<T>>& reader, int64_t n,
                      int64_t i0, int64_t i1, Cell<T>* a, int64_t ld) {
  if constexpr (kDepth<T> == 1) {
    read_band(x, n, g.h, g.w, i0, i1, reader, a, ld);
  } else {
    const int64_t rows = g.h.span(i1 - i0), columns = g.w.span(g.w.out), next = g.w.stride / g.w.sample();
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t row = i0 * g.h.stride + g.h.first + r * g.h.sample();
      auto at = [&](int64_t q) {
        const int64_t column = g.w.first + q * g.w.sample();
        const bool there = row >= 0 && row < g.h.in && column >= 0 && column < g.w.in && q < columns;
        return there ? x.at(n, row, column) : nullptr;
      };
      for (int64_t q = 0; q < columns; ++q, a += ld) read_pair(at(q), at(q + next), x.channels, reader, a);
    }
  }
}

/// `length` neighbouring pixels of one panel of gy, [cell][kPanel].
template <class T>
inline void read_gradients(const T* gy, std::ptrdiff_t step, int64_t length, int64_t columns, Cell<T>* out) {
  if constexpr (kDepth<T> == 1)
    read_pixels(gy, step, length, columns, Reader<Compute<T>>{}, out, kPanel<T>);
  else
    for (int64_t i = 0; i < length; i += 2, out += kPanel<T>)
      read_pair(gy + i * step, i + 1 < length ? gy + (i + 1) * step : nullptr, columns, {}, out);
}

template <class T>
inline void read_block_gradients(const WeightGradient<T>& g, const Images<const T>& gy, int64_t p, int64_t count,
                                 Cell<T>* out) {
  if constexpr (kDepth<T> == 1) {
    for_rows(g, p, count, [&](int64_t i, int64_t n, int64_t h, int64_t w, int64_t length) {
      read_pixels(gy.at(n, h, w), gy.pixel, length, gy.channels, Reader<Compute<T>>{}, out + i * kPanel<T>, kPanel<T>);
    });
  } else {
    auto at = [&](int64_t i) {
      return i < count ? gy.at((p + i) / (g.w.out * g.h.out), (p + i) / g.w.out % g.h.out, (p + i) % g.w.out) : nullptr;
    };
    for (int64_t i = 0; i < count; i += 2, out += kPanel<T>) read_pair(at(i), at(i + 1), gy.channels, {}, out);
  }
}

/// Adds blocks [block0, block1) to d, [panel][tap][k1 - k0][kPanel].
template <class T>
void add_blocks(const WeightGradient<T>& g, const Blocks<T>& blocks, int64_t block0, int64_t block1, int64_t k0,
                int64_t k1, int64_t panel0, int64_t panel1, Cell<T>* a, Cell<T>* gs, Compute<T>* d) {
  const int64_t kn = k1 - k0, ld = Blocks<T>::step(g, kn);
  const bool pointwise = g.pointwise();
  const ByTiles<T> tiles{kn};
  const bool by_tiles = pointwise && tiles.pays();
  const Images<const T> x = g.x.channel_range(k0, kn);
  const Reader<Compute<T>> reader = g.reader.from(k0);
  const int64_t columns_in = g.w.span(g.w.out);
  const std::ptrdiff_t row = columns_in * ld;
  const std::ptrdiff_t h_step = pointwise ? 0 : g.h.step / g.h.sample() * row;
  const std::ptrdiff_t w_step = pointwise ? 0 : g.w.step / g.w.sample() * ld;
  const bool row_is_one_tap = !pointwise && w_step == kn && ld == kn;
  const int64_t taps_w = row_is_one_tap ? 1 : g.w.count, k = row_is_one_tap ? g.w.count * kn : kn;
  const int64_t k_tiles = ceil_div(k, kTile), lines = ceil_div(kn * int64_t(sizeof(T)), 64);
  constexpr int64_t line = 64 / int64_t(sizeof(T));
  const std::ptrdiff_t x_pixel = g.w.stride * x.pixel;

  for (int64_t b = block0; b < block1; ++b) {
    const Block at = blocks.at(g, b);
    const Block next = blocks.at(g, b + 1 < block1 ? b + 1 : b);
    GradTile<T> t{};
    if (pointwise) {
      t.images = t.rows = 1;
      t.width = cells<T>(at.count);
      t.a_step = by_tiles ? kTile : ld;
      by_tiles ? read_tiles(g, x, reader, at.p, at.count, tiles, a) : read_block(g, x, reader, at.p, at.count, a, ld);
    } else {
      const int64_t span = g.h.span(at.i1 - at.i0);
      for (int64_t n = 0; n < at.images; ++n) read_rows(g, x, reader, at.n + n, at.i0, at.i1, a + n * span * row, ld);
      t.images = at.images, t.rows = at.i1 - at.i0, t.width = cells<T>(g.w.out);
      t.a_step = kDepth<T> * (g.w.stride / g.w.sample() * ld);
      t.a_row = g.h.stride / g.h.sample() * row;
      t.a_image = span * row;
    }
    const int64_t pixels = t.images * t.rows * t.width;
    t.g = gs;
    // While a block is computed, its tiles fetch the next one: tile number i the i-th line of each pixel.
    const int64_t next_h = pointwise ? next.p / g.w.out % g.h.out : next.i0, next_w = pointwise ? next.p % g.w.out : 0;
    const int64_t next_n = pointwise ? next.p / (g.w.out * g.h.out) : next.n;
    const T* next_x = x.data + next_n * x.image + next_h * g.h.stride * x.row + next_w * x_pixel;
    const T* next_g = g.gy.at(next_n, next_h, next_w);
    const int64_t g_lines = ceil_div(g.gy.channels * int64_t(sizeof(T)), 64);
    int64_t call = 0;

    for (int64_t j = panel0; j < panel1; ++j) {
      const int64_t columns = least(kPanel<T>, g.gy.channels - j * kPanel<T>);
      const Images<const T> gy = g.gy.channel_range(j * kPanel<T>, columns);
      // A short last panel: lanes up to a whole register are read by the tile, so they must be numbers.
      if (columns < kPanel<T>) zero(gs, pixels * kPanel<T>);
      if (pointwise)
        read_block_gradients(g, gy, at.p, at.count, gs);
      else
        for (int64_t n = 0; n < at.images; ++n)
          for (int64_t i = at.i0; i < at.i1; ++i)
            read_gradients(gy.at(at.n + n, i, 0), gy.pixel, g.w.out, columns,
                           gs + ((n * t.rows + i - at.i0) * t.width) * kPanel<T>);
      for (int64_t i = 0; i < g.h.count; ++i)
        for (int64_t v = 0; v < taps_w; ++v)
          for (int64_t q = 0; q < k_tiles; ++q, ++call) {
            const int64_t from = grad_tile_begin(q, k), to = grad_tile_begin(q + 1, k);
            t.a = a + (by_tiles ? q * tiles.size(t.width) : i * h_step + v * w_step + from);
            t.d = d + (((j - panel0) * g.taps() + i * g.w.count + v) * kn + from) * kPanel<T>;
            // (of every kDepth-th pixel, as many as the tile takes steps)
            const int64_t pixel = call % kDepth<T>, at_line = call / kDepth<T>;
            if (at_line < lines)
              t.prefetch = next_x + at_line * line + pixel * x_pixel, t.prefetch_step = kDepth<T> * x_pixel;
            else if (at_line < lines + g_lines)
              t.prefetch = next_g + (at_line - lines) * line + pixel * g.gy.pixel,
              t.prefetch_step = kDepth<T> * g.gy.pixel;
            else
              t.prefetch = next_x, t.prefetch_step = 0;
            run_grad_tile(t, int(to - from), int(columns));
          }
    }
  }
}

/// `tiled`: by 2x2 tiles of outputs, see winograd_weight.h.
template <class T>
void weight_gradient(const WeightGradient<T>& g, bool tiled, const View& gw, bool accumulate) {
  const int64_t c = g.x.channels, taps = g.taps(), panels = g.panels(), threads = num_threads();
  if (c * taps * g.gy.channels == 0) return;
  // Cut input channels first: their copies are made once. Then panels, then images.
  const int64_t k_units = most(1, least(threads, c / kTile)), panel_units = least(panels, ceil_div(threads, k_units));
  const int64_t k_most = ceil_div(c, k_units), panels_most = ceil_div(panels, panel_units);
  const Blocks<T> blocks(g, k_most);
  using W = Compute<T>;
  const WinogradSums<T> sums(g.h, g.w, g.x, k_most);
  const int64_t total = tiled ? sums.total : blocks.total;
  const int64_t units = k_units * panel_units, pieces = pieces_of(units, threads, total / 4);
  const int64_t d_taps = tiled ? sums.products : taps, d_size = panels_most * d_taps * k_most * kPanel<T>;
  const int64_t a_cells = tiled ? sums.a_floats : blocks.a_cells;
  const int64_t g_cells = tiled ? sums.g_floats : blocks.g_cells;
  auto unpack = [&](int64_t unit, W* d) {
    const int64_t k0 = c * (unit / panel_units) / k_units, k1 = c * (unit / panel_units + 1) / k_units;
    const int64_t panel0 = panels * (unit % panel_units) / panel_units,
                  panel1 = panels * (unit % panel_units + 1) / panel_units;
    for (int64_t j = panel0; j < panel1; ++j, d += d_taps * (k1 - k0) * kPanel<T>) {
      if (tiled) fold_products(d, k1 - k0);
      for (int64_t i = 0; i < g.h.count; ++i)
        for (int64_t v = 0; v < g.w.count; ++v)
          unpack_panel(d + (i * g.w.count + v) * (k1 - k0) * kPanel<T>, k1 - k0,
                       least(kPanel<T>, g.gy.channels - j * kPanel<T>), accumulate,
                       static_cast<W*>(gw.data) + j * kPanel<T> * gw.strides[0] + k0 * gw.strides[1] +
                           i * gw.strides[2] + v * gw.strides[3],
                       gw.strides[1], gw.strides[0]);
    }
  };
  Buffer<W> shared;
  if (pieces > 1) shared.allocate(units * pieces * d_size);
  parallel_parts(int(units * pieces), [&](int part, int) {
    const int64_t unit = part / pieces, piece = part % pieces;
    const int64_t k0 = c * (unit / panel_units) / k_units, k1 = c * (unit / panel_units + 1) / k_units;
    const int64_t panel0 = panels * (unit % panel_units) / panel_units,
                  panel1 = panels * (unit % panel_units + 1) / panel_units;
    Scratch scratch(Scratch::bytes<W>(a_cells) + Scratch::bytes<W>(g_cells) + Scratch::bytes<W>(d_size));
    W* const a = scratch.take<W>(a_cells);
    W* const gs = scratch.take<W>(g_cells);
    W* const d = pieces > 1 ? shared.get() + part * d_size : scratch.take<W>(d_size);
    zero(d, d_size);
    const int64_t block0 = total * piece / pieces, block1 = total * (piece + 1) / pieces;
    if constexpr (kWinograd<T>)
      if (tiled)
        sums.add(g.x.channel_range(k0, k1 - k0), g.reader.from(k0), g.gy, g.h, g.w, block0, block1, panel0, panel1, a,
                 gs, d);
    if (!tiled) add_blocks(g, blocks, block0, block1, k0, k1, panel0, panel1, a, gs, d);
    if (pieces == 1) unpack(unit, d);
  });
  if (pieces == 1) return;
  parallel_parts(int(units), [&](int unit, int) {
    W* const d = shared.get() + unit * pieces * d_size;
    for (int64_t piece = 1; piece < pieces; ++piece)
      for (int64_t i = 0; i < d_size; ++i) d[i] += d[piece * d_size + i];
    unpack(unit, d);
  });
}

template <class T>
void backward_weight(const ConvParams& p, const View& x, const View& gy, const View& gw, bool accumulate,
                     const ConvReader& reader) {
  using W = Compute<T>;
  Filled<W> zeros;
  const Reader<W> r = reader_from(reader, x.shape[1], zeros);
  const Images<const T> xs(x), gys(gy);
  const int64_t in = x.shape[1] / p.groups, out = gy.shape[1] / p.groups;
  WeightGradient<T> g;
  g.h = forward_axis(rows_of(p, gw), x.shape[2], gy.shape[2]);
  g.w = forward_axis(columns_of(p, gw), x.shape[3], gy.shape[3]);
  if (depthwise(p, gw)) return depthwise_backward_weight(xs, r, gys, g.h, g.w, gw, accumulate);
  const bool tiled = winograd_weight<T>(p, gw, g.h, g.w, gys.count);
  for (int64_t i = 0; i < p.groups; ++i) {
    g.x = xs.channel_range(i * in, in);
    g.reader = r.from(i * in);
    g.gy = gys.channel_range(i * out, out);
    weight_gradient(g, tiled, weights_of_group(gw, i, p.groups, sizeof(W)), accumulate);
  }
}

}  // namespace

void add_conv_weight(Kernels& k) {
#if defined(__AVX512BF16__)
  k.conv2d_backward_weight.bf16 = backward_weight<bf16>;
#else
  k.conv2d_backward_weight.f32 = backward_weight<float>;
  k.conv2d_backward_weight.f64 = backward_weight<double>;
#endif
}

}  // namespace ar::cpu::AR_ISA
