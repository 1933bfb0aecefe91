// The loops around the product tile: y[n,i,j,:] = finish(sum over taps of reader(x)[n, i*stride + tap, j*stride + tap,
// :] * B[tap]). Forward convolution is one such correlation; a data gradient is one for each phase of the stride.
//
// Work is cut into units (pixels or bands of rows, times ranges of panels); every sum is formed within one unit in a
// fixed order, so outputs do not depend on the number of threads. Statistics are summed per unit in T, then over units
// in f64.
#pragma once
#include "tensor/cpu/isa/images.h"

namespace ar::cpu::AR_ISA {
namespace {

template <class T>
struct Correlation {
  Images<const T> x;
  Reader<Compute<T>> reader;
  Axis h, w;
  const T* packed;  // [panel][tap][k][kPanel]; of depthwise kernels see depthwise.h
  Images<T> y;
  Images<const T> beside;                    // y: the gate's input, or the residual; data null: neither
  Finish<Compute<T>> finish;                 // sums are filled in here
  double *sum = nullptr, *sum_sq = nullptr;  // added to

  int64_t k() const { return x.channels; }
  int64_t panels() const { return ceil_div(y.channels, kPanel<T>); }
  int64_t panel_size() const { return h.count * w.count * depth<T>(k()) * kPanel<T>; }
  int64_t columns(int64_t panel) const { return least(kPanel<T>, y.channels - panel * kPanel<T>); }
};

/// Sums and sums of squares per unit of work and channel.
template <class T>
class PartialSums {
 public:
  PartialSums(const Correlation<T>& c, int64_t units) : units_(units), width_(c.panels() * kPanel<T>) {
    if (c.sum || c.sum_sq || c.finish.gate) sums_.allocate(units * 2 * width_);
  }
  /// Starts a unit's panels at zero and points f at them.
  void begin(Finish<Compute<T>>& f, int64_t unit, int64_t panel0, int64_t panel1) const {
    if (!sums_.get()) return;
    f.sum = sums_.get() + unit * 2 * width_;
    f.sum_sq = f.sum + width_;
    zero(f.sum + panel0 * kPanel<T>, (panel1 - panel0) * kPanel<T>);
    zero(f.sum_sq + panel0 * kPanel<T>, (panel1 - panel0) * kPanel<T>);
  }
  void add_to(double* sum, double* sum_sq, int64_t channels) const {
    for (int64_t u = 0; u < units_; ++u) {
      const Compute<T>* s = sums_.get() + u * 2 * width_;
      if (sum)
        for (int64_t c = 0; c < channels; ++c) sum[c] += double(s[c]);
      if (sum_sq)
        for (int64_t c = 0; c < channels; ++c) sum_sq[c] += double(s[width_ + c]);
    }
  }

 private:
  int64_t units_, width_;
  Buffer<Compute<T>> sums_;
};

/// y and what lies beside it at a tile's two groups of pixels.
template <class T>
[[gnu::always_inline]] inline void point_at(Tile<T>& t, const Correlation<T>& c, int64_t n, int64_t h1, int64_t w1,
                                            int64_t h2, int64_t w2, int64_t channel) {
  t.c1 = c.y.at(n, h1, w1) + channel;
  t.c2 = c.y.at(n, h2, w2) + channel;
  if (c.beside.data) {
    t.x1 = c.beside.at(n, h1, w1) + channel;
    t.x2 = c.beside.at(n, h2, w2) + channel;
  }
  t.channel = channel;
}

// ---- one tap: pixels in reading order, tiles of A copied through the reader (or read where they lie), then all panels
// stream past them: past one tile, or, where weights outgrow the cache, past a block of tiles ----

template <class T>
struct Pixel {  // position number p of the output
  int64_t n, h, w;
  Pixel() = default;
  Pixel(const Correlation<T>& c, int64_t p) : n(p / (c.h.out * c.w.out)), h(p / c.w.out % c.h.out), w(p % c.w.out) {}
};

/// Calls f(offset, pixel, length) for the pieces of pixels [p, p + n) that lie within one run of `run` pixels.
template <class T, class F>
[[gnu::always_inline]] inline void for_runs(const Correlation<T>& c, int64_t p, int64_t n, int64_t run, F f) {
  for (int64_t i = 0; i < n;) {
    const int64_t length = least(n - i, run - (p + i) % run);
    f(i, Pixel<T>(c, p + i), length);
    i += length;
  }
}

/// A tile of pixels: where it begins in y, whether its pixels lie in one run there, and where its rows of A lie.
template <class T>
struct Strip {
  int64_t first_pixel, pixels;
  Pixel<T> at;
  bool one_run;
  const T* a;
  std::ptrdiff_t a_step;  // elements
};

template <class T>
inline void pointwise_unit(const Correlation<T>& c, const Finish<Compute<T>>& f, int64_t begin, int64_t end,
                           int64_t panel0, int64_t panel1) {
  constexpr int64_t E = sizeof(T), kMostStrips = 32;
  const int64_t k = c.k(), ld = padded_step<T>(k);
  const int64_t tiles = ceil_div(end - begin, kTile);
  // With 14 pixels a tile, weights may come from the third-level cache each time; with 6 that is too often.
  const bool weights_stay = kTile > 6 || (panel1 - panel0) * c.panel_size() * E <= kCached;
  // (A panel of very many channels comes from memory: then enough tiles to fetch all of the next one.)
  const int64_t in_cache = most(kPanelFetches<T>, kCached / 4 * 3 / (kTile * ld * E));
  const int64_t strips = weights_stay ? 1 : least(in_cache, least(tiles, kMostStrips));
  T* const a = Scratch(Scratch::bytes<T>(strips * kTile * ld)).take<T>(strips * kTile * ld);
  const std::ptrdiff_t no_tap = 0, x_step = c.w.stride * c.x.pixel;
  // Runs of x: whole rows join where every pixel is visited.
  const bool every_pixel = c.w.stride == 1 && c.h.stride == 1 && c.w.out == c.x.width && c.h.out == c.x.height;
  const int64_t x_run = every_pixel ? c.x.run() : c.w.out;
  const int64_t y_run = c.beside.data ? gcd(c.y.run(), c.beside.run()) : c.y.run();
  alignas(64) Compute<T> raw[kTile * kPanel<T>];

  auto bound = [&](int64_t tile) { return begin + tile_begin(tile, end - begin); };
  auto x_at = [&](Pixel<T> p) { return c.x.at(p.n, p.h * c.h.stride + c.h.first, p.w * c.w.stride + c.w.first); };
  // Pixels a multiple of 1 KB apart meet in few cache sets: these are copied, too.
  const bool in_place = kDepth<T> == 1 && !c.reader.scale && x_step * E % 1024 != 0;
  auto strip_of = [&](int64_t tile, T* copy) -> Strip<T> {
    const int64_t p = bound(tile), n = bound(tile + 1) - p;
    const Pixel<T> at(c, p);
    const bool one_run = p / y_run == (p + n - 1) / y_run;
    if (in_place && p / x_run == (p + n - 1) / x_run) return {p, n, at, one_run, x_at(at), x_step};
    for_runs(c, p, n, x_run, [&](int64_t i, Pixel<T> from, int64_t length) {
      read_pixels(x_at(from), x_step, length, k, c.reader, copy + i * ld, ld);
    });
    return {p, n, at, one_run, copy, ld};
  };

  Tile<T> t{};
  t.taps = &no_tap;
  t.n_taps = 1;
  t.k = depth<T>(k) / kDepth<T>;
  t.c_step = c.y.pixel;
  t.x_step = c.beside.pixel;
  t.finish = &f;
  t.raw = raw;
  auto run = [&](const Strip<T>& s, int64_t j) __attribute__((always_inline)) {
    const int64_t first = (s.pixels + 1) / 2;
    const int columns = int(c.columns(j));
    t.a1 = s.a;
    t.a2 = s.a + first * s.a_step;
    t.a_step = s.a_step * E;
    point_at(t, c, s.at.n, s.at.h, s.at.w, s.at.h, s.at.w, j * kPanel<T>);
    t.c2 += first * t.c_step;
    t.x2 += c.beside.data ? first * t.x_step : 0;
    if (s.one_run) return run_tile(t, int(s.pixels), columns);
    run_raw_tile(t, int(s.pixels), columns);
    for_runs(c, s.first_pixel, s.pixels, y_run, [&](int64_t i, Pixel<T> to, int64_t length) {
      finish_sums(f, Sums<T>{raw + i * kPanel<T>, kPanel<T>, c.y.at(to.n, to.h, to.w) + j * kPanel<T>, c.y.pixel,
                             c.beside.data ? c.beside.at(to.n, to.h, to.w) + j * kPanel<T> : nullptr, c.beside.pixel,
                             length, j * kPanel<T>, columns});
    });
  };

  Strip<T> strip[kMostStrips];
  for (int64_t tile = 0; tile < tiles; tile += strips) {
    const int64_t n = least(strips, tiles - tile), next = bound(least(tile + n, tiles));
    for (int64_t i = 0; i < n; ++i) strip[i] = strip_of(tile + i, a + i * kTile * ld);
    const char* rows = next < end ? reinterpret_cast<const char*>(x_at(Pixel<T>(c, next))) : nullptr;
    Ahead<T> ahead{!weights_stay, rows, x_step * E, n * kTile};
    for (int64_t j = panel0; j < panel1; ++j) {
      t.b = c.packed + j * c.panel_size();
      for (int64_t i = 0; i < n; ++i) {
        ahead.point(t, i);
        run(strip[i], j);
      }
    }
  }
}

template <class T>
inline void correlate_pointwise(const Correlation<T>& c) {
  const int64_t pixels = c.y.count * c.h.out * c.w.out, tiles = ceil_div(pixels, kTile), threads = num_threads();
  const int64_t panels = c.panels(), weight_bytes = panels * c.panel_size() * int64_t(sizeof(T));
  // Few pixels and many weights: each thread streams some of the weights past all pixels.
  const bool split_panels = panels >= 2 * threads && (weight_bytes > (1 << 20) ? tiles < 4 * threads : tiles < threads);
  const int64_t panel_units = split_panels ? threads : least(panels, ceil_div(threads, tiles));
  const int64_t pixel_units = split_panels ? 1 : least(tiles, round_up(ceil_div(tiles, 16), threads));
  const bool aligned = tiles >= 16 * pixel_units / 2;
  auto bound = [&](int64_t u) {
    return aligned ? least(pixels, tiles * u / pixel_units * kTile) : pixels * u / pixel_units;
  };
  const PartialSums<T> sums(c, pixel_units);
  parallel_parts(int(pixel_units * panel_units), [&](int part, int) {
    const int64_t u = part / panel_units, v = part % panel_units;
    const int64_t panel0 = panels * v / panel_units, panel1 = panels * (v + 1) / panel_units;
    Finish<Compute<T>> f = c.finish;
    sums.begin(f, u, panel0, panel1);
    pointwise_unit(c, f, bound(u), bound(u + 1), panel0, panel1);
  });
  if (c.sum || c.sum_sq) sums.add_to(c.sum, c.sum_sq, c.y.channels);
}

// ---- many taps: a band of rows is copied into scratch with reader and padding, taps are byte offsets there ----

template <class T>
struct Bands {  // how an image's rows are cut and how its copy lies in scratch
  Axis h, w;
  int64_t ld, bands;

  /// Pixels begin at multiples of `unit` numbers.
  Bands(const Axis& h, const Axis& w, int64_t channels, int64_t unit = 1) : h(h), w(w) {
    const int64_t k = round_up(depth<T>(channels), unit), bytes = k * int64_t(sizeof(T));
    // A row of taps over dense pixels is one tap of width * k; rows a multiple of 1 KB apart meet in few cache sets.
    ld = bytes % 1024 == 0 ? padded_step<T>(k) : k;
    const int64_t row_budget = kCached / most(1, row() * int64_t(sizeof(T)));
    int64_t rows = 1;
    while (rows < h.out && h.span(rows + 1) <= row_budget) ++rows;
    bands = ceil_div(h.out, rows);
  }
  int64_t first(int64_t band) const { return h.out * band / bands; }
  /// Numbers in scratch: of a row, and of the highest band.
  int64_t row() const { return w.span(w.out) * ld; }
  int64_t size() const { return h.span(ceil_div(h.out, bands)) * row(); }
  // From output to output and from tap to tap.
  std::ptrdiff_t down() const { return h.stride / h.sample() * row(); }
  std::ptrdiff_t right() const { return w.stride / w.sample() * ld; }
  std::ptrdiff_t tap_down() const { return h.step / h.sample() * row(); }
  std::ptrdiff_t tap_right() const { return w.step / w.sample() * ld; }
  /// As many units of work for each thread, as far as there are rows.
  void even_out(int64_t images, int64_t threads) {
    while (bands < h.out && images * bands % threads != 0) ++bands;
  }
};

template <class T>
inline void band_unit(const Correlation<T>& c, const Bands<T>& bands, const Finish<Compute<T>>& f, int64_t n,
                      int64_t band, int64_t panel0, int64_t panel1) {
  const int64_t k = depth<T>(c.k()), ld = bands.ld, i0 = bands.first(band), i1 = bands.first(band + 1), width = c.w.out;
  const int64_t most_taps = c.h.count * c.w.count;
  Scratch scratch(Scratch::bytes<T>(bands.size()) + Scratch::bytes<std::ptrdiff_t>(most_taps));
  T* const a = scratch.take<T>(bands.size());
  std::ptrdiff_t* const taps = scratch.take<std::ptrdiff_t>(most_taps);
  read_band(c.x, n, c.h, c.w, i0, i1, c.reader, a, ld);

  const std::ptrdiff_t E = sizeof(T), h_stride = bands.down(), w_stride = bands.right();
  const bool row_is_one_tap = bands.tap_right() == k && ld == k;
  const int64_t taps_w = row_is_one_tap ? least(1, c.w.count) : c.w.count;
  for (int64_t i = 0; i < c.h.count; ++i)
    for (int64_t j = 0; j < taps_w; ++j) taps[i * taps_w + j] = (i * bands.tap_down() + j * bands.tap_right()) * E;

  Tile<T> t{};
  t.a_step = w_stride * E;
  t.taps = taps;
  t.n_taps = c.h.count * taps_w;
  t.k = (row_is_one_tap ? c.w.count * k : k) / kDepth<T>;
  t.c_step = c.y.pixel;
  t.x_step = c.beside.pixel;
  t.finish = &f;
  const int64_t pair = 2 * width <= kTile ? 2 : 1;  // narrow images: two rows a tile
  const int64_t across = ceil_div(width, kTile);
  auto run = [&](int64_t i, int64_t part, int64_t panel) __attribute__((always_inline)) {
    const int64_t w1 = width * part / across, w_end = width * (part + 1) / across;
    const bool two_rows = pair == 2 && i + 1 < i1;
    const int64_t pixels = two_rows ? 2 * width : w_end - w1;
    const int64_t h2 = two_rows ? i + 1 : i, w2 = two_rows ? 0 : w1 + (pixels + 1) / 2;
    t.a1 = a + (i - i0) * h_stride + w1 * w_stride;
    t.a2 = a + (h2 - i0) * h_stride + w2 * w_stride;
    t.b = c.packed + panel * c.panel_size();
    point_at(t, c, n, i, w1, h2, w2, panel * kPanel<T>);
    run_tile(t, int(pixels), int(c.columns(panel)));
  };
  // Weights that outgrow the second-level cache pass once a band rather than once a tile.
  if ((panel1 - panel0) * c.panel_size() * E > kCached) {
    for (int64_t panel = panel0; panel < panel1; ++panel)
      for (int64_t i = i0; i < i1; i += pair)
        for (int64_t part = 0; part < across; ++part) run(i, part, panel);
  } else {
    for (int64_t i = i0; i < i1; i += pair)
      for (int64_t part = 0; part < across; ++part)
        for (int64_t panel = panel0; panel < panel1; ++panel) run(i, part, panel);
  }
}

template <class T>
inline void correlate_bands(const Correlation<T>& c) {
  Bands<T> bands(c.h, c.w, c.k());
  const int64_t threads = num_threads(), images = c.y.count, panels = c.panels();
  int64_t panel_units = 1;
  if (images * bands.bands < 4 * threads) {
    const int64_t weight_bytes = panels * c.panel_size() * int64_t(sizeof(T));
    if (weight_bytes > (1 << 20) && panels >= threads) {
      panel_units = threads;
    } else {
      bands.even_out(images, threads);
      panel_units = least(panels, ceil_div(threads, images * bands.bands));
    }
  }
  const int64_t units = images * bands.bands;
  const PartialSums<T> sums(c, units);
  parallel_parts(int(units * panel_units), [&](int part, int) {
    const int64_t u = part / panel_units, v = part % panel_units;
    const int64_t panel0 = panels * v / panel_units, panel1 = panels * (v + 1) / panel_units;
    Finish<Compute<T>> f = c.finish;
    sums.begin(f, u, panel0, panel1);
    band_unit(c, bands, f, u / bands.bands, u % bands.bands, panel0, panel1);
  });
  if (c.sum || c.sum_sq) sums.add_to(c.sum, c.sum_sq, c.y.channels);
}

template <class T>
inline void correlate(const Correlation<T>& c) {
  if (c.y.count * c.h.out * c.w.out * c.y.channels == 0) return;
  if (c.h.pointwise() && c.w.pointwise())
    correlate_pointwise(c);
  else
    correlate_bands(c);
}

}  // namespace
}  // namespace ar::cpu::AR_ISA
