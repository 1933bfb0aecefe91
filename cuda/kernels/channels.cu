// Passes over channels (channel_pass.h): sums for batch statistics, scale and shift with an activation (affine.h), the
// gate of norm and activation, and both together with 2x2 average pooling. Each reads and writes every element once.
// And batch norm's numbers per channel, a thread a channel.
#include "cuda/affine.h"
#include "cuda/each.h"
#include "cuda/families.h"
#include "tensor/batch_norm_math.h"

namespace ar::cuda {

namespace {

// ---- sum[c] += x, sum_sq[c] += x^2 ----

struct NoNumbers {};

template <class S>
struct Values {
  using Element = S;
  using Sums = MomentSums;
  using T = Compute<S>;
  using Numbers = NoNumbers;
  static constexpr int inputs = 1;
  static constexpr Writes writes = Writes::nothing;
  AR_HD NoNumbers numbers(int64_t) const { return {}; }
  AR_HD T operator()(NoNumbers, const T (&x)[1], S&) const { return x[0]; }
};
template <class S>
void channel_sums(const View& x, double* sum, double* sum_sq) {
  channel_pass<Values<S>>({&x}, {}, sum, sum_sq);
}

// ---- y = activation(x scale + shift (+ residual)) and y += a + b x ----

template <class S>
void channel_affine(const View& x, const void* scale, const void* shift, const View& residual, Activation activation,
                    double slope, const View& y) {
  affine<S, NoSums>(x, scale, shift, residual, activation, slope, y);
}

template <class S>
struct AffineAdd {
  using Element = S;
  using Sums = NoSums;
  using T = Compute<S>;
  static constexpr int inputs = 2;
  static constexpr Writes writes = Writes::last_input;
  const T *a, *b;

  struct Numbers {
    T a, b;
  };
  AR_HD Numbers numbers(int64_t c) const { return {a[c], b[c]}; }
  AR_HD NoSums operator()(const Numbers& n, const T (&v)[2], S& y) const {
    y = narrow<S>(v[1] + (v[0] * n.b + n.a));
    return {};
  }
};
template <class S>
void channel_affine_add(const View& x, const void* a, const void* b, const View& y) {
  using T = Compute<S>;
  channel_pass<AffineAdd<S>>({&x, &y}, {static_cast<const T*>(a), static_cast<const T*>(b)});
}

// ---- the gate: d = g activation'(x scale + shift);  gx (+)= d scale;  sum_d += d;  sum_dx += d (x - center) ----

/// Of g and x, or of g, x and gx, which is added to.
template <class S, int In>
struct Gate {
  using Element = S;
  using Sums = PairSums;
  using T = Compute<S>;
  static constexpr int inputs = In;
  static constexpr Writes writes = In == 3 ? Writes::last_input : Writes::apart;
  const T *scale, *shift, *center;  // center null: 0
  Activation activation;
  T slope, share;  // g counts so much

  struct Numbers {
    T scale, shift, center;
  };
  AR_HD Numbers numbers(int64_t c) const { return {scale[c], shift[c], center ? center[c] : T(0)}; }
  AR_HD Two<T> operator()(const Numbers& n, const T (&v)[In], S& gx) const {
    const T d = activation_gradient(activation, v[1] * n.scale + n.shift, v[0] * share, slope);
    T sum = d * n.scale;
    if constexpr (In == 3) sum += v[2];
    gx = narrow<S>(sum);
    return {d, d * (v[1] - n.center)};
  }
};
template <class S, int In>
Gate<S, In> gate_of(const ConvGate& gate, double share) {
  using T = Compute<S>;
  return {static_cast<const T*>(gate.scale),
          static_cast<const T*>(gate.shift),
          static_cast<const T*>(gate.center),
          gate.activation,
          T(gate.slope),
          T(share)};
}
/// x: gate.x, seen as g and gx are.
template <class S>
void run_gate(const View& g, const View& x, const View& gx, bool accumulate, const ConvGate& gate, double share) {
  if (accumulate)
    channel_pass<Gate<S, 3>>({&g, &x, &gx}, gate_of<S, 3>(gate, share), gate.sum_d, gate.sum_dx);
  else
    channel_pass<Gate<S, 2>>({&g, &x, &gx}, gate_of<S, 2>(gate, share), gate.sum_d, gate.sum_dx);
}
template <class S>
void channel_gate(const View& g, const View& gx, bool accumulate, const ConvGate& gate) {
  run_gate<S>(g, gate.x, gx, accumulate, gate, 1);
}

// ---- a DenseNet transition: y = mean over 2x2 of relu(x scale + shift), and its gradient ----

/// One pixel of each 2x2 window, as if there were only these.
View corners(const View& x, int down, int right) {
  View v = x;
  for (int d : {2, 3}) v.shape[d] /= 2, v.strides[d] *= 2;
  const int64_t offset = down * x.strides[2] + right * x.strides[3];
  v.data = static_cast<char*>(x.data) + offset * size_of(x.dtype);
  return v;
}

template <class S>
struct Pool2 {
  using Element = S;
  using Sums = NoSums;
  using T = Compute<S>;
  static constexpr int inputs = 4;
  static constexpr Writes writes = Writes::apart;
  const T *scale, *shift;

  struct Numbers {
    T scale, shift;
  };
  AR_HD Numbers numbers(int64_t c) const { return {scale[c], shift[c]}; }
  AR_HD NoSums operator()(const Numbers& n, const T (&v)[4], S& y) const {
    T sum = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) sum += activate(Activation::relu, v[i] * n.scale + n.shift, T(0));
    y = narrow<S>(sum * T(0.25));
    return {};
  }
};
template <class S>
void norm_relu_pool2(const View& x, const void* scale, const void* shift, const View& y) {
  using T = Compute<S>;
  const View v[] = {corners(x, 0, 0), corners(x, 0, 1), corners(x, 1, 0), corners(x, 1, 1)};
  channel_pass<Pool2<S>>({&v[0], &v[1], &v[2], &v[3], &y},
                         {static_cast<const T*>(scale), static_cast<const T*>(shift)});
}

/// (N,C,H,W) as (N,C,H/2,2,W/2,2), and (N,C,H/2,W/2) repeated to that.
View in_windows(const View& x) {
  View v{x.data, x.dtype, 6, {x.shape[0], x.shape[1], x.shape[2] / 2, 2, x.shape[3] / 2, 2}};
  const int64_t strides[] = {x.strides[0], x.strides[1],     2 * x.strides[2],
                             x.strides[2], 2 * x.strides[3], x.strides[3]};
  for (int d = 0; d < 6; ++d) v.strides[d] = strides[d];
  return v;
}
View repeated(const View& y) {
  View v{y.data, y.dtype, 6, {y.shape[0], y.shape[1], y.shape[2], 2, y.shape[3], 2}};
  const int64_t strides[] = {y.strides[0], y.strides[1], y.strides[2], 0, y.strides[3], 0};
  for (int d = 0; d < 6; ++d) v.strides[d] = strides[d];
  return v;
}

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
  run_gate<S>(repeated(gy), in_windows(gate.x), in_windows(gx), accumulate, gate, 0.25);
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
