// Depthwise convolution (groups == C, `multiplier` output channels for each input channel): nothing to multiply as
// matrices, so vectors run over channels. Bands of rows are copied into scratch with reader and padding, as for other
// kernels (correlate.h); then every output is a sum over taps, which are offsets there.
#pragma once
#include "tensor/cpu/isa/conv_axes.h"
#include "tensor/cpu/isa/correlate.h"
#include "tensor/cpu/isa/rows.h"

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
  int64_t units;  // of work, over all images

  DepthwiseBands(const Axis& h, const Axis& w, int64_t channels, int64_t images) : Bands<T>(h, w, channels) {
    this->even_out(images, num_threads());
    units = images * this->bands;
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

constexpr int64_t kDepthwisePixels = 4;  // outputs that are formed together at most: weights are loaded once for them

/// sums[pixel][channel] of P neighbouring outputs. Rows of sums and weights have room for whole registers.
template <int P, class T>
[[gnu::noinline]] void depthwise_pixels(const T* a, std::ptrdiff_t right, int64_t taps, const std::ptrdiff_t* at,
                                        const Compute<T>* weights, int64_t padded, Compute<T>* sums) {
  using V = Vec<Compute<T>>;
  for (int64_t o = 0; o < padded; o += V::kLanes) {
    V sum[P];
#pragma GCC unroll 4
    for (int d = 0; d < P; ++d) sum[d] = V::zero();
    for (int64_t e = 0; e < taps; ++e) {
      const V w = V::load(weights + e * padded + o);
      const T* const x = a + at[e] + o;
#pragma GCC unroll 4
      for (int d = 0; d < P; ++d) sum[d] = fma(V::load(x + d * right), w, sum[d]);
    }
#pragma GCC unroll 4
    for (int d = 0; d < P; ++d) sum[d].store(sums + d * padded + o);
  }
}
/// The same of one output, which has `repeat` channels for each of the sources.
template <class T>
[[gnu::noinline]] void depthwise_repeated(const T* a, int64_t taps, const std::ptrdiff_t* at, const Compute<T>* weights,
                                          int64_t padded, int64_t repeat, Compute<T>* sums) {
  using V = Vec<Compute<T>>;
  for (int64_t o = 0; o < padded; o += V::kLanes) {
    V sum = V::zero();
    for (int64_t e = 0; e < taps; ++e)
      sum = fma(load_repeated(a + at[e], o, repeat), V::load(weights + e * padded + o), sum);
    sum.store(sums + o);
  }
}

/// One correlation: `repeat` output channels for each channel of x, or `fold` of the sums for each channel of y.
template <class T>
inline void correlate_depthwise(const Correlation<T>& c, int64_t repeat, int64_t fold) {
  using W = Compute<T>;
  const int64_t width = c.w.out;
  if (c.y.count * c.h.out * width * c.y.channels == 0) return;
  const W* const weights = reinterpret_cast<const W*>(c.packed);
  const int64_t channels = c.y.channels * fold, padded = round_up(channels, kLanes<T>);
  const DepthwiseBands<T> bands(c.h, c.w, c.x.channels, c.y.count);
  const PartialSums<T> partial(c, bands.units);
  parallel_parts(int(bands.units), [&](int unit, int) {
    Finish<W> f = c.finish;
    partial.begin(f, unit, 0, c.panels());
    Scratch scratch(bands.bytes() + Scratch::bytes<W>(kDepthwisePixels * padded));
    const DepthwiseBand<T> band(bands, unit, c.x, c.reader, scratch);
    W* const sums = scratch.take<W>(kDepthwisePixels * padded);
    for (int64_t h = band.first; h < band.end; ++h)
      for (int64_t w = 0, pixels; w < width; w += pixels) {
        const T* const from = band.data + (h - band.first) * bands.down() + w * bands.right();
        if (repeat > 1) {
          pixels = 1;
          depthwise_repeated(from, bands.taps(), band.taps, weights, padded, repeat, sums);
        } else {
          pixels = width - w >= kDepthwisePixels ? kDepthwisePixels : width - w >= 2 ? 2 : 1;
          const auto run = pixels == kDepthwisePixels ? depthwise_pixels<kDepthwisePixels, T>
                           : pixels == 2              ? depthwise_pixels<2, T>
                                                      : depthwise_pixels<1, T>;
          run(from, bands.right(), bands.taps(), band.taps, weights, padded, sums);
        }
        if (fold > 1)  // an input channel collects from its `fold` output channels
          for (int64_t d = 0; d < pixels; ++d)
            for (int64_t i = 0; i < c.y.channels; ++i) {
              const W* const parts = sums + d * padded + i * fold;
              W s = parts[0];
              for (int64_t j = 1; j < fold; ++j) s += parts[j];
              sums[d * padded + i] = s;
            }
        finish_sums(f, Sums<T>{sums, std::ptrdiff_t(padded), c.y.at(band.image, h, w), c.y.pixel,
                               c.gate_x.data ? c.gate_x.at(band.image, h, w) : nullptr, c.gate_x.pixel, pixels, 0,
                               c.y.channels});
      }
  });
  if (c.sum || c.sum_sq) partial.add_to(c.sum, c.sum_sq, c.y.channels);
}

constexpr int64_t kGradientPixels = 8;  // whose gradients are kept while all taps pass

/// total[tap][channel] += sum over that many neighbouring outputs of x and gy, or over `pixels` of them.
template <bool kAll, class T>
[[gnu::noinline]] void add_pixels(const T* a, std::ptrdiff_t right, int64_t taps, const std::ptrdiff_t* at, const T* gy,
                                  std::ptrdiff_t gy_step, int64_t pixels, int64_t channels, int64_t padded,
                                  int64_t repeat, Compute<T>* total) {
  using V = Vec<Compute<T>>;
  each_vector<Compute<T>>(channels, [&](int64_t o, auto io) {
    V g[kGradientPixels];
    const int64_t count = kAll ? kGradientPixels : pixels;
    for (int64_t d = 0; d < count; ++d) g[d] = io.load(gy + d * gy_step + o);
    for (int64_t e = 0; e < taps; ++e) {
      V sum = V::load(total + e * padded + o);
      for (int64_t d = 0; d < count; ++d)
        sum = fma(load_repeated(a + d * right + at[e], o, kAll ? 1 : repeat), g[d], sum);
      sum.store(total + e * padded + o);
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
  const int64_t repeat = channels / x.channels, units = gy.width > 0 ? bands.units : 0;
  const int64_t parts = most(1, least(units, num_threads()));
  const Buffer<W> totals(parts * size);
  zero(totals.get(), parts * size);
  parallel_parts(int(parts), [&](int part, int) {
    W* const total = totals.get() + part * size;
    for (int64_t unit = units * part / parts; unit < units * (part + 1) / parts; ++unit) {
      Scratch scratch(bands.bytes());
      const DepthwiseBand<T> band(bands, unit, x, reader, scratch);
      for (int64_t h = band.first; h < band.end; ++h)
        for (int64_t w = 0; w < gy.width; w += kGradientPixels) {
          const int64_t pixels = least(kGradientPixels, gy.width - w);
          const bool all = pixels == kGradientPixels && repeat == 1;
          (all ? add_pixels<true, T>
               : add_pixels<false, T>)(band.data + (h - band.first) * bands.down() + w * bands.right(), bands.right(),
                                       taps, band.taps, gy.at(band.image, h, w), gy.pixel, pixels, channels, padded,
                                       repeat, total);
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
