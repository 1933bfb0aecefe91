// Passes over channels: sums for batch statistics, scale and shift with an activation, and the gradients of both.
#include "tensor/cpu/isa/channel_sums.h"
#include "tensor/cpu/isa/channels_last.h"

namespace ar::cpu::AR_ISA {
namespace {

constexpr int64_t kGrain = 16384;                 // elements
constexpr unsigned kAllButChannels = ~(1u << 1);  // dimensions of a walk over pixels

int64_t pixel_grain(int64_t channels) { return kGrain / (channels > 0 ? channels : 1) + 1; }

template <class T>
T* at(char* pixel, int64_t i, int64_t stride, int64_t channel = 0) {
  return reinterpret_cast<T*>(pixel + i * stride) + channel;
}

// ---- sums ----

/// One to four pixels at once, so that the sums are loaded and stored less often.
template <class T, int P>
void add_pixels(char* pixel, int64_t stride, int64_t channel, int64_t n, T* sum, T* sum_sq) {
  const T* x[P];
  for (int i = 0; i < P; ++i) x[i] = at<T>(pixel, i, stride, channel);
  each_vector<T>(n, [=](int64_t j, auto io) {
    Vec<T> s = Vec<T>::zero(), q = s;
    for (int i = 0; i < P; ++i) {
      const Vec<T> v = io.load(x[i] + j);
      s += v;
      q = fma(v, v, q);
    }
    io.store(io.load(sum + j) + s, sum + j);
    io.store(io.load(sum_sq + j) + q, sum_sq + j);
  });
}

template <class T>
void channel_sums(const View& x, double* sum, double* sum_sq) {
  const int64_t channels = x.shape[1];
  const View* const views[] = {&x};
  const ChannelSums<T> sums(make_strided(views, Order::memory, kAllButChannels).numel, channels, pixel_grain(channels));
  ChannelsLast<1> v(views, {1, 0}, sums.bytes());
  const Strided<1> s = make_strided<1>({&v.view[0]}, Order::memory, kAllButChannels);
  const int64_t stride = s.row_stride(0);
  sums.run(v.extra, sum, sum_sq, [&](int64_t begin, int64_t end, int64_t channel, int64_t n, T* a, T* b) {
    walk(s, begin, end, [&](char* const(&p)[1], int64_t pixels, int64_t) {
      int64_t i = 0;
      for (; i + 4 <= pixels; i += 4) add_pixels<T, 4>(p[0] + i * stride, stride, channel, n, a, b);
      for (; i < pixels; ++i) add_pixels<T, 1>(p[0] + i * stride, stride, channel, n, a, b);
    });
  });
}

// ---- scale and shift ----

template <Activation act, class T>
Vec<T> activate(Vec<T> x) {
  const Vec<T> zero = Vec<T>::zero();
  if constexpr (act == Activation::relu) return max(zero, x);
  if constexpr (act == Activation::relu6) return min(Vec<T>::set1(6), max(zero, x));
  if constexpr (act == Activation::leaky_relu) return select(x > zero, x, x * Vec<T>::set1(T(0.01)));
  return x;
}

template <Activation act, class T>
void affine(const View& x, const T* scale, const T* shift, const View& y) {
  const int64_t channels = x.shape[1];
  ChannelsLast<2> v({&x, &y}, {1, 2});
  const Strided<2> s = make_strided<2>({&v.view[0], &v.view[1]}, Order::memory, kAllButChannels);
  parallel_walk(s, pixel_grain(channels), [&](char* const(&p)[2], int64_t pixels, int64_t) {
    for (int64_t i = 0; i < pixels; ++i) {
      const T* const from = at<T>(p[0], i, s.row_stride(0));
      T* const to = at<T>(p[1], i, s.row_stride(1));
      each_vector<T>(channels, [=](int64_t j, auto io) {
        io.store(activate<act>(fma(io.load(from + j), io.load(scale + j), io.load(shift + j))), to + j);
      });
    }
  });
  v.finish();
}

template <class T>
void channel_affine(const View& x, const void* scale, const void* shift, Activation activation, const View& y) {
  using F = void (*)(const View&, const T*, const T*, const View&);
  static constexpr F by_activation[] = {&affine<Activation::none, T>, &affine<Activation::relu, T>,
                                        &affine<Activation::relu6, T>, &affine<Activation::leaky_relu, T>};
  by_activation[int(activation)](x, static_cast<const T*>(scale), static_cast<const T*>(shift), y);
}

template <class T>
void channel_affine_add(const View& x, const void* a, const void* b, const View& y) {
  const int64_t channels = x.shape[1];
  const T *const va = static_cast<const T*>(a), *const vb = static_cast<const T*>(b);
  ChannelsLast<2> v({&x, &y}, {3, 2});
  const Strided<2> s = make_strided<2>({&v.view[0], &v.view[1]}, Order::memory, kAllButChannels);
  parallel_walk(s, pixel_grain(channels), [&](char* const(&p)[2], int64_t pixels, int64_t) {
    for (int64_t i = 0; i < pixels; ++i) {
      const T* const from = at<T>(p[0], i, s.row_stride(0));
      T* const to = at<T>(p[1], i, s.row_stride(1));
      each_vector<T>(channels, [=](int64_t j, auto io) {
        io.store(io.load(to + j) + fma(io.load(from + j), io.load(vb + j), io.load(va + j)), to + j);
      });
    }
  });
  v.finish();
}

// ---- the gate of norm + ReLU ----

template <class T>
struct Gate {
  const T *scale, *shift;  // at the first channel of the block
  T *sum_d, *sum_dx;
};

/// P pixels: their gradients, x and results at the block's first channel.
template <class T, bool relu, bool accumulate, int P>
void gate_pixels(const Gate<T>& gate, int64_t n, const T* const* g, const T* const* x, T* const* gx) {
  each_vector<T>(n, [&](int64_t j, auto io) {
    const Vec<T> zero = Vec<T>::zero(), scale = io.load(gate.scale + j), shift = io.load(gate.shift + j);
    Vec<T> sum_d = io.load(gate.sum_d + j), sum_dx = io.load(gate.sum_dx + j);
    for (int i = 0; i < P; ++i) {
      const Vec<T> v = io.load(x[i] + j);
      Vec<T> d = io.load(g[i] + j);
      if constexpr (relu) d = select(fma(v, scale, shift) > zero, d, zero);
      io.store(accumulate ? fma(d, scale, io.load(gx[i] + j)) : d * scale, gx[i] + j);
      sum_d += d;
      sum_dx = fma(d, v, sum_dx);
    }
    io.store(sum_d, gate.sum_d + j);
    io.store(sum_dx, gate.sum_dx + j);
  });
}

template <class T, bool relu, bool accumulate>
void gated(const View& g, const View& gx, const ConvGate& gate) {
  constexpr int P = 2;
  const int64_t channels = gx.shape[1];
  const View* const views[] = {&g, &gate.x, &gx};
  const ChannelSums<T> sums(make_strided(views, Order::memory, kAllButChannels).numel, channels, pixel_grain(channels));
  ChannelsLast<3> v(views, {accumulate ? 7u : 3u, 4}, sums.bytes());
  const Strided<3> s = make_strided<3>({&v.view[0], &v.view[1], &v.view[2]}, Order::memory, kAllButChannels);
  sums.run(v.extra, gate.sum_d, gate.sum_dx, [&](int64_t begin, int64_t end, int64_t c, int64_t n, T* a, T* b) {
    const Gate<T> block{static_cast<const T*>(gate.scale) + c, static_cast<const T*>(gate.shift) + c, a, b};
    walk(s, begin, end, [&](char* const(&p)[3], int64_t pixels, int64_t) {
      const T *from[P], *x[P];
      T* to[P];
      auto point = [&](int64_t i, int m) {
        for (int k = 0; k < m; ++k) {
          from[k] = at<T>(p[0], i + k, s.row_stride(0), c);
          x[k] = at<T>(p[1], i + k, s.row_stride(1), c);
          to[k] = at<T>(p[2], i + k, s.row_stride(2), c);
        }
      };
      int64_t i = 0;
      for (; i + P <= pixels; i += P) point(i, P), gate_pixels<T, relu, accumulate, P>(block, n, from, x, to);
      for (; i < pixels; ++i) point(i, 1), gate_pixels<T, relu, accumulate, 1>(block, n, from, x, to);
    });
  });
  v.finish();
}

template <class T>
void channel_gate(const View& g, const View& gx, bool accumulate, const ConvGate& gate) {
  using F = void (*)(const View&, const View&, const ConvGate&);
  static constexpr F table[2][2] = {{&gated<T, false, false>, &gated<T, false, true>},
                                    {&gated<T, true, false>, &gated<T, true, true>}};
  table[gate.relu][accumulate](g, gx, gate);
}

// ---- norm, ReLU and 2x2 average pooling together ----

/// Which 2x2 window: image, row and column of the pooled plane.
struct Window {
  int64_t n, h, w;
};
Window window_at(int64_t i, const View& pooled) {
  const int64_t w = i % pooled.shape[3], rest = i / pooled.shape[3];
  return {rest / pooled.shape[2], rest % pooled.shape[2], w};
}
template <class T>
T* pixel(const View& v, int64_t n, int64_t h, int64_t w) {
  return v.as<T>() + n * v.strides[0] + h * v.strides[2] + w * v.strides[3];
}

template <class T>
void norm_relu_pool2(const View& x, const void* scale, const void* shift, const View& y) {
  const T *const a = static_cast<const T*>(scale), *const b = static_cast<const T*>(shift);
  const int64_t channels = y.shape[1], windows = y.shape[0] * y.shape[2] * y.shape[3];
  ChannelsLast<2> v({&x, &y}, {1, 2});
  parallel_for(windows, pixel_grain(4 * channels), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Window o = window_at(i, v.view[1]);
      const T* const p = pixel<T>(v.view[0], o.n, 2 * o.h, 2 * o.w);
      T* const to = pixel<T>(v.view[1], o.n, o.h, o.w);
      const int64_t down = v.view[0].strides[2], right = v.view[0].strides[3];
      each_vector<T>(channels, [=](int64_t j, auto io) {
        const Vec<T> va = io.load(a + j), vb = io.load(b + j), zero = Vec<T>::zero();
        auto norm = [&](const T* q) { return max(zero, fma(io.load(q + j), va, vb)); };
        const Vec<T> sum = (norm(p) + norm(p + right)) + (norm(p + down) + norm(p + down + right));
        io.store(sum * Vec<T>::set1(T(0.25)), to + j);
      });
    }
  });
  v.finish();
}

/// Pixels that no window covers, where a side is odd.
template <class T>
void zero_uncovered(const View& gx) {
  for (int d : {2, 3}) {
    if (gx.shape[d] % 2 == 0) continue;
    View edge = gx;
    edge.data = gx.as<T>() + (gx.shape[d] - 1) * gx.strides[d];
    edge.shape[d] = 1;
    const Strided<1> s = make_strided<1>({&edge});
    walk(s, 0, s.numel, [&](char* const(&p)[1], int64_t n, int64_t) {
      for (int64_t i = 0; i < n; ++i) *at<T>(p[0], i, s.row_stride(0)) = T(0);
    });
  }
}

template <class T, bool relu, bool accumulate>
void gated_pool2(const View& gy, const View& gx, const ConvGate& gate) {
  const int64_t channels = gx.shape[1];
  const ChannelSums<T> sums(gy.shape[0] * gy.shape[2] * gy.shape[3], channels, pixel_grain(4 * channels));
  ChannelsLast<3> v({&gy, &gate.x, &gx}, {accumulate ? 7u : 3u, 4}, sums.bytes());
  if (!accumulate) zero_uncovered<T>(v.view[2]);
  sums.run(v.extra, gate.sum_d, gate.sum_dx, [&](int64_t begin, int64_t end, int64_t c, int64_t n, T* a, T* b) {
    const Gate<T> block{static_cast<const T*>(gate.scale) + c, static_cast<const T*>(gate.shift) + c, a, b};
    alignas(64) T quarter[1024];
    for (int64_t i = begin; i < end; ++i) {
      const Window o = window_at(i, v.view[0]);
      const T* const from = pixel<T>(v.view[0], o.n, o.h, o.w) + c;
      each_vector<T>(n, [&](int64_t j, auto io) { io.store(io.load(from + j) * Vec<T>::set1(T(0.25)), quarter + j); });
      const T* const g[4] = {quarter, quarter, quarter, quarter};
      const T* x[4];
      T* to[4];
      for (int k = 0; k < 4; ++k) {
        x[k] = pixel<T>(v.view[1], o.n, 2 * o.h + k / 2, 2 * o.w + k % 2) + c;
        to[k] = pixel<T>(v.view[2], o.n, 2 * o.h + k / 2, 2 * o.w + k % 2) + c;
      }
      gate_pixels<T, relu, accumulate, 4>(block, n, g, x, to);
    }
  });
  v.finish();
}

template <class T>
void norm_relu_pool2_backward(const View& gy, const View& gx, bool accumulate, const ConvGate& gate) {
  using F = void (*)(const View&, const View&, const ConvGate&);
  static constexpr F table[2][2] = {{&gated_pool2<T, false, false>, &gated_pool2<T, false, true>},
                                    {&gated_pool2<T, true, false>, &gated_pool2<T, true, true>}};
  table[gate.relu][accumulate](gy, gx, gate);
}

}  // namespace

void add_channels(Kernels& k) {
  k.channel_sums = {.f32 = &channel_sums<float>, .f64 = &channel_sums<double>};
  k.channel_affine = {.f32 = &channel_affine<float>, .f64 = &channel_affine<double>};
  k.channel_gate = {.f32 = &channel_gate<float>, .f64 = &channel_gate<double>};
  k.channel_affine_add = {.f32 = &channel_affine_add<float>, .f64 = &channel_affine_add<double>};
  k.norm_relu_pool2 = {.f32 = &norm_relu_pool2<float>, .f64 = &norm_relu_pool2<double>};
  k.norm_relu_pool2_backward = {.f32 = &norm_relu_pool2_backward<float>, .f64 = &norm_relu_pool2_backward<double>};
}

}  // namespace ar::cpu::AR_ISA
