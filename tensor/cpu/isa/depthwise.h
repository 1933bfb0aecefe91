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
[[gnu::always_inline]] inline Vec<T> load_repeated(const T* x, int64_t first, int n, int64_t multiplier) {
  using V = Vec<T>;
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

/// One row of destinations before finish: sums[d][channel], `channels` of them (those of the larger side).
template <class T>
inline void depthwise_row(const Correlation<T>& c, const Meetings& rows, const int64_t* meetings, int64_t taps_w,
                          int64_t n, int64_t row, int64_t width, int64_t channels, int64_t repeat, T* sums) {
  using V = Vec<T>;
  constexpr int L = V::kLanes;
  const int64_t padded = round_up(channels, L);
  const bool scaled = c.reader.scale != nullptr;
  for (int64_t o = 0; o < channels; o += L) {
    const int m = int(least(L, channels - o));
    const V scale = scaled ? load_repeated(c.reader.scale, o, m, repeat) : V::zero();
    const V shift = scaled ? load_repeated(c.reader.shift, o, m, repeat) : V::zero();
    for (int64_t d = 0; d < width; ++d) {
      const int64_t* list = meetings + d * (2 * taps_w + 1);
      V acc = V::zero();
      rows.each(
          row, [&](int64_t i, int64_t source) __attribute__((always_inline)) {
            const T* x = c.x.at(n, source, 0);
            const T* w = c.packed + i * taps_w * padded + o;
            for (int64_t e = 0; e < list[0]; ++e) {
              const V v = read(load_repeated(x + list[2 + 2 * e] * c.x.pixel, o, m, repeat), scale, shift, scaled,
                               c.reader.relu);
              acc = fma(v, V::load(w + list[1 + 2 * e] * padded), acc);
            }
          });
      if (m == L)
        acc.store(sums + d * channels + o);
      else
        acc.store(sums + d * channels + o, m);
    }
  }
}

/// The sum over meetings for all destinations, `repeat`: sources per ..., see the two callers.
template <class T>
inline void depthwise_run(const Correlation<T>& c, const KernelAxis& rows, const KernelAxis& columns, bool backward) {
  const int64_t width = c.y.width, height = c.y.height, taps_w = columns.kernel;
  if (c.y.count * height * width * c.y.channels == 0) return;
  const int64_t channels = most(c.x.channels, c.y.channels);  // of the convolution's output
  const int64_t repeat = backward ? 1 : channels / c.x.channels, fold = backward ? channels / c.y.channels : 1;
  const Meetings across{columns, backward, c.x.width}, down{rows, backward, c.x.height};
  constexpr int64_t kRows = 4;
  const int64_t bands = ceil_div(height, kRows), list = 2 * taps_w + 1;
  const PartialSums<T> partial(c, c.y.count * bands);
  parallel_parts(int(c.y.count * bands), [&](int unit, int) {
    Finish<T> f = c.finish;
    partial.begin(f, unit, 0, c.panels());
    Scratch scratch(Scratch::bytes<int64_t>(width * list) + Scratch::bytes<T>(width * channels));
    int64_t* const meetings = scratch.take<int64_t>(width * list);
    T* const sums = scratch.take<T>(width * channels);
    for (int64_t d = 0; d < width; ++d) {
      int64_t* m = meetings + d * list;
      m[0] = 0;
      across.each(d, [&](int64_t tap, int64_t source) {
        m[1 + 2 * m[0]] = tap;
        m[2 + 2 * m[0]] = source;
        ++m[0];
      });
    }
    const int64_t n = unit / bands, first = unit % bands * kRows;
    for (int64_t h = first; h < least(height, first + kRows); ++h) {
      depthwise_row(c, down, meetings, taps_w, n, h, width, channels, repeat, sums);
      if (fold > 1)  // an input channel collects from its `fold` output channels
        for (int64_t i = 0; i < width * c.y.channels; ++i) {
          T s = sums[i * fold];
          for (int64_t j = 1; j < fold; ++j) s += sums[i * fold + j];
          sums[i] = s;
        }
      finish_sums(f, {sums, std::ptrdiff_t(c.y.channels), c.y.at(n, h, 0), c.y.pixel,
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

/// gw[o][tap] (+)= sum over pixels of reader(x) * gy: each part owns some vectors of channels.
template <class T>
inline void depthwise_backward_weight(const Images<const T>& x, Reader<T> reader, const Images<const T>& gy,
                                      const KernelAxis& rows, const KernelAxis& columns, const View& gw,
                                      bool accumulate) {
  using V = Vec<T>;
  constexpr int L = V::kLanes;
  const int64_t channels = gy.channels, taps = rows.kernel * columns.kernel;
  if (channels * taps == 0) return;
  const int64_t multiplier = channels / x.channels;
  const Meetings down{rows, false, x.height};
  const bool scaled = reader.scale != nullptr;
  parallel_parts(int(ceil_div(channels, L)), [&](int part, int) {
    const int64_t o = int64_t(part) * L;
    const int m = int(least(L, channels - o));
    Scratch scratch(Scratch::bytes<T>(taps * L));
    T* const total = scratch.take<T>(taps * L);
    zero(total, taps * L);
    const V scale = scaled ? load_repeated(reader.scale, o, m, multiplier) : V::zero();
    const V shift = scaled ? load_repeated(reader.shift, o, m, multiplier) : V::zero();
    for (int64_t n = 0; n < gy.count; ++n)
      for (int64_t h = 0; h < gy.height; ++h)
        down.each(h, [&](int64_t i, int64_t source) {
          for (int64_t j = 0; j < columns.kernel; ++j) {
            const int64_t start = j * columns.dilation - columns.pad;  // source column of destination 0
            const int64_t from = most(0, -floor_div(start, columns.stride));
            const int64_t to = least(gy.width, floor_div(x.width - 1 - start, columns.stride) + 1);
            const T* xs = x.at(n, source, 0);
            V acc = V::zero();
            for (int64_t d = from; d < to; ++d) {
              const V v = read(load_repeated(xs + (start + d * columns.stride) * x.pixel, o, m, multiplier), scale,
                               shift, scaled, reader.relu);
              const T* g = gy.at(n, h, d) + o;
              acc = fma(v, m == L ? V::load(g) : V::load(g, m), acc);
            }
            T* t = total + (i * columns.kernel + j) * L;
            (V::load(t) + acc).store(t);
          }
        });
    T* const out = static_cast<T*>(gw.data);
    for (int64_t i = 0; i < rows.kernel; ++i)
      for (int64_t j = 0; j < columns.kernel; ++j)
        for (int64_t l = 0; l < m; ++l) {
          T& to = out[(o + l) * gw.strides[0] + i * gw.strides[2] + j * gw.strides[3]];
          const T s = total[(i * columns.kernel + j) * L + l];
          to = accumulate ? to + s : s;
        }
  });
}

}  // namespace
}  // namespace ar::cpu::AR_ISA
