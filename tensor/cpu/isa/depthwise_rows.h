// Depthwise convolution where each channel of x has one of y: rows of outputs, a few neighbours at a time in registers,
// which run over channels. Inputs are found by a table of pointers, so that they are read where they lie; what lies
// outside is a pixel of zeros.
#pragma once
#include "tensor/cpu/isa/correlate.h"
#include "tensor/cpu/isa/finish.h"

namespace ar::cpu::AR_ISA {
namespace {

/// Input pixels that a group of neighbouring outputs meets, [tap row][column]: output d's tap (i, j) lies at
/// at[i * columns + d * right + j * tap_right].
template <class T>
struct Visited {
  const T** at = nullptr;
  int64_t rows = 0, columns = 0, taps_w = 0, right = 0, tap_right = 0;
  const Compute<T>* weights = nullptr;  // of the first row's first tap; taps are `padded` apart
  int64_t padded = 0;
};

/// Where neighbouring outputs go, and what lies beside them (or null); of their channels those in [first, end).
template <class T>
struct Outputs {
  T* to;
  std::ptrdiff_t step;
  const T* beside;
  std::ptrdiff_t beside_step;
  int64_t first, end;
};

/// Finishes the sums of P neighbouring outputs, for a register's width of channels from o on.
template <int P, class T, class IO>
[[gnu::always_inline]] inline void finish_pixels(const Finish<Compute<T>>& f, const Outputs<T>& y, int64_t o, IO io,
                                                 const Vec<Compute<T>> (&sum)[P]) {
  auto value = [&](int64_t d) __attribute__((always_inline)) { return sum[d]; };
  by_activation(
      f.gate ? f.gate_activation : f.activation, [&]<Activation act>() __attribute__((always_inline)) {
        if (f.gate)
          gate_channels<act>(f, o, io, P, y.to + o, y.step, y.beside + o, y.beside_step, value);
        else
          finish_channels<act>(f, o, io, P, y.to + o, y.step, value,
                               [&](int64_t d) { return io.load(y.beside + d * y.beside_step + o); });
      });
}

/// P neighbouring outputs, channels from o on as far as io reaches. Where the number K of taps in a row and the
/// distance S of outputs are known (K > 0), an input is loaded once for all outputs that it reaches.
template <int P, int K, int S, class T, class IO>
[[gnu::always_inline]] inline void depthwise_register(const Visited<T>& v, const Finish<Compute<T>>& f,
                                                      const Outputs<T>& y, int64_t o, IO io) {
  using V = Vec<Compute<T>>;
  V sum[P];
#pragma GCC unroll 8
  for (int d = 0; d < P; ++d) sum[d] = V::zero();
  const T* const* at = v.at;
  const Compute<T>* weights = v.weights + o;
  for (int64_t row = 0; row < v.rows; ++row, at += v.columns, weights += v.taps_w * v.padded) {
    if constexpr (K > 0) {
      V w[K];
#pragma GCC unroll 8
      for (int j = 0; j < K; ++j) w[j] = V::load(weights + j * v.padded);
#pragma GCC unroll 32
      for (int m = 0; m < (P - 1) * S + K; ++m) {
        const V x = io.load(at[m] + o);
#pragma GCC unroll 8
        for (int d = 0; d < P; ++d)
          if (const int j = m - d * S; j >= 0 && j < K) sum[d] = fma(x, w[j], sum[d]);
      }
    } else {
      for (int64_t j = 0; j < v.taps_w; ++j) {
        const V w = V::load(weights + j * v.padded);
#pragma GCC unroll 8
        for (int d = 0; d < P; ++d) sum[d] = fma(io.load(at[d * v.right + j * v.tap_right] + o), w, sum[d]);
      }
    }
  }
  finish_pixels<P, T>(f, y, o, io, sum);
}

/// All channels, the last ones in a part of a register.
template <int P, int K, int S, class T>
[[gnu::noinline]] void depthwise_pixels(const Visited<T>& v, const Finish<Compute<T>>& f, const Outputs<T>& y) {
  constexpr int64_t kStep = Vec<Compute<T>>::kLanes;
  int64_t o = y.first;
  for (; o + kStep <= y.end; o += kStep) depthwise_register<P, K, S>(v, f, y, o, Whole<Compute<T>>{});
  if (o < y.end) depthwise_register<P, K, S>(v, f, y, o, Part<Compute<T>>{int(y.end - o)});
}

constexpr int64_t kDepthwisePixels = 7;  // at most; 7, 14, 28, 56 and 112 are multiples of it

template <int K, int S, class T>
inline void depthwise_group(int64_t pixels, const Visited<T>& v, const Finish<Compute<T>>& f, const Outputs<T>& y) {
  using Run = void (*)(const Visited<T>&, const Finish<Compute<T>>&, const Outputs<T>&);
  constexpr Run run[kDepthwisePixels] = {depthwise_pixels<1, K, S, T>, depthwise_pixels<2, K, S, T>,
                                         depthwise_pixels<3, K, S, T>, depthwise_pixels<4, K, S, T>,
                                         depthwise_pixels<5, K, S, T>, depthwise_pixels<6, K, S, T>,
                                         depthwise_pixels<7, K, S, T>};
  run[pixels - 1](v, f, y);
}

/// The inputs that outputs visit, numbered as Axis says: row r, column m lies at data[offset + r * row + m * column];
/// outside the two ranges lies zero.
template <class T>
struct DepthwiseInput {
  struct Range {
    int64_t from, to;
    bool has(int64_t i) const { return from <= i && i < to; }
  };
  const T* data;
  std::ptrdiff_t offset, row, column;
  Range rows, columns;

  /// Where they lie.
  DepthwiseInput(const Images<const T>& x, int64_t image, const Axis& h, const Axis& w)
      : data(x.at(image, 0, 0)),
        offset(h.first * x.row + w.first * x.pixel),
        row(h.sample() * x.row),
        column(w.sample() * x.pixel),
        rows{h.exists_from(), h.exists_to()},
        columns{w.exists_from(), w.exists_to()} {}
  /// Copied by read_band from output row `first` on, zeros too.
  DepthwiseInput(const Bands<T>& b, const T* copy, int64_t first)
      : data(copy),
        offset(-first * b.down()),
        row(b.row()),
        column(b.ld),
        rows{0, b.h.span(b.h.out)},
        columns{0, b.w.span(b.w.out)} {}
};

/// Whether images are better read where they lie than copied. What comes from memory is copied: that reads it from end
/// to end, as it is fetched ahead, the kernel nine pixels in turn.
template <class T>
inline bool read_in_place(const Images<const T>& x) {
  constexpr int64_t kCached = 8 << 20;  // bytes that some cache may still hold
  return x.count * x.height * x.width * x.channels * int64_t(sizeof(T)) <= kCached;
}

/// Channels [channel0, channel1) of rows [first, end) of an image's outputs, one channel of x for each of y.
template <class T>
struct DepthwiseRows {
  const Correlation<T>& c;
  const Axis &h = c.h, &w = c.w;

  int64_t table() const { return h.count * w.span(least(kDepthwisePixels, w.out)); }
  int64_t bytes() const { return Scratch::bytes<const T*>(table()) + Scratch::bytes<T>(c.x.channels); }

  void run(const DepthwiseInput<T>& in, int64_t image, int64_t first, int64_t end, const Finish<Compute<T>>& f,
           int64_t channel0, int64_t channel1, Scratch& scratch) const {
    const T** const table = scratch.take<const T*>(this->table());
    T* const zeros = scratch.take<T>(c.x.channels);
    zero(zeros, c.x.channels);
    Visited<T> v;
    v.at = table;
    v.taps_w = w.count, v.right = w.stride / w.sample(), v.tap_right = w.step / w.sample();
    v.padded = round_up(c.y.channels, kLanes<T>);
    auto* group = depthwise_group<0, 0, T>;
    if constexpr (sizeof(T) < 8)  // f64 checks others, it need not be fast
      if (v.taps_w == 3 && v.tap_right == 1 && v.right <= 2)
        group = v.right == 1 ? depthwise_group<3, 1, T> : depthwise_group<3, 2, T>;
    const int64_t groups = ceil_div(w.out, kDepthwisePixels);
    for (int64_t i = first; i < end; ++i)
      for (int64_t g = 0; g < groups; ++g) {
        const int64_t j = w.out * g / groups, pixels = w.out * (g + 1) / groups - j;
        v.columns = w.span(pixels);
        fill(v, in, i, j, zeros);
        const T* const beside = c.beside.data ? c.beside.at(image, i, j) : nullptr;
        group(pixels, v, f, {c.y.at(image, i, j), c.y.pixel, beside, c.beside.pixel, channel0, channel1});
      }
  }

 private:
  /// What outputs (i, j), (i, j + 1) ... meet.
  void fill(Visited<T>& v, const DepthwiseInput<T>& in, int64_t i, int64_t j, const T* zeros) const {
    v.rows = 0;
    v.weights = reinterpret_cast<const Compute<T>*>(c.packed);
    const T** to = v.at;
    const int64_t m0 = j * v.right, m1 = m0 + v.columns;
    const bool inside = in.columns.from <= m0 && m1 <= in.columns.to;
    for (int64_t tap = 0; tap < h.count; ++tap) {
      const int64_t r = (i * h.stride + tap * h.step) / h.sample();
      if (!in.rows.has(r)) continue;
      if (v.rows++ == 0) v.weights = reinterpret_cast<const Compute<T>*>(c.packed) + tap * v.taps_w * v.padded;
      const std::ptrdiff_t at = in.offset + r * in.row;
      if (inside)
        for (int64_t m = m0; m < m1; ++m) *to++ = in.data + (at + m * in.column);
      else
        for (int64_t m = m0; m < m1; ++m) *to++ = in.columns.has(m) ? in.data + (at + m * in.column) : zeros;
    }
  }
};

}  // namespace
}  // namespace ar::cpu::AR_ISA
