// Passes over channels (channel_pass.h): sums for batch statistics, scale and shift with an activation, the gate of
// norm and activation, and both together with 2x2 average pooling. Each reads and writes every element once. And batch
// norm's numbers per channel, a thread a channel.
#include "cuda/channel_pass.h"

#include "cuda/families.h"
#include "tensor/batch_norm_math.h"

namespace ar::cuda {

namespace {

// ---- sum[c] += x, sum_sq[c] += x^2 ----

template <class S>
struct Values {
  using Sums = MomentSums<Compute<S>>;
  const S* x;
  AR_HD Compute<S> operator()(int64_t, const int64_t (&at)[1]) const { return widen(x[at[0]]); }
};
template <class S>
void channel_sums(const View& x, double* sum, double* sum_sq) {
  channel_pass<1>({&x}, Values<S>{x.as<const S>()}, sum, sum_sq);
}

// ---- y = activation(x scale + shift (+ residual)) and y += a + b x ----

/// Of x and y, or of x, residual and y.
template <class S, int K>
struct Affine {
  using T = Compute<S>;
  using Sums = NoSums;
  const S* x;
  const T *scale, *shift;
  const S* residual;
  Activation activation;
  T slope;
  S* y;
  AR_HD NoSums operator()(int64_t c, const int64_t (&at)[K]) const {
    T v = widen(x[at[0]]) * scale[c] + shift[c];
    if constexpr (K == 3) v += widen(residual[at[1]]);
    y[at[K - 1]] = narrow<S>(activate(activation, v, slope));
    return {};
  }
};
template <class S, int K>
void affine(const View* const (&views)[K], const void* scale, const void* shift, Activation activation, double slope) {
  using T = Compute<S>;
  const View &x = *views[0], &residual = *views[1], &y = *views[K - 1];
  channel_pass<K>(views, Affine<S, K>{x.as<const S>(), static_cast<const T*>(scale), static_cast<const T*>(shift),
                                      residual.as<const S>(), activation, T(slope), y.as<S>()});
}
template <class S>
void channel_affine(const View& x, const void* scale, const void* shift, const View& residual, Activation activation,
                    double slope, const View& y) {
  if (residual.data)
    affine<S, 3>({&x, &residual, &y}, scale, shift, activation, slope);
  else
    affine<S, 2>({&x, &y}, scale, shift, activation, slope);
}

template <class S>
struct AffineAdd {
  using T = Compute<S>;
  using Sums = NoSums;
  const S* x;
  const T *a, *b;
  S* y;
  AR_HD NoSums operator()(int64_t c, const int64_t (&at)[2]) const {
    y[at[1]] = narrow<S>(widen(y[at[1]]) + (widen(x[at[0]]) * b[c] + a[c]));
    return {};
  }
};
template <class S>
void channel_affine_add(const View& x, const void* a, const void* b, const View& y) {
  channel_pass<2>({&x, &y}, AffineAdd<S>{x.as<const S>(), static_cast<const Compute<S>*>(a),
                                         static_cast<const Compute<S>*>(b), y.as<S>()});
}

// ---- the gate: d = g activation'(x scale + shift);  gx (+)= d scale;  sum_d += d;  sum_dx += d (x - center) ----

template <class S>
struct Gate {
  using T = Compute<S>;
  const S* x;
  const T *scale, *shift, *center;  // center null: 0
  S* gx;
  Activation activation;
  T slope;
  bool accumulate;
  /// For one element; returns what it adds to the sums.
  AR_HD Two<T> operator()(int64_t c, T g, int64_t at_x, int64_t at_gx) const {
    const T v = widen(x[at_x]), factor = scale[c];
    const T d = activation_gradient(activation, v * factor + shift[c], g, slope);
    gx[at_gx] = narrow<S>(accumulate ? d * factor + widen(gx[at_gx]) : d * factor);
    return {d, d * (center ? v - center[c] : v)};
  }
};
template <class S>
Gate<S> gate_of(const ConvGate& gate, const View& gx, bool accumulate) {
  return {gate.x.as<const S>(),
          static_cast<const Compute<S>*>(gate.scale),
          static_cast<const Compute<S>*>(gate.shift),
          static_cast<const Compute<S>*>(gate.center),
          gx.as<S>(),
          gate.activation,
          Compute<S>(gate.slope),
          accumulate};
}

template <class S>
struct GateElement {
  using T = Compute<S>;
  using Sums = PairSums<T>;
  const S* g;
  Gate<S> gate;
  AR_HD Two<T> operator()(int64_t c, const int64_t (&at)[3]) const { return gate(c, widen(g[at[0]]), at[1], at[2]); }
};
template <class S>
void channel_gate(const View& g, const View& gx, bool accumulate, const ConvGate& gate) {
  channel_pass<3>({&g, &gate.x, &gx}, GateElement<S>{g.as<const S>(), gate_of<S>(gate, gx, accumulate)}, gate.sum_d,
                  gate.sum_dx);
}

// ---- a DenseNet transition: y = mean over 2x2 of relu(x scale + shift), and its gradient ----

/// The top left pixel of each 2x2 window, as if there were only these.
View corners(const View& x) {
  View v = x;
  for (int d : {2, 3}) v.shape[d] /= 2, v.strides[d] *= 2;
  return v;
}

template <class S>
struct Pool2 {
  using T = Compute<S>;
  using Sums = NoSums;
  const S* x;
  const T *scale, *shift;
  int64_t down, right;  // in x
  S* y;
  AR_HD NoSums operator()(int64_t c, const int64_t (&at)[2]) const {
    const T a = scale[c], b = shift[c];
    T sum = 0;
    for (int i = 0; i < 4; ++i)
      sum += activate(Activation::relu, widen(x[at[0] + i / 2 * down + i % 2 * right]) * a + b, T(0));
    y[at[1]] = narrow<S>(sum * T(0.25));
    return {};
  }
};
template <class S>
void norm_relu_pool2(const View& x, const void* scale, const void* shift, const View& y) {
  const View windows = corners(x);
  channel_pass<2>({&windows, &y},
                  Pool2<S>{x.as<const S>(), static_cast<const Compute<S>*>(scale),
                           static_cast<const Compute<S>*>(shift), x.strides[2], x.strides[3], y.as<S>()});
}

template <class S>
struct Pool2Backward {
  using T = Compute<S>;
  using Sums = PairSums<T>;
  const S* gy;
  Gate<S> gate;
  int64_t x_down, x_right, down, right;  // in x and in gx
  AR_HD Two<T> operator()(int64_t c, const int64_t (&at)[3]) const {
    const T g = widen(gy[at[0]]) * T(0.25);
    Two<T> sums{};
    for (int i = 0; i < 4; ++i) {
      const Two<T> one = gate(c, g, at[1] + i / 2 * x_down + i % 2 * x_right, at[2] + i / 2 * down + i % 2 * right);
      sums.a += one.a, sums.b += one.b;
    }
    return sums;
  }
};

/// Pixels that no window covers, where a side is odd.
template <class S>
struct Zero {
  S* y;
  AR_HD void operator()(int64_t, const int64_t (&at)[1]) const { y[at[0]] = narrow<S>(0); }
};
template <class S>
void zero_uncovered(const View& gx) {
  for (int d : {2, 3}) {
    if (gx.shape[d] % 2 == 0) continue;
    View edge = gx;
    edge.data = gx.as<S>() + (gx.shape[d] - 1) * gx.strides[d];
    edge.shape[d] = 1;
    each(make_walk<1>({&edge}), Zero<S>{edge.as<S>()});
  }
}

template <class S>
void norm_relu_pool2_backward(const View& gy, const View& gx, bool accumulate, const ConvGate& gate) {
  if (!accumulate) zero_uncovered<S>(gx);
  const View x = corners(gate.x), out = corners(gx);
  channel_pass<3>({&gy, &x, &out},
                  Pool2Backward<S>{gy.as<const S>(), gate_of<S>(gate, gx, accumulate), gate.x.strides[2],
                                   gate.x.strides[3], gx.strides[2], gx.strides[3]},
                  gate.sum_d, gate.sum_dx);
}

// ---- batch norm's numbers per channel ----

template <class T>
struct NormForwardChannel {
  NormForward n;
  AR_HD void operator()(int64_t c) const { norm_forward_channel<T>(n, c); }
};
template <class T>
void norm_forward(const NormForward& n) {
  each_item(n.channels, NormForwardChannel<T>{n});
}
template <class T>
struct NormBackwardChannel {
  NormBackward n;
  AR_HD void operator()(int64_t c) const { norm_backward_channel<T>(n, c); }
};
template <class T>
void norm_backward(const NormBackward& n) {
  each_item(n.channels, NormBackwardChannel<T>{n});
}

}  // namespace

void add_channels(Kernels& k) {
  k.norm_forward = {.f32 = &norm_forward<float>, .f64 = &norm_forward<double>};
  k.norm_backward = {.f32 = &norm_backward<float>, .f64 = &norm_backward<double>};
  k.channel_sums = {.bf16 = &channel_sums<bf16>, .f32 = &channel_sums<float>, .f64 = &channel_sums<double>};
  k.channel_affine = {.bf16 = &channel_affine<bf16>, .f32 = &channel_affine<float>, .f64 = &channel_affine<double>};
  k.channel_gate = {.bf16 = &channel_gate<bf16>, .f32 = &channel_gate<float>, .f64 = &channel_gate<double>};
  k.channel_affine_add = {
      .bf16 = &channel_affine_add<bf16>, .f32 = &channel_affine_add<float>, .f64 = &channel_affine_add<double>};
  k.norm_relu_pool2 = {.bf16 = &norm_relu_pool2<bf16>, .f32 = &norm_relu_pool2<float>, .f64 = &norm_relu_pool2<double>};
  k.norm_relu_pool2_backward = {.bf16 = &norm_relu_pool2_backward<bf16>,
                                .f32 = &norm_relu_pool2_backward<float>,
                                .f64 = &norm_relu_pool2_backward<double>};
}

}  // namespace ar::cuda
