// Passes over the pixels of channels-last tensors: something for every element, and two sums for each channel.
//
// A block is 32 channels x 8 pixels, so a warp reads 32 neighbouring channels of one pixel. Blocks lie in a grid of
// (channel tiles, parts of the pixels); a thread goes down its channel, adds up in registers, the 8 threads of a
// channel meet in shared memory, and each part writes its sums to a row of its own. A second kernel adds up the rows in
// order, so that equal inputs give equal bits. The sums stay on the device.
#pragma once
#include "cuda/each.h"
#include "tensor/kernels.h"

namespace ar::cuda {

template <class T>
struct Two {
  T a, b;
};

// What a thread adds up of what a pass returns for its elements: the type Sums of the pass.

/// Nothing.
struct NoSums {
  AR_HD void add(NoSums) {}
  AR_HD Two<double> totals() const { return {0, 0}; }
};

/// The two numbers returned.
template <class T>
struct PairSums {
  Sum<T> a, b;
  AR_HD void add(Two<T> v) { a.add(v.a), b.add(v.b); }
  AR_HD Two<double> totals() const { return {a.total(), b.total()}; }
};

/// The number returned, and its square. Both are summed about the thread's first value, and moved back in f64: so the
/// variance that is made of them keeps its digits where a mean is far from zero.
template <class T>
struct MomentSums {
  T pivot = 0;
  int64_t count = 0;
  PairSums<T> about;
  AR_HD void add(T v) {
    if (count++ == 0) pivot = v;
    const T d = v - pivot;
    about.add({d, d * d});
  }
  AR_HD Two<double> totals() const {
    const Two<double> s = about.totals();
    const double p = double(pivot), n = double(count);
    return {s.a + n * p, s.b + 2 * p * s.a + n * p * p};
  }
};

/// Offsets from one channel to the next, of K operands.
template <int K>
struct ChannelSteps {
  int64_t step[K];
};

constexpr int kTileChannels = 32, kTilePixels = 8;

template <int K, class F>
__global__ void __launch_bounds__(kTileChannels* kTilePixels)
    channel_pass_kernel(Walk<K> pixels, int64_t channels, ChannelSteps<K> steps, F f, double* partial) {
  SHARED(sums, double[2][kTilePixels][kTileChannels]);
  const int64_t channel = int64_t(blockIdx.x) * kTileChannels + threadIdx.x;
  typename F::Sums thread_sums;
  if (channel < channels)
    for (int64_t p = int64_t(blockIdx.y) * kTilePixels + threadIdx.y; p < pixels.numel;
         p += int64_t(gridDim.y) * kTilePixels) {
      int64_t at[K];
      pixels.at(p, at);
      for (int k = 0; k < K; ++k) at[k] += channel * steps.step[k];
      thread_sums.add(f(channel, at));
    }
  if (!partial) return;  // alike for all threads
  const Two<double> totals = thread_sums.totals();
  sums[0][threadIdx.y][threadIdx.x] = totals.a;
  sums[1][threadIdx.y][threadIdx.x] = totals.b;
  __syncthreads();
  if (threadIdx.y >= 2 || channel >= channels) return;
  double total = 0;
  for (int i = 0; i < kTilePixels; ++i) total += sums[threadIdx.y][i][threadIdx.x];
  partial[(int64_t(blockIdx.y) * 2 + threadIdx.y) * channels + channel] = total;
}

/// sum[c] += all rows' sums of channel c.
struct AddRows {
  const double* rows;
  int64_t parts, channels;
  double *sum_a, *sum_b;  // either may be null
  AR_HD void operator()(int64_t i) const {
    double* const to = i < channels ? sum_a : sum_b;
    if (!to) return;
    double total = 0;
    for (int64_t p = 0; p < parts; ++p) total += rows[p * 2 * channels + i];
    to[i < channels ? i : i - channels] += total;
  }
};

/// f(channel, offsets) for every element of the views, (N,C,...) with one shape; sum_a[c] and sum_b[c] (device memory,
/// either may be null) grow by the totals of F::Sums over what it returns.
template <int K, class F>
void channel_pass(const View* const (&views)[K], const F& f, double* sum_a = nullptr, double* sum_b = nullptr) {
  const Walk<K> pixels = make_walk(views, Order::memory, ~(1u << 1));
  const int64_t channels = views[0]->shape[1];
  if (pixels.numel == 0 || channels == 0) return;
  ChannelSteps<K> steps;
  for (int k = 0; k < K; ++k) steps.step[k] = views[k]->strides[1];
  const int64_t tiles = (channels + kTileChannels - 1) / kTileChannels;
  int64_t parts = gpu::most_blocks() / tiles, useful = (pixels.numel + kTilePixels * 4 - 1) / (kTilePixels * 4);
  parts = parts > useful ? useful : parts;
  parts = parts < 1 ? 1 : parts > 65535 ? 65535 : parts;
  const bool wanted = sum_a || sum_b;
  const Scratch partial(wanted ? parts * 2 * channels * int64_t(sizeof(double)) : 0);
  double* const rows = wanted ? partial.as<double>() : nullptr;
  gpu::launch(channel_pass_kernel<K, F>,
              {dim3(unsigned(tiles), unsigned(parts)), dim3(kTileChannels, kTilePixels), 0, stream()}, pixels, channels,
              steps, f, rows);
  if (wanted) each_item(2 * channels, AddRows{rows, parts, channels, sum_a, sum_b});
}

/// y = activation(x), NaN kept.
template <class T>
AR_HD T activate(Activation act, T x, T slope) {
  switch (act) {
    case Activation::relu:
      return x < 0 ? T(0) : x;
    case Activation::relu6:
      return x < 0 ? T(0) : x > 6 ? T(6) : x;
    case Activation::leaky_relu:
      return x > 0 ? x : slope * x;
    default:
      return x;
  }
}

/// g activation'(x).
template <class T>
AR_HD T activation_gradient(Activation act, T x, T g, T slope) {
  switch (act) {
    case Activation::relu:
      return x > 0 ? g : T(0);
    case Activation::relu6:
      return x > 0 && x < 6 ? g : T(0);
    case Activation::leaky_relu:
      return x > 0 ? g : slope * g;
    default:
      return g;
  }
}

}  // namespace ar::cuda
