// Passes over channels: sums for batch statistics, scale and shift with an activation, and the gradients of both.
#include "tensor/cpu/isa/activation.h"
#include "tensor/cpu/isa/channel_sums.h"
#include "tensor/cpu/isa/channels_last.h"

namespace ar::cpu::AR_ISA {
namespace {

constexpr int64_t kGrain = 16384;                 // elements
constexpr unsigned kAllButChannels = ~(1u << 1);  // dimensions of a walk over pixels

int64_t pixel_grain(int64_t channels) { return kGrain / (channels > 0 ? channels : 1) + 1; }

/// The same P pixels of K operands, from some channel on.
template <class T, int K, int P>
struct Group {
  T* at[K][P];
  int64_t ahead[K];  // bytes from here to what is fetched into cache already; groups of one leave that to the hardware

  /// For channel j, of an operand that is only read or that is written.
  void fetch(int k, int p, int64_t j, bool written) const {
    if constexpr (P == 1) return;
    const char* const line = reinterpret_cast<const char*>(at[k][p] + j) + ahead[k];
    written ? __builtin_prefetch(line, 1) : __builtin_prefetch(line, 0);
  }
};

/// Calls f(group) for all pixels of a stretch. Pixels that lie side by side come one at a time. Where there are gaps
/// (channel ranges of a wider tensor) the hardware would fetch these too: four at a time, fetched by the software, are
/// 1.5 times faster.
template <class T, int K, class F>
void each_group(const Strided<K>& s, char* const (&pixels)[K], int64_t n, int64_t channels, int64_t channel, F&& f) {
  bool gaps = false;
  for (int k = 0; k < K; ++k) gaps |= s.row_stride(k) != channels * int64_t(sizeof(T));
  auto groups_of = [&]<int P>(int64_t i, int64_t end) {
    Group<T, K, P> group;
    for (int k = 0; k < K; ++k) group.ahead[k] = 2 * P * s.row_stride(k);
    for (; i + P <= end; i += P) {
      for (int k = 0; k < K; ++k)
        for (int m = 0; m < P; ++m)
          group.at[k][m] = reinterpret_cast<T*>(pixels[k] + (i + m) * s.row_stride(k)) + channel;
      f(group);
    }
  };
  const int64_t fours = gaps ? n / 4 * 4 : 0;
  groups_of.template operator()<4>(0, fours);
  groups_of.template operator()<1>(fours, n);
}

// ---- sums ----

template <class T>
void channel_sums(const View& x, double* sum, double* sum_sq) {
  using W = Compute<T>;
  const int64_t channels = x.shape[1];
  const View* const views[] = {&x};
  const ChannelSums<W> sums(make_strided(views, Order::memory, kAllButChannels).numel, channels, pixel_grain(channels));
  ChannelsLast<1> v(views, {1, 0}, sums.bytes());
  const Strided<1> s = make_strided<1>({&v.view[0]}, Order::memory, kAllButChannels);
  sums.run(v.extra, sum, sum_sq, [&](int64_t begin, int64_t end, int64_t channel, int64_t n, W* a, W* b) {
    walk(s, begin, end, [&](char* const(&p)[1], int64_t pixels, int64_t) {
      each_group<T>(s, p, pixels, channels, channel, [&]<int P>(const Group<T, 1, P>& group) {
        each_vector<W>(n, [&](int64_t j, auto io) {
          Vec<W> total = io.load(a + j), square = io.load(b + j);
          for (int i = 0; i < P; ++i) {
            group.fetch(0, i, j, false);
            const Vec<W> v = io.load(group.at[0][i] + j);
            total += v;
            square = fma(v, v, square);
          }
          io.store(total, a + j);
          io.store(square, b + j);
        });
      });
    });
  });
}

// ---- scale and shift ----

/// y = f(scale, shift, x, other) for all elements, of operands x, y (the other is what y holds) or x, other, y.
template <class T, int K, class F>
void map_channels(const View* const (&operands)[K], unsigned read, const void* scale, const void* shift, F&& f) {
  using W = Compute<T>;
  const W *const a = static_cast<const W*>(scale), *const b = static_cast<const W*>(shift);
  const int64_t channels = operands[0]->shape[1];
  ChannelsLast<K> v(operands, {read, 1u << (K - 1)});
  const View* views[K];
  for (int k = 0; k < K; ++k) views[k] = &v.view[k];
  const Strided<K> s = make_strided(views, Order::memory, kAllButChannels);
  parallel_walk(s, pixel_grain(channels), [&](char* const(&p)[K], int64_t pixels, int64_t) {
    each_group<T>(s, p, pixels, channels, 0, [&]<int P>(const Group<T, K, P>& group) {
      each_vector<W>(channels, [&](int64_t j, auto io) {
        const Vec<W> va = io.load(a + j), vb = io.load(b + j);
        for (int i = 0; i < P; ++i) {
          for (int k = 0; k < K; ++k) group.fetch(k, i, j, k == K - 1);
          const Vec<W> other = read & 2 ? io.load(group.at[1][i] + j) : va;
          io.store(f(va, vb, io.load(group.at[0][i] + j), other), group.at[K - 1][i] + j);
        }
      });
    });
  });
  v.finish();
}

template <Activation act, class T>
void affine(const View& x, const void* scale, const void* shift, const View& residual, double slope, const View& y) {
  using V = Vec<Compute<T>>;
  const V vs = V::set1(Compute<T>(slope));
  if (residual.data)
    map_channels<T>({&x, &residual, &y}, 3, scale, shift,
                    [vs](V a, V b, V v, V other) { return activate<act>(fma(v, a, b) + other, vs); });
  else
    map_channels<T>({&x, &y}, 1, scale, shift, [vs](V a, V b, V v, V) { return activate<act>(fma(v, a, b), vs); });
}

template <class T>
void channel_affine(const View& x, const void* scale, const void* shift, const View& residual, Activation activation,
                    double slope, const View& y) {
  by_activation(activation, [&]<Activation act>() { affine<act, T>(x, scale, shift, residual, slope, y); });
}

template <class T>
void channel_affine_add(const View& x, const void* a, const void* b, const View& y) {
  using V = Vec<Compute<T>>;
  map_channels<T>({&x, &y}, 3, a, b, [](V va, V vb, V v, V old) { return old + fma(v, vb, va); });
}

// ---- the gate of norm + activation ----

template <class T>
struct Gate {
  const T *scale, *shift, *center;  // at the first channel of the block; center null: 0
  T slope;
  T *sum_d, *sum_dx;
};
template <class T>
Gate<T> gate_from(const ConvGate& gate, int64_t channel, T* sum_d, T* sum_dx) {
  auto at = [&](const void* v) { return v ? static_cast<const T*>(v) + channel : nullptr; };
  return {at(gate.scale), at(gate.shift), at(gate.center), T(gate.slope), sum_d, sum_dx};
}

/// Pixels of the gradient, of x and of the result.
template <Activation act, bool accumulate, class W, class T, int P>
void gate_pixels(const Gate<W>& gate, int64_t n, const Group<T, 3, P>& group) {
  each_vector<W>(n, [&](int64_t j, auto io) {
    const Vec<W> scale = io.load(gate.scale + j), shift = io.load(gate.shift + j), slope = Vec<W>::set1(gate.slope);
    const Vec<W> center = gate.center ? io.load(gate.center + j) : Vec<W>::zero();
    Vec<W> sum_d = io.load(gate.sum_d + j), sum_dx = io.load(gate.sum_dx + j);
    for (int i = 0; i < P; ++i) {
      for (int k = 0; k < 3; ++k) group.fetch(k, i, j, k == 2);
      const Vec<W> v = io.load(group.at[1][i] + j);
      const Vec<W> d = activation_gradient<act>(fma(v, scale, shift), io.load(group.at[0][i] + j), slope);
      T* const to = group.at[2][i] + j;
      io.store(accumulate ? fma(d, scale, io.load(to)) : d * scale, to);
      sum_d += d;
      sum_dx = fma(d, v - center, sum_dx);
    }
    io.store(sum_d, gate.sum_d + j);
    io.store(sum_dx, gate.sum_dx + j);
  });
}

template <class T, Activation act, bool accumulate>
void gated(const View& g, const View& gx, const ConvGate& gate) {
  const int64_t channels = gx.shape[1];
  const View* const views[] = {&g, &gate.x, &gx};
  using W = Compute<T>;
  const ChannelSums<W> sums(make_strided(views, Order::memory, kAllButChannels).numel, channels, pixel_grain(channels));
  ChannelsLast<3> v(views, {accumulate ? 7u : 3u, 4}, sums.bytes());
  const Strided<3> s = make_strided<3>({&v.view[0], &v.view[1], &v.view[2]}, Order::memory, kAllButChannels);
  sums.run(v.extra, gate.sum_d, gate.sum_dx, [&](int64_t begin, int64_t end, int64_t c, int64_t n, W* a, W* b) {
    const Gate<W> block = gate_from(gate, c, a, b);
    walk(s, begin, end, [&](char* const(&p)[3], int64_t pixels, int64_t) {
      each_group<T>(s, p, pixels, channels, c,
                    [&](const auto& group) { gate_pixels<act, accumulate>(block, n, group); });
    });
  });
  v.finish();
}

template <class T>
void channel_gate(const View& g, const View& gx, bool accumulate, const ConvGate& gate) {
  by_activation(gate.activation, [&]<Activation act>() {
    accumulate ? gated<T, act, true>(g, gx, gate) : gated<T, act, false>(g, gx, gate);
  });
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
  using W = Compute<T>;
  const W *const a = static_cast<const W*>(scale), *const b = static_cast<const W*>(shift);
  const int64_t channels = y.shape[1], windows = y.shape[0] * y.shape[2] * y.shape[3];
  ChannelsLast<2> v({&x, &y}, {1, 2});
  parallel_for(windows, pixel_grain(4 * channels), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const Window o = window_at(i, v.view[1]);
      const T* const p = pixel<T>(v.view[0], o.n, 2 * o.h, 2 * o.w);
      T* const to = pixel<T>(v.view[1], o.n, o.h, o.w);
      const int64_t down = v.view[0].strides[2], right = v.view[0].strides[3];
      each_vector<W>(channels, [=](int64_t j, auto io) {
        const Vec<W> va = io.load(a + j), vb = io.load(b + j), zero = Vec<W>::zero();
        auto norm = [&](const T* q) { return max(zero, fma(io.load(q + j), va, vb)); };
        const Vec<W> sum = (norm(p) + norm(p + right)) + (norm(p + down) + norm(p + down + right));
        io.store(sum * Vec<W>::set1(W(0.25)), to + j);
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
      for (int64_t i = 0; i < n; ++i) *reinterpret_cast<T*>(p[0] + i * s.row_stride(0)) = T{};
    });
  }
}

template <class T, Activation act, bool accumulate>
void gated_pool2(const View& gy, const View& gx, const ConvGate& gate) {
  const int64_t channels = gx.shape[1];
  using W = Compute<T>;
  const ChannelSums<W> sums(gy.shape[0] * gy.shape[2] * gy.shape[3], channels, pixel_grain(4 * channels));
  ChannelsLast<3> v({&gy, &gate.x, &gx}, {accumulate ? 7u : 3u, 4}, sums.bytes());
  if (!accumulate) zero_uncovered<T>(v.view[2]);
  sums.run(v.extra, gate.sum_d, gate.sum_dx, [&](int64_t begin, int64_t end, int64_t c, int64_t n, W* a, W* b) {
    const Gate<W> block = gate_from(gate, c, a, b);
    alignas(64) T quarter[kSummedChannels];
    for (int64_t i = begin; i < end; ++i) {
      const Window o = window_at(i, v.view[0]);
      const T* const from = pixel<T>(v.view[0], o.n, o.h, o.w) + c;
      each_vector<W>(n, [&](int64_t j, auto io) { io.store(io.load(from + j) * Vec<W>::set1(W(0.25)), quarter + j); });
      Group<T, 3, 4> group;
      for (int k = 0; k < 4; ++k) {
        group.at[0][k] = quarter;
        group.at[1][k] = pixel<T>(v.view[1], o.n, 2 * o.h + k / 2, 2 * o.w + k % 2) + c;
        group.at[2][k] = pixel<T>(v.view[2], o.n, 2 * o.h + k / 2, 2 * o.w + k % 2) + c;
      }
      group.ahead[0] = 0;
      for (int k = 1; k < 3; ++k) group.ahead[k] = 4 * v.view[k].strides[3] * int64_t(sizeof(T));
      gate_pixels<act, accumulate>(block, n, group);
    }
  });
  v.finish();
}

template <class T>
void norm_relu_pool2_backward(const View& gy, const View& gx, bool accumulate, const ConvGate& gate) {
  by_activation(gate.activation, [&]<Activation act>() {
    accumulate ? gated_pool2<T, act, true>(gy, gx, gate) : gated_pool2<T, act, false>(gy, gx, gate);
  });
}

}  // namespace

void add_channels(Kernels& k) {
#if defined(__AVX512BF16__)
  k.channel_sums.bf16 = &channel_sums<bf16>;
  k.channel_affine.bf16 = &channel_affine<bf16>;
  k.channel_gate.bf16 = &channel_gate<bf16>;
  k.channel_affine_add.bf16 = &channel_affine_add<bf16>;
  k.norm_relu_pool2.bf16 = &norm_relu_pool2<bf16>;
  k.norm_relu_pool2_backward.bf16 = &norm_relu_pool2_backward<bf16>;
#else
  k.channel_sums = {.f32 = &channel_sums<float>, .f64 = &channel_sums<double>};
  k.channel_affine = {.f32 = &channel_affine<float>, .f64 = &channel_affine<double>};
  k.channel_gate = {.f32 = &channel_gate<float>, .f64 = &channel_gate<double>};
  k.channel_affine_add = {.f32 = &channel_affine_add<float>, .f64 = &channel_affine_add<double>};
  k.norm_relu_pool2 = {.f32 = &norm_relu_pool2<float>, .f64 = &norm_relu_pool2<double>};
  k.norm_relu_pool2_backward = {.f32 = &norm_relu_pool2_backward<float>, .f64 = &norm_relu_pool2_backward<double>};
#endif
}

}  // namespace ar::cpu::AR_ISA
