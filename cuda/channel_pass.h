// Passes over the pixels of channels-last tensors: something for every element, and two sums for each channel.
//
// A pass F says what it does with one element:
//   using Element, using Sums (channel_sums.h); inputs: how many operands it reads; writes: which it writes
//   Numbers numbers(c): what it needs of channel c, read once by each thread
//   operator()(numbers, values of the inputs, element to write): returns what is added to the sums
//
// A thread has V neighbouring channels, which it reads and writes by one access of 16 bytes (8 where halves are summed,
// for want of registers), and goes down the pixels, several at a time, so that enough loads are on their way. Where
// channels or rows do not lie so, V is 1. A block is 32 channels x 8 V pixels, blocks lie in a grid of (channel tiles,
// parts of the pixels). For sums, the threads of a channel meet in shared memory, each part writes its own to a row,
// and a second kernel adds up the rows in order, so that equal inputs give equal bits. The sums stay on the device.
#pragma once
#include "cuda/channel_sums.h"
#include "cuda/context.h"
#include "cuda/pack.h"
#include "cuda/walk.h"
#include "tensor/kernels.h"

namespace ar::cuda {

constexpr int kTileChannels = 32;

/// What a pass writes: nothing, the last of its inputs, or another operand.
enum class Writes { nothing, last_input, apart };

constexpr int smaller_of(int a, int b) { return a < b ? a : b; }

/// The operands of a pass: the inputs, then what is written, if it is none of them.
template <class F>
constexpr int kOperands = F::inputs + (F::writes == Writes::apart ? 1 : 0);
/// Channels of a thread where they lie in packs, and pixels that it reads before it uses the first: as many as there
/// are registers for.
template <class F>
constexpr int kPassChannels = smaller_of(16 / int(sizeof(typename F::Element)), F::Sums::wanted ? 4 : 8);
template <class F>
constexpr int kPassRows = smaller_of((F::Sums::wanted ? 48 : 64) /
                                         (F::inputs * kPassChannels<F> * int(sizeof(typename F::Element))),
                                     4);

/// Counts pixels and packs: in 32 bits where channels lie in packs, for the sake of registers.
template <int V>
using PassIndex = std::conditional_t<V == 1, int64_t, uint32_t>;
template <int V, class F>
struct PassOperands {
  Walk<kOperands<F>, PassIndex<V>> pixels;
  PassIndex<V> channels;  // in packs
  typename F::Element* data[kOperands<F>] = {};
  PassIndex<V> step[kOperands<F>] = {};  // from one channel to the next; packs: 1
};

/// `rows` pixels, `step` apart, of a thread's V channels.
template <int rows, int V, class F, class Sums>
__device__ __forceinline__ void pass_rows(const PassOperands<V, F>& operands, const F& f, PassIndex<V> channel,
                                          PassIndex<V> first, PassIndex<V> step,
                                          const typename F::Numbers (&numbers)[V], Sums& sums) {
  using S = typename F::Element;
  using P = Pack<S, V>;
  using T = Compute<S>;
  constexpr int K = kOperands<F>;
  P in[rows][F::inputs];
  PassIndex<V> out[rows];
#pragma unroll
  for (int r = 0; r < rows; ++r) {
    PassIndex<V> at[K];
    operands.pixels.at(first + r * step, at);
#pragma unroll
    for (int k = 0; k < K; ++k) at[k] += V > 1 ? channel : channel * operands.step[k];
#pragma unroll
    for (int k = 0; k < F::inputs; ++k) in[r][k].load(operands.data[k] + int64_t(at[k]) * V);
    out[r] = at[K - 1];
  }
#pragma unroll
  for (int r = 0; r < rows; ++r) {
    P result;
#pragma unroll
    for (int j = 0; j < V; ++j) {
      T values[F::inputs];
#pragma unroll
      for (int k = 0; k < F::inputs; ++k) values[k] = widen(in[r][k].value[j]);
      sums.add(r, j, f(numbers[j], values, result.value[j]));
    }
    if constexpr (F::writes != Writes::nothing) result.store(operands.data[K - 1] + int64_t(out[r]) * V);
  }
  sums.end_rows(rows);
}

// At least 4 blocks of 256 threads on a multiprocessor, hence at most 64 registers: half of its threads on the newer
// ones. With 24 bytes or more of each on their way, that is what their memory needs.
template <int V, class F>
__global__ void __launch_bounds__(kPassThreads, 4)
    channel_pass_kernel(const __grid_constant__ PassOperands<V, F> operands, const __grid_constant__ F f,
                        double* partial) {
  using Index = PassIndex<V>;
  constexpr int width = kTileChannels / V, height = kPassThreads / width, rows = kPassRows<F>;
  const int x = int(threadIdx.x), y = int(threadIdx.y);
  const Index channels = operands.channels, channel = Index(blockIdx.x) * width + x;
  double* folded = nullptr;
  if constexpr (F::Sums::wanted) {
    SHARED(places, double[2 * V * kPassThreads]);
    folded = places + y * width + x;
  }
  typename F::Sums::template Of<Compute<typename F::Element>, V> sums(folded);
  if (channel < channels) {
    typename F::Numbers numbers[V];
#pragma unroll
    for (int j = 0; j < V; ++j) numbers[j] = f.numbers(int64_t(channel) * V + j);
    const Index pixels = operands.pixels.numel, step = Index(gridDim.y) * height;
    Index first = Index(blockIdx.y) * height + y;
    for (; first + (rows - 1) * step < pixels; first += rows * step)
      pass_rows<rows, V>(operands, f, channel, first, step, numbers, sums);
    for (; first < pixels; first += step) pass_rows<1, V>(operands, f, channel, first, step, numbers, sums);
  }
  if constexpr (F::Sums::wanted) {
    if (!partial) return;  // alike for all threads
    sums.finish();
    for (int half = height / 2; half > 0; half /= 2) {
      __syncthreads();
      if (y >= half) continue;
#pragma unroll
      for (int k = 0; k < 2 * V; ++k) folded[k * kPassThreads] += folded[k * kPassThreads + half * width];
    }
    if (y != 0 || channel >= channels) return;
#pragma unroll
    for (int k = 0; k < 2 * V; ++k)
      partial[((int64_t(blockIdx.y) * 2 + k / V) * channels + channel) * V + k % V] = folded[k * kPassThreads];
  }
}

template <int V, class F>
void launch_pass(const PassOperands<V, F>& operands, const F& f, double* sum_a, double* sum_b) {
  constexpr int width = kTileChannels / V, height = kPassThreads / width, rows = kPassRows<F>;
  const int64_t channels = int64_t(operands.channels) * V, tiles = (channels + kTileChannels - 1) / kTileChannels;
  // Sums: as many blocks as fit at a time, since each leaves a row for the second stage.
  const bool wanted = sum_a || sum_b;
  const int64_t most = gpu::most_blocks() / (wanted ? 4 : 2) / tiles;
  const int64_t useful = (int64_t(operands.pixels.numel) + height * rows - 1) / (height * rows);
  const int64_t parts = most < 1 ? 1 : most < useful ? most : useful;
  const Scratch partial(wanted ? parts * 2 * channels * int64_t(sizeof(double)) : 0);
  gpu::launch(channel_pass_kernel<V, F>,
              {dim3(unsigned(tiles), unsigned(parts)), dim3(unsigned(width), unsigned(height)), 0, stream()}, operands,
              f, wanted ? partial.as<double>() : nullptr);
  if (wanted) add_parts(partial.as<double>(), parts, channels, sum_a, sum_b);
}

/// f for every element of the views, (N,C,...) with one shape; sum_a[c] and sum_b[c] (device memory, either may be
/// null) grow by the totals of F::Sums.
template <class F>
void channel_pass(const View* const (&views)[kOperands<F>], const F& f, double* sum_a = nullptr,
                  double* sum_b = nullptr) {
  constexpr int K = kOperands<F>, V = kPassChannels<F>;
  PassOperands<1, F> single{make_walk(views, Order::memory, ~(1u << 1)), views[0]->shape[1]};
  if (single.pixels.numel == 0 || single.channels == 0) return;
  bool aligned = single.channels % V == 0;
  for (int k = 0; k < K; ++k) {
    single.data[k] = views[k]->template as<typename F::Element>();
    single.step[k] = views[k]->strides[1];
    aligned &=
        single.step[k] == 1 && reinterpret_cast<uintptr_t>(single.data[k]) % sizeof(Pack<typename F::Element, V>) == 0;
  }
  const std::optional<Walk<K, uint32_t>> pixels = in_packs(single.pixels, V);
  if (!aligned || !pixels) return launch_pass<1>(single, f, sum_a, sum_b);
  PassOperands<V, F> packs{*pixels, uint32_t(single.channels / V)};
  for (int k = 0; k < K; ++k) packs.data[k] = single.data[k], packs.step[k] = 1;
  launch_pass<V>(packs, f, sum_a, sum_b);
}

}  // namespace ar::cuda
