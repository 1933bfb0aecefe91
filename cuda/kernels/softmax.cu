// Softmax and log-softmax along a dimension, their gradients, and picking one element of it by an index (the heart of
// an NLL loss; attention's weights are the same softmax over the last dimension).
//
// One block takes a row, each thread every 128th element. Maximum and sum meet by shuffles within a warp, then through
// shared memory between warps. The row is read three times; it comes from memory once, then from the caches.
#include "cuda/each.h"
#include "cuda/families.h"
#include "tensor/elementwise_ops.h"

namespace ar::cuda {
namespace {

constexpr int kRowThreads = 128, kRowWarps = kRowThreads / 32;

struct SumOp {
  template <class T>
  AR_HD static T join(T a, T b) {
    return a + b;
  }
};
struct MaxOp {  // NaN wins
  template <class T>
  AR_HD static T join(T a, T b) {
    return a > b || a != a ? a : b;
  }
};

/// op over the block's values, given to every thread. Every thread of the block calls it.
template <class Op, class T>
__device__ T block_reduce(T v) {
  SHARED(of_warp, T[kRowWarps]);
  for (int bits = 16; bits > 0; bits /= 2) v = Op::join(v, __shfl_xor_sync(0xffffffffu, v, bits));
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = v;
  __syncthreads();
  v = of_warp[0];
  for (int w = 1; w < kRowWarps; ++w) v = Op::join(v, of_warp[w]);
  __syncthreads();  // the next call writes of_warp again
  return v;
}

// y = e^(x - m) / s, or x - m - log s, with m the row's maximum and s the sum of e^(x - m).
template <class S>
__global__ void __launch_bounds__(kRowThreads)
    softmax_kernel(Walk<2> rows, int64_t n, int64_t x_step, int64_t y_step, bool log, const S* x, S* y) {
  using T = Compute<S>;
  for (int64_t r = blockIdx.x; r < rows.numel; r += gridDim.x) {
    int64_t at[2];
    rows.at(r, at);
    T top = T(-INFINITY);
    for (int64_t j = threadIdx.x; j < n; j += kRowThreads) top = MaxOp::join(top, widen(x[at[0] + j * x_step]));
    top = block_reduce<MaxOp>(top);
    double sum = 0;
    for (int64_t j = threadIdx.x; j < n; j += kRowThreads) sum += double(op::exp(widen(x[at[0] + j * x_step]) - top));
    sum = block_reduce<SumOp>(sum);
    const T shift = T(::log(sum)), factor = T(1 / sum);
    for (int64_t j = threadIdx.x; j < n; j += kRowThreads) {
      const T v = widen(x[at[0] + j * x_step]) - top;
      y[at[1] + j * y_step] = narrow<S>(log ? v - shift : op::exp(v) * factor);
    }
  }
}

// gx = y (gy - sum(gy y)), or gy - e^y sum(gy).
template <class S>
__global__ void __launch_bounds__(kRowThreads)
    softmax_backward_kernel(Walk<3> rows, int64_t n, int64_t y_step, int64_t gy_step, int64_t gx_step, bool log,
                            const S* y, const S* gy, S* gx) {
  using T = Compute<S>;
  for (int64_t r = blockIdx.x; r < rows.numel; r += gridDim.x) {
    int64_t at[3];
    rows.at(r, at);
    double dot = 0;
    for (int64_t j = threadIdx.x; j < n; j += kRowThreads) {
      const T g = widen(gy[at[1] + j * gy_step]);
      dot += double(log ? g : g * widen(y[at[0] + j * y_step]));
    }
    const T sum = T(block_reduce<SumOp>(dot));
    for (int64_t j = threadIdx.x; j < n; j += kRowThreads) {
      const T v = widen(y[at[0] + j * y_step]), g = widen(gy[at[1] + j * gy_step]);
      gx[at[2] + j * gx_step] = narrow<S>(log ? g - op::exp(v) * sum : v * (g - sum));
    }
  }
}

template <class S>
void softmax(int dim, bool log, const View& x, const View& y) {
  const Walk<2> rows = make_walk<2>({&x, &y}, Order::memory, ~(1u << dim));
  if (rows.numel > 0 && x.shape[dim] > 0)
    gpu::launch(softmax_kernel<S>, {gpu::blocks_for(rows.numel, 1), kRowThreads, 0, stream()}, rows, x.shape[dim],
                x.strides[dim], y.strides[dim], log, x.as<const S>(), y.as<S>());
}
template <class S>
void softmax_backward(int dim, bool log, const View& y, const View& gy, const View& gx) {
  const Walk<3> rows = make_walk<3>({&y, &gy, &gx}, Order::memory, ~(1u << dim));
  if (rows.numel > 0 && y.shape[dim] > 0)
    gpu::launch(softmax_backward_kernel<S>, {gpu::blocks_for(rows.numel, 1), kRowThreads, 0, stream()}, rows,
                y.shape[dim], y.strides[dim], gy.strides[dim], gx.strides[dim], log, y.as<const S>(), gy.as<const S>(),
                gx.as<S>());
}

// ---- y[n,rest] = x[n, target[n,rest], rest], 0 where the target is negative, NaN where it is too large (the host has
// not seen it); and the way back ----

View without_channels(const View& x) {
  View v = x;
  v.rank = x.rank - 1;
  for (int d = 1; d < v.rank; ++d) v.shape[d] = x.shape[d + 1], v.strides[d] = x.strides[d + 1];
  return v;
}

template <class S>
struct Pick {
  const S* x;
  const int64_t* target;
  S* y;
  int64_t classes, step;
  AR_HD void operator()(int64_t, const int64_t (&at)[3]) const {
    const int64_t t = target[at[1]];
    y[at[2]] = t < 0 ? narrow<S>(0) : t < classes ? x[at[0] + t * step] : narrow<S>(Compute<S>(NAN));
  }
};
template <class S>
void pick(const View& x, const View& target, const View& y) {
  const View others = without_channels(x);
  each(make_walk<3>({&others, &target, &y}),
       Pick<S>{x.as<const S>(), target.as<const int64_t>(), y.as<S>(), x.shape[1], x.strides[1]});
}

template <class S>
struct PickBackward {
  S* gx;
  const int64_t* target;
  const S* gy;
  int64_t classes, step;
  AR_HD void operator()(int64_t, const int64_t (&at)[3]) const {
    const int64_t t = target[at[1]];
    if (t < 0 || t >= classes) return;
    S& g = gx[at[0] + t * step];
    g = narrow<S>(widen(g) + widen(gy[at[2]]));
  }
};
template <class S>
void pick_backward(const View& gy, const View& target, const View& gx) {
  const View others = without_channels(gx);
  each(make_walk<3>({&others, &target, &gy}),
       PickBackward<S>{gx.as<S>(), target.as<const int64_t>(), gy.as<const S>(), gx.shape[1], gx.strides[1]});
}

}  // namespace

void add_softmax(Kernels& k) {
  k.softmax = {.bf16 = &softmax<bf16>, .f32 = &softmax<float>, .f64 = &softmax<double>};
  k.softmax_backward = {
      .bf16 = &softmax_backward<bf16>, .f32 = &softmax_backward<float>, .f64 = &softmax_backward<double>};
  k.pick = {.bf16 = &pick<bf16>, .f32 = &pick<float>, .f64 = &pick<double>};
  k.pick_backward = {.bf16 = &pick_backward<bf16>, .f32 = &pick_backward<float>, .f64 = &pick_backward<double>};
}

}  // namespace ar::cuda
