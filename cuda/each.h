// Loops over elements: one thread an element, with a stride of the whole grid. Neighbouring threads take neighbouring
// elements, so a warp's accesses to what lies densely are one run of 32 elements.
#pragma once
#include "cuda/context.h"
#include "cuda/gpu.h"
#include "cuda/numbers.h"
#include "cuda/pack.h"
#include "cuda/walk.h"

namespace ar::cuda {

constexpr int kThreads = 256;  // a block's, where nothing else is said

/// This thread's first element, and how far it is to its next.
__device__ __forceinline__ int64_t first_item() { return int64_t(blockIdx.x) * blockDim.x + threadIdx.x; }
__device__ __forceinline__ int64_t item_step() { return int64_t(gridDim.x) * blockDim.x; }

template <class F>
__global__ void __launch_bounds__(kThreads) items_kernel(int64_t n, F f) {
  for (int64_t i = first_item(); i < n; i += item_step()) f(i);
}
/// f(i) for all i < n, in parallel.
template <class F>
void each_item(int64_t n, const F& f) {
  if (n > 0) gpu::launch(items_kernel<F>, {gpu::blocks_for(n, kThreads), kThreads, 0, stream()}, n, f);
}

template <int K, class F>
__global__ void __launch_bounds__(kThreads) walk_kernel(const __grid_constant__ Walk<K> walk, F f) {
  for (int64_t i = first_item(); i < walk.numel; i += item_step()) {
    int64_t at[K];
    walk.at(i, at);
    f(i, at);
  }
}
/// f(i, offsets) for all elements of the walk, in parallel.
template <int K, class F>
void each(const Walk<K>& walk, const F& f) {
  if (walk.numel > 0)
    gpu::launch(walk_kernel<K, F>, {gpu::blocks_for(walk.numel, kThreads), kThreads, 0, stream()}, walk, f);
}

/// Input pointers of a map.
template <class S, int K>
struct Inputs {
  const S* p[K];
};

template <class S, int K, class F>
__global__ void __launch_bounds__(kThreads)
    map_kernel(const __grid_constant__ Walk<K + 1> walk, Inputs<S, K> in, S* out, F f) {
  for (int64_t i = first_item(); i < walk.numel; i += item_step()) {
    int64_t at[K + 1];
    walk.at(i, at);
    Compute<S> v[K];
    for (int k = 0; k < K; ++k) v[k] = widen(in.p[k][at[k]]);
    out[at[K]] = narrow<S>(f(v));
  }
}

/// The same where everything is dense: a warp moves 512 bytes at a time, the last few elements one by one.
template <class S, int K, class F>
__global__ void __launch_bounds__(kThreads) dense_map_kernel(int64_t n, Inputs<S, K> in, S* out, F f) {
  using P = Pack<S>;
  const int64_t packs = n / P::size;
  for (int64_t i = first_item(); i < packs; i += item_step()) {
    P pack[K], result;
    for (int k = 0; k < K; ++k) pack[k].bits = reinterpret_cast<const uint4*>(in.p[k])[i];
    for (int j = 0; j < P::size; ++j) {
      Compute<S> v[K];
      for (int k = 0; k < K; ++k) v[k] = widen(pack[k].value[j]);
      result.value[j] = narrow<S>(f(v));
    }
    reinterpret_cast<uint4*>(out)[i] = result.bits;
  }
  for (int64_t i = packs * P::size + first_item(); i < n; i += item_step()) {
    Compute<S> v[K];
    for (int k = 0; k < K; ++k) v[k] = widen(in.p[k][i]);
    out[i] = narrow<S>(f(v));
  }
}

/// y = f(inputs) for every element; y may be one of them. views: the inputs, then y.
template <class S, int K, class F>
void map(const View* const (&views)[K], const F& f) {
  const Walk<K> walk = make_walk(views);
  if (walk.numel == 0) return;
  Inputs<S, K - 1> in;
  for (int k = 0; k + 1 < K; ++k) in.p[k] = views[k]->template as<const S>();
  S* const out = views[K - 1]->template as<S>();
  bool aligned = walk.dense() && reinterpret_cast<uintptr_t>(out) % 16 == 0;
  for (int k = 0; k + 1 < K; ++k) aligned &= reinterpret_cast<uintptr_t>(in.p[k]) % 16 == 0;
  if (aligned)
    gpu::launch(dense_map_kernel<S, K - 1, F>,
                {gpu::blocks_for(walk.numel, kThreads * Pack<S>::size), kThreads, 0, stream()}, walk.numel, in, out, f);
  else
    gpu::launch(map_kernel<S, K - 1, F>, {gpu::blocks_for(walk.numel, kThreads), kThreads, 0, stream()}, walk, in, out,
                f);
}

}  // namespace ar::cuda
