// The second stage of the sums of a channel pass: the parts that blocks left are added up, the same way every time. A
// block takes 16 columns, so that half a warp reads a run of 128 bytes, and 32 threads for each of them: a few hundred
// parts are then a dozen additions behind each other rather than hundreds.
#include "cuda/channel_sums.h"
#include "cuda/context.h"

namespace ar::cuda {
namespace {

constexpr int kColumns = 16, kRows = 32;

__global__ void __launch_bounds__(kColumns* kRows)
    add_parts_kernel(const double* partial, int64_t parts, int64_t channels, double* sum_a, double* sum_b) {
  SHARED(tree, double[kRows][kColumns]);
  const int x = int(threadIdx.x), y = int(threadIdx.y);
  const int64_t column = int64_t(blockIdx.x) * kColumns + x, columns = 2 * channels;
  double total = 0;
  if (column < columns)
#pragma unroll 4
    for (int64_t p = y; p < parts; p += kRows) total += partial[p * columns + column];
  tree[y][x] = total;
  for (int half = kRows / 2; half > 0; half /= 2) {
    __syncthreads();
    if (y < half) tree[y][x] += tree[y + half][x];
  }
  if (y != 0 || column >= columns) return;
  double* const to = column < channels ? sum_a : sum_b;
  if (to) to[column < channels ? column : column - channels] += tree[0][x];
}

}  // namespace

void add_parts(const double* partial, int64_t parts, int64_t channels, double* sum_a, double* sum_b) {
  gpu::launch(add_parts_kernel,
              {unsigned((2 * channels + kColumns - 1) / kColumns), dim3(kColumns, kRows), 0, stream()}, partial, parts,
              channels, sum_a, sum_b);
}

}  // namespace ar::cuda
