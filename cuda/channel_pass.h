// Passes over the pixels of channels-last tensors: something for every element, and two sums for each channel.
//
// A block is 32 channels x 8 pixels, so a warp reads 32 neighbouring channels of one pixel. Blocks lie in a grid of
// (channel tiles, parts of the pixels); a thread goes down its channel, adds up in registers, the 8 threads of a
// channel meet in shared memory, and each part writes its sums to a row of its own. A second kernel adds up the rows in
// order, so that equal inputs give equal bits.
#pragma once
#include "cuda/each.h"
#include "tensor/kernels.h"

namespace ar::cuda {

template <class T>
struct Two {
  T a, b;
};

/// Offsets from one channel to the next, of K operands.
template <int K>
struct ChannelSteps {
  int64_t step[K];
};

constexpr int kTileChannels = 32, kTilePixels = 8;

template <class T, int K, class F>
__global__ void __launch_bounds__(kTileChannels* kTilePixels)
    channel_pass_kernel(Walk<K> pixels, int64_t channels, ChannelSteps<K> steps, F f, double* partial) {
  SHARED(sums, double[2][kTilePixels][kTileChannels]);
  const int64_t channel = int64_t(blockIdx.x) * kTileChannels + threadIdx.x;
  Sum<T> sum_a, sum_b;
  if (channel < channels)
    for (int64_t p = int64_t(blockIdx.y) * kTilePixels + threadIdx.y; p < pixels.numel;
         p += int64_t(gridDim.y) * kTilePixels) {
      int64_t at[K];
      pixels.at(p, at);
      for (int k = 0; k < K; ++k) at[k] += channel * steps.step[k];
      const Two<T> two = f(channel, at);
      sum_a.add(two.a);
      sum_b.add(two.b);
    }
  if (!partial) return;  // alike for all threads
  sums[0][threadIdx.y][threadIdx.x] = sum_a.total();
  sums[1][threadIdx.y][threadIdx.x] = sum_b.total();
  __syncthreads();
  if (threadIdx.y >= 2 || channel >= channels) return;
  double total = 0;
  for (int i = 0; i < kTilePixels; ++i) total += sums[threadIdx.y][i][threadIdx.x];
  partial[(int64_t(blockIdx.y) * 2 + threadIdx.y) * channels + channel] = total;
}

/// totals[i] = sum over the rows of row[i].
struct AddRows {
  const double* rows;
  int64_t parts, n;
  double* totals;
  AR_HD void operator()(int64_t i) const {
    double total = 0;
    for (int64_t p = 0; p < parts; ++p) total += rows[p * n + i];
    totals[i] = total;
  }
};

/// Adds the device's sums [2][channels] to those of the host (either may be null), and waits for them.
void add_sums(const double* device, int64_t channels, double* sum_a, double* sum_b);

/// f(channel, offsets) -> Two<T> for every element of the views, (N,C,...) with one shape; sum_a[c] and sum_b[c] (host
/// memory, either may be null) grow by the sums of what it returns.
template <class T, int K, class F>
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
  const Scratch partial(wanted ? (parts + 1) * 2 * channels * int64_t(sizeof(double)) : 0);
  double* const rows = wanted ? partial.as<double>() : nullptr;
  gpu::launch(channel_pass_kernel<T, K, F>,
              {dim3(unsigned(tiles), unsigned(parts)), dim3(kTileChannels, kTilePixels), 0, stream()}, pixels, channels,
              steps, f, rows);
  if (!wanted) return;
  double* const totals = rows + parts * 2 * channels;
  each_item(2 * channels, AddRows{rows, parts, 2 * channels, totals});
  add_sums(totals, channels, sum_a, sum_b);
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

}  // namespace ar::cuda
