// Depthwise convolution (groups == C, `multiplier` output channels for each input channel): nothing to multiply as
// matrices, so vectors run over channels. Bands of rows are copied into scratch with reader and padding, as for other
// kernels (correlate.h), unless they can be read where they lie (depthwise_rows.h).
#pragma once
#include "tensor/cpu/isa/conv_axes.h"
#include "tensor/cpu/isa/depthwise_rows.h"

namespace ar::cpu::AR_ISA {
namespace {

// ---- packed weights, in the type that is computed in: forward [tap][O], data gradient [phase][tap][O] ----

template <class W>
int64_t depthwise_packed_size(const View& w) {
  return w.shape[2] * w.shape[3] * round_up(w.shape[0], kLanes<W>);
}
template <class W>
void depthwise_pack(ConvPack mode, const ConvParams& p, const View& w, W* out) {
  const W* data = static_cast<const W*>(w.data);
  const int64_t padded = round_up(w.shape[0], kLanes<W>);
  each_phase(mode, p, w, [&](const Phase& rows, const Phase& columns) {
    for (int64_t i = 0; i < rows.count; ++i)
      for (int64_t j = 0; j < columns.count; ++j)
        for (int64_t o = 0; o < padded; ++o)
          *out++ = o < w.shape[0] ? data[o * w.strides[0] + rows.tap(i) * w.strides[2] + columns.tap(j) * w.strides[3]]
                                  : W(0);
  });
}

/// Lanes of channels from `first` on, each input channel repeated `multiplier` times. Whole registers are read: what
/// lies behind the last channel does not matter.
template <class T>
[[gnu::always_inline]] inline Vec<Compute<T>> load_repeated(const T* x, int64_t first, int64_t multiplier) {
  using V = Vec<Compute<T>>;
  if (multiplier == 1) return V::load(x + first);
  T lanes[V::kLanes];
  for (int i = 0; i < V::kLanes; ++i) lanes[i] = x[(first + i) / multiplier];
  return V::load(lanes);
}

/// Bands of rows for all threads, whose scratch may be read a register further than there are numbers.
template <class T>
struct DepthwiseBands : Bands<T> {
  DepthwiseBands(const Axis& h, const Axis& w, int64_t channels, int64_t images) : Bands<T>(h, w, channels, kLanes<T>) {
    this->even_out(images, num_threads());
  }
  int64_t taps() const { return this->h.count * this->w.count; }
  int64_t bytes() const { return Scratch::bytes<T>(this->size() + kLanes<T>) + Scratch::bytes<std::ptrdiff_t>(taps()); }
};

/// One of them, read into scratch.
template <class T>
struct DepthwiseBand {
  int64_t image, first, end;  // rows of outputs
  T* data;
  std::ptrdiff_t* taps;  // where they lie, from an output's first

  DepthwiseBand(const DepthwiseBands<T>& b, int64_t unit, const Images<const T>& x, const Reader<Compute<T>>& reader,
                Scratch& scratch)
      : image(unit / b.bands),
        first(b.first(unit % b.bands)),
        end(b.first(unit % b.bands + 1)),
        data(scratch.take<T>(b.size() + kLanes<T>)),
        taps(scratch.take<std::ptrdiff_t>(b.taps())) {
    read_band(x, image, b.h, b.w, first, end, reader, data, b.ld);
    for (int64_t i = 0; i < b.h.count; ++i)
      for (int64_t j = 0; j < b.w.count; ++j) taps[i * b.w.count + j] = i * b.tap_down() + j * b.tap_right();
  }
};

/// One output where the two sides have different numbers of channels: `repeat` sums for each channel of x, each of
/// which is `fold` of the weights' results.
template <class T>
[[gnu::noinline]] void depthwise_multiplied(const DepthwiseBands<T>& b, const T* a, const std::ptrdiff_t* at,
                                            const Compute<T>* weights, const Correlation<T>& c, int64_t repeat,
                                            int64_t fold, Compute<T>* sums) {
  using V = Vec<Compute<T>>;
  const int64_t padded = round_up(c.y.channels * fold, kLanes<T>);
  for (int64_t o = 0; o < padded; o += V::kLanes) {
    V sum = V::zero();
    for (int64_t e = 0; e < b.taps(); ++e)
      sum = fma(load_repeated(a + at[e], o, repeat), V::load(weights + e * padded + o), sum);
    sum.store(sums + o);
  }
  if (fold == 1) return;
  for (int64_t i = 0; i < c.y.channels; ++i) {
    Compute<T> s = sums[i * fold];
    for (int64_t j = 1; j < fold; ++j) s += sums[i * fold + j];
    sums[i] = s;
  }
}

/// One correlation: `repeat` output channels for each channel of x, or `fold` of the sums for each channel of y.
template <class T>
inline void correlate_depthwise(const Correlation<T>& c, int64_t repeat, int64_t fold) {
  using W = Compute<T>;
  if (c.y.count * c.h.out * c.w.out * c.y.channels == 0) return;
  const bool one_to_one = repeat == 1 && fold == 1, in_place = one_to_one && !c.reader.scale && read_in_place(c.x);
  const int64_t padded = round_up(c.y.channels * fold, kLanes<T>), threads = num_threads(), panels = c.panels();
  DepthwiseBands<T> bands(c.h, c.w, c.x.channels, c.y.count);
  if (in_place && c.y.count * c.h.out < 8 * threads) bands.bands = c.h.out;  // nothing is copied: cut as fine as can be
  const int64_t units = c.y.count * bands.bands, panel_units = in_place ? pieces_of(units, threads, panels) : 1;
  const PartialSums<T> partial(c, units);
  const DepthwiseRows<T> rows{c};
  parallel_parts(int(units * panel_units), [&](int part, int) {
    const int64_t unit = part / panel_units, v = part % panel_units;
    const int64_t panel0 = panels * v / panel_units, panel1 = panels * (v + 1) / panel_units;
    Finish<W> f = c.finish;
    partial.begin(f, unit, panel0, panel1);
    if (in_place) {
      Scratch scratch(rows.bytes());
      const int64_t image = unit / bands.bands, band = unit % bands.bands;
      return rows.run(DepthwiseInput<T>(c.x, image, c.h, c.w), image, bands.first(band), bands.first(band + 1), f,
                      panel0 * kPanel<T>, least(panel1 * kPanel<T>, c.y.channels), scratch);
    }
    Scratch scratch(bands.bytes() + most(rows.bytes(), Scratch::bytes<W>(padded)));
    const DepthwiseBand<T> band(bands, unit, c.x, c.reader, scratch);
    if (one_to_one)
      return rows.run(DepthwiseInput<T>(bands, band.data, band.first), band.image, band.first, band.end, f, 0,
                      c.y.channels, scratch);
    W* const sums = scratch.take<W>(padded);
    for (int64_t h = band.first; h < band.end; ++h)
      for (int64_t w = 0; w < c.w.out; ++w) {
        depthwise_multiplied(bands, band.data + (h - band.first) * bands.down() + w * bands.right(), band.taps,
                             reinterpret_cast<const W*>(c.packed), c, repeat, fold, sums);
        const T* const beside = c.beside.data ? c.beside.at(band.image, h, w) : nullptr;
        finish_sums(f, Sums<T>{sums, 0, c.y.at(band.image, h, w), 0, beside, 0, 1, 0, c.y.channels});
      }
  });
  if (c.sum || c.sum_sq) partial.add_to(c.sum, c.sum_sq, c.y.channels);
}

constexpr int64_t kGradientPixels = 8;  // whose gradients are kept while all taps pass

/// total[tap][channel] += sum over N neighbouring outputs of x and gy.
template <int N, class T>
[[gnu::noinline]] void add_pixels(const T* a, std::ptrdiff_t right, int64_t taps, const std::ptrdiff_t* at, const T* gy,
                                  std::ptrdiff_t gy_step, int64_t channels, int64_t padded, Compute<T>* total) {
  using V = Vec<Compute<T>>;
  each_vector<Compute<T>>(channels, [&](int64_t o, auto io) {
    V g[N];
#pragma GCC unroll 8
    for (int d = 0; d < N; ++d) g[d] = io.load(gy + d * gy_step + o);
    for (int64_t e = 0; e < taps; ++e) {
      const T* const x = a + at[e] + o;
      V sum = V::load(total + e * padded + o);
#pragma GCC unroll 8
      for (int d = 0; d < N; ++d) sum = fma(V::load(x + d * right), g[d], sum);
      sum.store(total + e * padded + o);
    }
  });
}
/// The same of one output, which has `repeat` channels for each of the sources.
template <class T>
[[gnu::noinline]] void add_repeated(const T* a, int64_t taps, const std::ptrdiff_t* at, const T* gy, int64_t channels,
                                    int64_t padded, int64_t repeat, Compute<T>* total) {
  using V = Vec<Compute<T>>;
  each_vector<Compute<T>>(channels, [&](int64_t o, auto io) {
    const V g = io.load(gy + o);
    for (int64_t e = 0; e < taps; ++e) {
      Compute<T>* const to = total + e * padded + o;
      fma(load_repeated(a + at[e], o, repeat), g, V::load(to)).store(to);
    }
  });
}

/// gw[o][tap] (+)= sum over pixels of reader(x) * gy. Each part takes some bands and has sums of its own.
template <class T>
inline void depthwise_backward_weight(const Images<const T>& x, const Reader<Compute<T>>& reader,
                                      const Images<const T>& gy, const Axis& rows, const Axis& columns, const View& gw,
                                      bool accumulate) {
  using W = Compute<T>;
  const DepthwiseBands<T> bands(rows, columns, x.channels, gy.count);
  const int64_t channels = gy.channels, taps = bands.taps(), padded = round_up(channels, kLanes<T>),
                size = taps * padded;
  if (size == 0) return;
  const int64_t repeat = channels / x.channels, units = gy.width > 0 ? gy.count * bands.bands : 0;
  const int64_t parts = most(1, least(units, num_threads()));
  const Buffer<W> totals(parts * size);
  zero(totals.get(), parts * size);
  parallel_parts(int(parts), [&](int part, int) {
    W* const total = totals.get() + part * size;
    for (int64_t unit = units * part / parts; unit < units * (part + 1) / parts; ++unit) {
      Scratch scratch(bands.bytes());
      const DepthwiseBand<T> band(bands, unit, x, reader, scratch);
      for (int64_t h = band.first; h < band.end; ++h)
        for (int64_t w = 0, pixels; w < gy.width; w += pixels) {
          const T* const from = band.data + (h - band.first) * bands.down() + w * bands.right();
          const T* const g = gy.at(band.image, h, w);
          if (repeat > 1) {
            pixels = 1;
            add_repeated(from, taps, band.taps, g, channels, padded, repeat, total);
          } else {
            pixels = least(kGradientPixels, gy.width - w);
            constexpr decltype(&add_pixels<1, T>) add[] = {add_pixels<1, T>, add_pixels<2, T>, add_pixels<3, T>,
                                                           add_pixels<4, T>, add_pixels<5, T>, add_pixels<6, T>,
                                                           add_pixels<7, T>, add_pixels<8, T>};
            add[pixels - 1](from, bands.right(), taps, band.taps, g, gy.pixel, channels, padded, total);
          }
        }
    }
  });
  W* const out = static_cast<W*>(gw.data);
  for (int64_t i = 0; i < rows.count; ++i)
    for (int64_t j = 0; j < columns.count; ++j)
      for (int64_t o = 0; o < channels; ++o) {
        W& to = out[o * gw.strides[0] + i * gw.strides[2] + j * gw.strides[3]];
        W s = accumulate ? to : W(0);
        for (int64_t part = 0; part < parts; ++part)
          s += totals.get()[part * size + (i * columns.count + j) * padded + o];
        to = s;
      }
}

}  // namespace
}  // namespace ar::cpu::AR_ISA
