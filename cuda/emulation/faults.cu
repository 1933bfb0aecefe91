// Deliberately wrong kernels: each test_cuda_faults_VARIANT NAME must end with the message that CMakeLists.txt expects.
#include <cstdio>
#include <string>
#include <vector>

#include "cuda/gpu.h"

using ar::gpu::launch;

namespace {

/// Device memory of some T, which can be read as it stands.
template <class T>
class Buffer {
 public:
  explicit Buffer(std::size_t size) : data_(static_cast<T*>(ar::gpu::allocate(size * sizeof(T)))), size_(size) {}
  Buffer(const Buffer&) = delete;
  ~Buffer() { ar::gpu::release(data_); }
  T* data() const { return data_; }
  std::vector<T> to_host() const {
    std::vector<T> host(size_);
    ar::gpu::copy(host.data(), data_, size_ * sizeof(T));
    ar::gpu::synchronize();
    return host;
  }

 private:
  T* data_;
  std::size_t size_;
};

__global__ void two_barriers(int* out) {
  if (threadIdx.x < 16)
    __syncthreads();
  else
    __syncthreads();
  out[threadIdx.x] = 1;
}
__global__ void returns_before_barrier(int* out) {
  if (threadIdx.x == 3) return;
  __syncthreads();
  out[threadIdx.x] = 1;
}
__global__ void shuffle_against_barrier(int* out) {
  if (threadIdx.x == 5) __syncthreads();
  out[threadIdx.x] = __shfl_xor_sync(0xffffffffu, 1, 1);
  if (threadIdx.x != 5) __syncthreads();
}
__global__ void mask_without_caller(int* out) { out[threadIdx.x] = __shfl_sync(0xffffu, 1, 0); }
__global__ void reads_outside_mask(int* out) {
  if (threadIdx.x < 16) out[threadIdx.x] = __shfl_down_sync(0xffffu, 1, 8);
}
__global__ void reads_uninitialised(float* out) {
  SHARED(values, float[32]);
  if (threadIdx.x != 7) values[threadIdx.x] = 1;
  __syncthreads();
  out[threadIdx.x] = values[threadIdx.x ^ 1];
}
__global__ void writes_past_static(float* out) {
  SHARED(values, float[32]);
  values[threadIdx.x + 1] = 1;
  __syncthreads();
  out[threadIdx.x] = values[threadIdx.x];
}
__global__ void writes_past_dynamic(float* out, int step) {
  DYNAMIC_SHARED(float, values);
  values[threadIdx.x * step] = 1;
  __syncthreads();
  out[threadIdx.x] = values[threadIdx.x * step];
}
__global__ void no_bounds_check(float* out) { out[blockIdx.x * blockDim.x + threadIdx.x] = 1; }
__global__ void misaligned_vector(const float* x, float4* out) { *out = *reinterpret_cast<const float4*>(x + 1); }
__global__ void missing_barrier(float* out) {
  SHARED(values, float[64]);
  values[threadIdx.x] = -1;
  __syncthreads();
  values[threadIdx.x] = float(threadIdx.x);
  out[threadIdx.x] = values[63 - threadIdx.x];
}
__global__ void missing_syncwarp(float* out) {
  SHARED(values, float[32]);
  values[threadIdx.x] = -1;
  __syncwarp();
  values[threadIdx.x] = float(threadIdx.x);
  out[threadIdx.x] = values[31 - threadIdx.x];
}
__global__ void no_atomic(float* total) {
  if (threadIdx.x == 0) total[0] += 1;
}

__device__ int deeper(int depth) {
  volatile int local[64];
  local[depth % 64] = depth;
  return depth == 0 ? 0 : deeper(depth - 1) + local[depth % 64];
}
__global__ void deep_recursion(int* out, int depth) { *out = deeper(depth); }

int run(const std::string& name) {
  Buffer<int> ints(64);
  Buffer<float> floats(100);
  auto& options = ar::emulation::options();
  if (name == "two_barriers") launch(two_barriers, {1, 32}, ints.data());
  if (name == "many_errors") {  // an error leaves the emulation usable
    for (int i = 0; i < 50; ++i)
      for (auto kernel : {two_barriers, shuffle_against_barrier, mask_without_caller}) try {
          launch(kernel, {1, 64}, ints.data());
        } catch (const ar::emulation::Error&) {
          launch(returns_before_barrier, {2, 64}, ints.data());
        }
    std::printf("still alive: %d\n", ints.to_host()[63]);
  }
  if (name == "returns_before_barrier") {
    launch(returns_before_barrier, {1, 32}, ints.data());  // legal from sm_70 on
    options.exited_at_barrier = false;
    launch(returns_before_barrier, {1, 32}, ints.data());
  }
  if (name == "shuffle_against_barrier") launch(shuffle_against_barrier, {1, 32}, ints.data());
  if (name == "mask_without_caller") launch(mask_without_caller, {1, 32}, ints.data());
  if (name == "mask_beyond_warp") launch(shuffle_against_barrier, {1, 48}, ints.data());
  if (name == "reads_outside_mask") launch(reads_outside_mask, {1, 32}, ints.data());
  if (name == "reads_uninitialised") {
    launch(reads_uninitialised, {1, 32}, floats.data());
    std::printf("out[6] = %f\n", double(floats.to_host()[6]));
  }
  if (name == "writes_past_static") launch(writes_past_static, {1, 32}, floats.data());
  if (name == "writes_past_dynamic") launch(writes_past_dynamic, {1, 32, 31 * sizeof(float)}, floats.data(), 1);
  if (name == "far_past_dynamic") launch(writes_past_dynamic, {1, 32, 128}, floats.data(), 32);
  if (name == "no_bounds_check") launch(no_bounds_check, {4, 32}, floats.data());
  if (name == "misaligned_vector")
    launch(misaligned_vector, {1, 1}, floats.data(), reinterpret_cast<float4*>(floats.data() + 16));
  if (name == "missing_barrier")
    for (auto order : {ar::emulation::Order::forward, ar::emulation::Order::reverse}) {
      options.order = order;
      launch(missing_barrier, {1, 64}, floats.data());
      std::printf("out[0] = %f\n", double(floats.to_host()[0]));
    }
  if (name == "null_pointer") launch(no_atomic, {1, 1}, nullptr);
  if (name == "stack_overflow") launch(deep_recursion, {1, 1}, ints.data(), 1000);
  if (name == "missing_syncwarp") launch(missing_syncwarp, {1, 32}, floats.data());
  if (name == "no_atomic") launch(no_atomic, {2, 32}, floats.data());
  if (name == "shape") launch(no_atomic, {1, 2048}, floats.data());
  if (name == "grid") launch(no_atomic, {dim3(1, 65536), 32}, floats.data());
  if (name == "shared") launch(no_atomic, {1, 32, 228 * 1024}, floats.data());
  if (name == "missing_synchronise") {
    options.deferred_streams = true;
    ar::gpu::Stream stream = ar::gpu::create_stream();
    launch(returns_before_barrier, {1, 64, 0, stream}, ints.data());
    std::printf("before %d, ", ints.data()[0]);
    ar::gpu::synchronize(stream);
    std::printf("after %d\n", ints.data()[0]);
    ar::gpu::destroy(stream);
  }
  if (name == "missing_event") {
    options.deferred_streams = true;
    const Buffer<int> copied(1);
    const ar::gpu::Stream a = ar::gpu::create_stream(), b = ar::gpu::create_stream();
    const ar::gpu::Event ready = ar::gpu::create_event();
    launch(returns_before_barrier, {1, 64, 0, a}, ints.data());
    ar::gpu::record(ready, a);
    for (bool correct : {false, true}) {
      if (correct) ar::gpu::wait(b, ready);
      ar::gpu::copy(copied.data(), ints.data(), sizeof(int), b);
      ar::gpu::synchronize(b);
      std::printf("%s %d\n", correct ? "with wait" : "without wait", copied.data()[0]);
    }
    ar::gpu::destroy(ready), ar::gpu::destroy(a), ar::gpu::destroy(b);
  }
  return 0;
}

}  // namespace

int main(int, char** arguments) try { return run(arguments[1]); } catch (const ar::emulation::Error& error) {
  std::printf("%s\n", error.what());
  return 1;
}
