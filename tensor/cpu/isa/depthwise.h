// Depthwise convolution (groups == C, `multiplier` output channels for each input channel): nothing to multiply as
// matrices, so vectors run over channels. Forward and data gradient are the same sum over meetings of a destination
// with sources.
#pragma once
#include "tensor/cpu/isa/conv_axes.h"
#include "tensor/cpu/isa/correlate.h"

namespace ar::cpu::AR_ISA {
namespace {

template <class T>
int64_t depthwise_packed_size(const View& w) {
  return w.shape[2] * w.shape[3] * round_up(w.shape[0], kLanes<T>);
}
template <class T>
void depthwise_pack(const View& w, T* out) {
  const T* data = static_cast<const T*>(w.data);
  const int64_t padded = round_up(w.shape[0], kLanes<T>);
  for (int64_t i = 0; i < w.shape[2]; ++i)
    for (int64_t j = 0; j < w.shape[3]; ++j)
      for (int64_t o = 0; o < padded; ++o)
        *out++ = o < w.shape[0] ? data[o * w.strides[0] + i * w.strides[2] + j * w.strides[3]] : T(0);
}

/// Along one axis: which sources a destination meets through which taps.
struct Meetings {
  const KernelAxis& axis;
  bool backward;  // destinations are the convolution's inputs
  int64_t sources;
  /// Calls f(tap, source) for each meeting of destination d.
  template <class F>
  [[gnu::always_inline]] void each(int64_t d, F f) const {
    for (int64_t tap = 0; tap < axis.kernel; ++tap) {
      const int64_t at =
          backward ? d + axis.pad - tap * axis.dilation : d * axis.stride - axis.pad + tap * axis.dilation;
      if (backward && at % axis.stride != 0) continue;
      const int64_t source = backward ? at / axis.stride : at;
      if (source >= 0 && source < sources) f(tap, source);
    }
  }
};

/// n lanes of channels from `first` on, each input channel repeated `multiplier` times.
template <class T>
[[gnu::always_inline]] inline Vec<Compute<T>> load_repeated(const T* x, int64_t first, int n, int64_t multiplier) {
  using V = Vec<Compute<T>>;
  if (multiplier == 1) return n == V::kLanes ? V::load(x + first) : V::load(x + first, n);
  T lanes[V::kLanes] = {};
  for (int i = 0; i < n; ++i) lanes[i] = x[(first + i) / multiplier];
  return V::load(lanes);
}

template <class T>
[[gnu::always_inline]] inline Vec<T> read(Vec<T> x, Vec<T> scale, Vec<T> shift, bool scaled, bool relu) {
  if (scaled) x = fma(x, scale, shift);
  return scaled && relu ? max(Vec<T>::zero(), x) : x;
}

/// What one destination pixel meets: sources and the weights of their taps.
template <class T>
struct Meeting {
  const T* x;
  const Compute<T>* w;
};

/// One destination pixel before finish: sums[channel], `channels` of them (those of the larger side).
template <class T>
inline void depthwise_pixel(const Reader<Compute<T>>& reader, const Meeting<T>* meetings, int64_t count,
                            int64_t channels, int64_t repeat, Compute<T>* sums) {
  using V = Vec<Compute<T>>;
  constexpr int L = V::kLanes;
  const bool scaled = reader.scale != nullptr;
  int64_t o = 0;
  if (repeat == 1 && !scaled) {  // two vectors at once share the pointers
    for (; o + 2 * L <= channels; o += 2 * L) {
      V a = V::zero(), b = V::zero();
      for (int64_t e = 0; e < count; ++e) {
        const T* x = meetings[e].x + o;
        const Compute<T>* w = meetings[e].w + o;
        a = fma(V::load(x), V::load(w), a);
        b = fma(V::load(x + L), V::load(w + L), b);
      }
      a.store(sums + o);
      b.store(sums + o + L);
    }
  }
  for (; o < channels; o += L) {
    const int m = int(least(L, channels - o));
    const V scale = scaled ? load_repeated(reader.scale, o, m, repeat) : V::zero();
    const V shift = scaled ? load_repeated(reader.shift, o, m, repeat) : V::zero();
    V acc = V::zero();
    for (int64_t e = 0; e < count; ++e)
      acc = fma(read(load_repeated(meetings[e].x, o, m, repeat), scale, shift, scaled, reader.relu),
                V::load(meetings[e].w + o), acc);
    if (m == L)
      acc.store(sums + o);
    else
      acc.store(sums + o, m);
  }
}

/// For all destinations. `repeat`: output channels for each channel of the sources, `fold`: for each of the
/// destinations.
template <class T>
inline void depthwise_run(const Correlation<T>& c, const KernelAxis& rows, const KernelAxis& columns, bool backward) {
  const int64_t width = c.y.width, height = c.y.height, taps_w = columns.kernel;
  using W = Compute<T>;
  if (c.y.count * height * width * c.y.channels == 0) return;
  const W* const weights = reinterpret_cast<const W*>(c.packed);
  const int64_t channels = most(c.x.channels, c.y.channels), padded = round_up(channels, kLanes<T>);
  const int64_t repeat = backward ? 1 : channels / c.x.channels, fold = backward ? channels / c.y.channels : 1;
  const Meetings across{columns, backward, c.x.width}, down{rows, backward, c.x.height};
  constexpr int64_t kRows = 4;
  const int64_t bands = ceil_div(height, kRows);
  const PartialSums<T> partial(c, c.y.count * bands);
  parallel_parts(int(c.y.count * bands), [&](int unit, int) {
    Finish<W> f = c.finish;
    partial.begin(f, unit, 0, c.panels());
    Scratch scratch(Scratch::bytes<Meeting<T>>(rows.kernel * taps_w) + Scratch::bytes<W>(width * channels));
    Meeting<T>* const meetings = scratch.take<Meeting<T>>(rows.kernel * taps_w);
    W* const sums = scratch.take<W>(width * channels);
    const int64_t n = unit / bands, first = unit % bands * kRows;
    for (int64_t h = first; h < least(height, first + kRows); ++h) {
      for (int64_t d = 0; d < width; ++d) {
        int64_t count = 0;
        down.each(h, [&](int64_t i, int64_t row) {
          across.each(d, [&](int64_t j, int64_t column) {
            meetings[count++] = {c.x.at(n, row, column), weights + (i * taps_w + j) * padded};
          });
        });
        depthwise_pixel(c.reader, meetings, count, channels, repeat, sums + d * channels);
      }
      if (fold > 1)  // an input channel collects from its `fold` output channels
        for (int64_t i = 0; i < width * c.y.channels; ++i) {
          W s = sums[i * fold];
          for (int64_t j = 1; j < fold; ++j) s += sums[i * fold + j];
          sums[i] = s;
        }
      finish_sums(f, Sums<T>{sums, std::ptrdiff_t(c.y.channels), c.y.at(n, h, 0), c.y.pixel,
                             c.gate_x.data ? c.gate_x.at(n, h, 0) : nullptr, c.gate_x.pixel, width, 0, c.y.channels});
    }
  });
  if (c.sum || c.sum_sq) partial.add_to(c.sum, c.sum_sq, c.y.channels);
}

template <class T>
inline void depthwise_forward(const Correlation<T>& c, const KernelAxis& rows, const KernelAxis& columns) {
  depthwise_run(c, rows, columns, false);
}
template <class T>
inline void depthwise_backward_data(const Correlation<T>& c, const KernelAxis& rows, const KernelAxis& columns) {
  depthwise_run(c, rows, columns, true);
}

/// gw[o][tap] (+)= sum over pixels of reader(x) * gy: each part owns a range of channels.
template <class T>
inline void depthwise_backward_weight(const Images<const T>& x, Reader<Compute<T>> reader, const Images<const T>& gy,
                                      const KernelAxis& rows, const KernelAxis& columns, const View& gw,
                                      bool accumulate) {
  using W = Compute<T>;
  using V = Vec<W>;
  constexpr int L = V::kLanes;
  const int64_t channels = gy.channels, taps = rows.kernel * columns.kernel;
  if (channels * taps == 0) return;
  const int64_t multiplier = channels / x.channels;
  const Meetings down{rows, false, x.height};
  const bool scaled = reader.scale != nullptr;
  constexpr int64_t kPixels = 8;  // whose gradients are kept while all taps pass
  parallel_for(ceil_div(channels, L), 1, [&](int64_t begin, int64_t end) {
    const int64_t o0 = begin * L, o1 = least(channels, end * L), padded = (end - begin) * L;
    struct Visit {  // one tap over destinations [from, to) of a segment
      const T* x;
      W* total;
      int64_t from, to;
    };
    Scratch scratch(Scratch::bytes<W>(taps * padded) + Scratch::bytes<Visit>(taps));
    W* const total = scratch.take<W>(taps * padded);  // [tap][channel]
    Visit* const visits = scratch.take<Visit>(taps);
    zero(total, taps * padded);
    auto segment = [&](int64_t n, int64_t h, int64_t d0, int64_t d1) __attribute__((always_inline)) {
      int64_t count = 0;
      for (int64_t j = 0; j < columns.kernel; ++j) {
        const int64_t start = j * columns.dilation - columns.pad;  // source column of destination 0
        const int64_t from = most(d0, -floor_div(start, columns.stride));
        const int64_t to = least(d1, floor_div(x.width - 1 - start, columns.stride) + 1);
        if (from >= to) continue;
        down.each(h, [&](int64_t i, int64_t row) {
          visits[count++] = {x.at(n, row, start + from * columns.stride), total + (i * columns.kernel + j) * padded,
                             from - d0, to - d0};
        });
      }
      const std::ptrdiff_t step = columns.stride * x.pixel;
      const T* const ahead = count > 0 ? visits[count - 1].x + kPixels * step : x.data;
      for (int64_t o = o0; o < o1; o += L) {
        const int m = int(least(L, o1 - o));
        const V scale = scaled ? load_repeated(reader.scale, o, m, multiplier) : V::zero();
        const V shift = scaled ? load_repeated(reader.shift, o, m, multiplier) : V::zero();
        V g[kPixels];
        for (int64_t d = d0; d < d1; ++d) {
          g[d - d0] = load_repeated(gy.at(n, h, d), o, m, 1);
          // Pixels of the next segment: too many streams at once for the hardware to follow.
          __builtin_prefetch(gy.at(n, h, d + kPixels) + o);
          __builtin_prefetch(ahead + (d - d0) * step + o / multiplier);
        }
        for (int64_t e = 0; e < count; ++e) {
          const Visit& v = visits[e];
          V acc = V::load(v.total + o - o0);
          const T* xs = v.x;
          for (int64_t d = v.from; d < v.to; ++d, xs += step)
            acc = fma(read(load_repeated(xs, o, m, multiplier), scale, shift, scaled, reader.relu), g[d], acc);
          acc.store(v.total + o - o0);
        }
      }
    };
    for (int64_t n = 0; n < gy.count; ++n)
      for (int64_t h = 0; h < gy.height; ++h)
        for (int64_t d = 0; d < gy.width; d += kPixels) segment(n, h, d, least(gy.width, d + kPixels));
    W* const out = static_cast<W*>(gw.data);
    for (int64_t i = 0; i < rows.kernel; ++i)
      for (int64_t j = 0; j < columns.kernel; ++j)
        for (int64_t o = o0; o < o1; ++o) {
          W& to = out[o * gw.strides[0] + i * gw.strides[2] + j * gw.strides[3]];
          const W s = total[(i * columns.kernel + j) * padded + o - o0];
          to = accumulate ? to + s : s;
        }
  });
}

}  // namespace
}  // namespace ar::cpu::AR_ISA
