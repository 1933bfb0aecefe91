// Pooling: maximum, average and adaptive average, and their gradients. A register holds channels of one pixel.
#include "tensor/cpu/isa/channels_last.h"

namespace ar::cpu::AR_ISA {
namespace {

constexpr int64_t kGrain = 16384;   // elements read
constexpr int64_t kChannels = 256;  // channels of a work item

int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

struct Range {
  int64_t begin, end;
  int64_t length() const { return end - begin; }
};

/// A pixel of a view and some of its channels.
struct Item {
  int64_t n, h, w;
  Range channels;
};

/// f(item) for all pixels of v and blocks of channels; `cost` is about how many elements one result reads.
template <class F>
void each_pixel(const View& v, int64_t cost, F&& f) {
  const int64_t channels = v.shape[1], height = v.shape[2], width = v.shape[3];
  const int64_t blocks = (channels + kChannels - 1) / kChannels;
  const int64_t grain = kGrain / (larger(cost, 1) * smaller(larger(channels, 1), kChannels)) + 1;
  parallel_for(v.shape[0] * height * width * blocks, grain, [&](int64_t begin, int64_t end) {
    int64_t block = begin % blocks, p = begin / blocks, w = p % width, h = p / width % height, n = p / width / height;
    for (int64_t i = begin; i < end; ++i) {  // counted rather than divided: a pixel may be few channels
      const int64_t c = block * kChannels;
      f(Item{n, h, w, {c, smaller(c + kChannels, channels)}});
      if (++block < blocks) continue;
      block = 0;
      if (++w < width) continue;
      w = 0;
      if (++h < height) continue;
      h = 0, ++n;
    }
  });
}

template <class T>
T* pixel(const View& v, int64_t n, int64_t h, int64_t w) {
  return v.as<T>() + n * v.strides[0] + h * v.strides[2] + w * v.strides[3];
}
template <class T>
T* pixel(const View& v, const Item& i) {
  return pixel<T>(v, i.n, i.h, i.w) + i.channels.begin;
}

// ---- maximum ----

/// The taps of a window that lie inside: positions first, first + step, ..., count of them.
struct Taps {
  int64_t first, count;
};
Taps taps_of(int64_t out, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation, int64_t size) {
  const int64_t start = out * stride - pad;
  const int64_t skip = start < 0 ? (-start + dilation - 1) / dilation : 0;
  const int64_t fit = start < size ? (size - start + dilation - 1) / dilation : 0;
  return {start + skip * dilation, larger(smaller(kernel, fit) - skip, 0)};
}

/// Positions are counted from the window's first pixel and kept in f32 or f64: exact while a window spans less than
/// 2^24 pixels of its plane.
template <class T>
void max_pool2d(const PoolParams& p, const View& x, const View& y, const View& indices) {
  using W = Compute<T>;
  ChannelsLast<3> v({&x, &y, &indices}, {1, 6});
  const View &in = v.view[0], &out = v.view[1], &where = v.view[2];
  const int64_t width = x.shape[3];
  each_pixel(out, p.kernel_h * p.kernel_w, [&](const Item& o) {
    const Taps rows = taps_of(o.h, p.kernel_h, p.stride_h, p.pad_h, p.dilation_h, x.shape[2]);
    const Taps columns = taps_of(o.w, p.kernel_w, p.stride_w, p.pad_w, p.dilation_w, width);
    const T* const window = pixel<T>(in, o.n, rows.first, columns.first) + o.channels.begin;
    const int64_t down = p.dilation_h * in.strides[2], right = p.dilation_w * in.strides[3];
    T* const to = pixel<T>(out, o);
    int32_t* const index = where.data ? pixel<int32_t>(where, o) : nullptr;
    const int32_t first = int32_t(rows.first * width + columns.first);
    each_vector<W>(o.channels.length(), [&](int64_t j, auto io) {
      Vec<W> best = Vec<W>::set1(-W(__builtin_inf())), position = Vec<W>::zero();
      for (int64_t r = 0; r < rows.count; ++r)
        for (int64_t c = 0; c < columns.count; ++c) {
          const Vec<W> value = io.load(window + r * down + c * right + j);
          const Mask<W> take = (value > best) | (value != value);
          best = select(take, value, best);
          position = select(take, Vec<W>::set1(W(r * p.dilation_h * width + c * p.dilation_w)), position);
        }
      io.store(best, to + j);
      if (!index) return;
      W offsets[Vec<W>::kLanes];
      position.store(offsets);
      const int64_t n = smaller(Vec<W>::kLanes, o.channels.length() - j);
      for (int64_t i = 0; i < n; ++i) index[j + i] = first + int32_t(offsets[i]);
    });
  });
  v.finish();
}

/// Which windows cover pixel i.
Range windows_over(int64_t i, int64_t kernel, int64_t stride, int64_t pad, int64_t windows) {
  const int64_t first = i + pad - kernel + 1;
  return {first > 0 ? (first + stride - 1) / stride : 0, smaller((i + pad) / stride + 1, windows)};
}

/// A pixel collects the gradients of those windows over it that chose it.
template <class T>
void max_pool2d_backward(const PoolParams& p, const View& gy, const View& indices, const View& gx) {
  using W = Compute<T>;
  ChannelsLast<3> v({&gy, &indices, &gx}, {3, 4});
  const View &from = v.view[0], &where = v.view[1], &to = v.view[2];
  const int64_t span_h = (p.kernel_h - 1) * p.dilation_h + 1, span_w = (p.kernel_w - 1) * p.dilation_w + 1;
  each_pixel(to, 4, [&](const Item& i) {
    const Range rows = windows_over(i.h, span_h, p.stride_h, p.pad_h, gy.shape[2]);
    const Range columns = windows_over(i.w, span_w, p.stride_w, p.pad_w, gy.shape[3]);
    const int32_t self = int32_t(i.h * gx.shape[3] + i.w);
    const int64_t n = i.channels.length();
    alignas(64) W sums[kChannels];
    for (int64_t c = 0; c < n; ++c) sums[c] = 0;
    for (int64_t h = rows.begin; h < rows.end; ++h)
      for (int64_t w = columns.begin; w < columns.end; ++w) {
        const T* const g = pixel<T>(from, i.n, h, w) + i.channels.begin;
        const int32_t* const chosen = pixel<int32_t>(where, i.n, h, w) + i.channels.begin;
        for (int64_t c = 0; c < n; ++c) sums[c] += chosen[c] == self ? widen(g[c]) : W(0);
      }
    T* const out = pixel<T>(to, i);
    each_vector<W>(n, [&](int64_t c, auto io) { io.store(io.load(sums + c), out + c); });
  });
  v.finish();
}

// ---- averages ----

/// y (of n channels) = factor * sum over a window of pixels at x.
template <class T>
void mean_window(const T* x, int64_t rows, int64_t down, int64_t columns, int64_t right, Compute<T> factor, T* y,
                 int64_t n) {
  using V = Vec<Compute<T>>;
  const V f = V::set1(factor);
  each_vector<Compute<T>>(n, [=](int64_t j, auto io) {
    V sum = V::zero();
    for (int64_t r = 0; r < rows; ++r) {
      V row = V::zero();
      for (int64_t c = 0; c < columns; ++c) row += io.load(x + r * down + c * right + j);
      sum += row;
    }
    io.store(sum * f, y + j);
  });
}

/// One side of an average pooling window: the pixels it covers, and its length as the divisor counts it.
struct Side {
  Range inside;
  int64_t counted;
};
Side side_of(int64_t out, int64_t kernel, int64_t stride, int64_t pad, int64_t size, bool count_pad) {
  const int64_t start = out * stride - pad, end = smaller(start + kernel, size + pad);
  const Range inside{larger(start, 0), larger(smaller(end, size), larger(start, 0))};
  return {inside, count_pad ? end - start : inside.length()};
}
template <class T>
void avg_pool2d(const PoolParams& p, const View& x, const View& y) {
  ChannelsLast<2> v({&x, &y}, {1, 2});
  const View &in = v.view[0], &out = v.view[1];
  each_pixel(out, p.kernel_h * p.kernel_w, [&](const Item& o) {
    const Side h = side_of(o.h, p.kernel_h, p.stride_h, p.pad_h, x.shape[2], p.count_include_pad);
    const Side w = side_of(o.w, p.kernel_w, p.stride_w, p.pad_w, x.shape[3], p.count_include_pad);
    mean_window<T>(pixel<T>(in, o.n, h.inside.begin, w.inside.begin) + o.channels.begin, h.inside.length(),
                   in.strides[2], w.inside.length(), in.strides[3],
                   Compute<T>(1.0 / double(larger(h.counted * w.counted, 1))), pixel<T>(out, o), o.channels.length());
  });
  v.finish();
}

/// gx = sum of gy / divisor over the windows that cover it; `divisor` of a row and of a column multiply.
template <class T, class Windows, class Divisor>
void spread(const View& gy, const View& gx, int64_t cost, Windows&& windows, Divisor&& divisor) {
  using W = Compute<T>;
  ChannelsLast<2> v({&gy, &gx}, {1, 2});
  const View &from = v.view[0], &to = v.view[1];
  each_pixel(to, cost, [&](const Item& i) {
    const Range rows = windows(2, i.h), columns = windows(3, i.w);
    T* const g = pixel<T>(to, i);
    const int64_t n = i.channels.length();
    each_vector<W>(n, [=](int64_t j, auto io) { io.store(Vec<W>::zero(), g + j); });
    for (int64_t h = rows.begin; h < rows.end; ++h)
      for (int64_t w = columns.begin; w < columns.end; ++w) {
        const T* const one = pixel<T>(from, i.n, h, w) + i.channels.begin;
        const Vec<W> factor = Vec<W>::set1(W(1.0 / double(divisor(2, h) * divisor(3, w))));
        each_vector<W>(n, [=](int64_t j, auto io) { io.store(fma(io.load(one + j), factor, io.load(g + j)), g + j); });
      }
  });
  v.finish();
}

template <class T>
void avg_pool2d_backward(const PoolParams& p, const View& gy, const View& gx) {
  auto windows = [&](int dim, int64_t i) {
    return dim == 2 ? windows_over(i, p.kernel_h, p.stride_h, p.pad_h, gy.shape[2])
                    : windows_over(i, p.kernel_w, p.stride_w, p.pad_w, gy.shape[3]);
  };
  auto divisor = [&](int dim, int64_t o) {
    return dim == 2 ? side_of(o, p.kernel_h, p.stride_h, p.pad_h, gx.shape[2], p.count_include_pad).counted
                    : side_of(o, p.kernel_w, p.stride_w, p.pad_w, gx.shape[3], p.count_include_pad).counted;
  };
  spread<T>(gy, gx, 4, windows, divisor);
}

// ---- adaptive averages ----

/// Pixels that output o of `outputs` is the mean of.
Range adaptive_window(int64_t o, int64_t outputs, int64_t size) {
  return {o * size / outputs, ((o + 1) * size + outputs - 1) / outputs};
}
/// Outputs whose window holds pixel i: begin(o) <= i < end(o), where both grow with o.
Range adaptive_windows_over(int64_t i, int64_t outputs, int64_t size) {
  const int64_t first = i * outputs / size;  // the last output that may begin at or before i is near here
  Range r{first, first + 1};
  while (r.begin > 0 && adaptive_window(r.begin - 1, outputs, size).end > i) --r.begin;
  while (r.end < outputs && adaptive_window(r.end, outputs, size).begin <= i) ++r.end;
  return r;
}

template <class T>
void adaptive_avg_pool2d(const View& x, const View& y) {
  ChannelsLast<2> v({&x, &y}, {1, 2});
  const View &in = v.view[0], &out = v.view[1];
  const int64_t cost = x.numel() / larger(y.numel(), 1);
  each_pixel(out, cost, [&](const Item& o) {
    const Range h = adaptive_window(o.h, y.shape[2], x.shape[2]), w = adaptive_window(o.w, y.shape[3], x.shape[3]);
    mean_window<T>(pixel<T>(in, o.n, h.begin, w.begin) + o.channels.begin, h.length(), in.strides[2], w.length(),
                   in.strides[3], Compute<T>(1.0 / double(larger(h.length() * w.length(), 1))), pixel<T>(out, o),
                   o.channels.length());
  });
  v.finish();
}

template <class T>
void adaptive_avg_pool2d_backward(const View& gy, const View& gx) {
  auto windows = [&](int dim, int64_t i) { return adaptive_windows_over(i, gy.shape[dim], gx.shape[dim]); };
  auto divisor = [&](int dim, int64_t o) { return adaptive_window(o, gy.shape[dim], gx.shape[dim]).length(); };
  spread<T>(gy, gx, 2, windows, divisor);
}

}  // namespace

void add_pool(Kernels& k) {
#if defined(__AVX512BF16__)
  k.max_pool2d.bf16 = &max_pool2d<bf16>;
  k.max_pool2d_backward.bf16 = &max_pool2d_backward<bf16>;
  k.avg_pool2d.bf16 = &avg_pool2d<bf16>;
  k.avg_pool2d_backward.bf16 = &avg_pool2d_backward<bf16>;
  k.adaptive_avg_pool2d.bf16 = &adaptive_avg_pool2d<bf16>;
  k.adaptive_avg_pool2d_backward.bf16 = &adaptive_avg_pool2d_backward<bf16>;
#else
  k.max_pool2d = {.f32 = &max_pool2d<float>, .f64 = &max_pool2d<double>};
  k.max_pool2d_backward = {.f32 = &max_pool2d_backward<float>, .f64 = &max_pool2d_backward<double>};
  k.avg_pool2d = {.f32 = &avg_pool2d<float>, .f64 = &avg_pool2d<double>};
  k.avg_pool2d_backward = {.f32 = &avg_pool2d_backward<float>, .f64 = &avg_pool2d_backward<double>};
  k.adaptive_avg_pool2d = {.f32 = &adaptive_avg_pool2d<float>, .f64 = &adaptive_avg_pool2d<double>};
  k.adaptive_avg_pool2d_backward = {.f32 = &adaptive_avg_pool2d_backward<float>,
                                    .f64 = &adaptive_avg_pool2d_backward<double>};
#endif
}

}  // namespace ar::cpu::AR_ISA
