// Bytes of images and videos to normalised floats, in GB/s of bytes read and written.
#include <benchmark/benchmark.h>

#include "tensor/ops_frames.h"

namespace {

using namespace ar;

void normalize(benchmark::State& state, const Dims& shape, Dtype dtype, bool flip) {
  const Tensor x = empty(shape, {.dtype = Dtype::u8, .row_align = 64});
  x.fill(77);
  const std::vector<FrameWindow> windows(std::size_t(shape[0]), {.top = 0, .left = 0, .flip = flip});
  for (auto _ : state) benchmark::DoNotOptimize(ops::normalize_frames(x, {}, {.dtype = dtype, .windows = windows}));
  state.SetBytesProcessed(int64_t(state.iterations()) * x.numel() * (1 + size_of(dtype)));
}

const Dims kImages{32, 3, 224, 224}, kVideos{4, 3, 16, 224, 224};
BENCHMARK_CAPTURE(normalize, images_f32, kImages, Dtype::f32, false)->UseRealTime();
BENCHMARK_CAPTURE(normalize, images_f32_mirrored, kImages, Dtype::f32, true)->UseRealTime();
BENCHMARK_CAPTURE(normalize, images_bf16, kImages, Dtype::bf16, false)->UseRealTime();
BENCHMARK_CAPTURE(normalize, videos_f32, kVideos, Dtype::f32, false)->UseRealTime();

// The same traffic without arithmetic.
void copy_floats(benchmark::State& state) {
  const Tensor x = zeros(kImages), y = empty(kImages);
  for (auto _ : state) y.copy_from(x);
  state.SetBytesProcessed(int64_t(state.iterations()) * x.numel() * 8);
}
BENCHMARK(copy_floats)->UseRealTime();

}  // namespace
