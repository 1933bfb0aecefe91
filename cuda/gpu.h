// The only header of CUDA that a kernel file includes. nvcc sees CUDA; any other compiler sees the emulation. A kernel
// file says launch(...) instead of <<<>>>, and SHARED / DYNAMIC_SHARED instead of a bare __shared__; all else is plain
// CUDA C++.
#pragma once
#include <source_location>
#include <string>
#include <type_traits>

#include "cuda/device.h"
#include "tensor/error.h"

#ifdef __CUDACC__
#include <cuda_runtime.h>
#define SHARED(name, ...) __shared__ std::type_identity_t<__VA_ARGS__> name
#define DYNAMIC_SHARED(type, name)                                      \
  extern __shared__ __align__(16) unsigned char dynamic_shared_bytes[]; \
  type* name = reinterpret_cast<type*>(dynamic_shared_bytes)
#else
#include "cuda/emulation/emulation.h"
#endif

namespace ar::gpu {

struct Shape {
  dim3 grid, block;
  std::size_t shared_bytes = 0;  // dynamic shared memory
  Stream stream = {};
  std::source_location where = std::source_location::current();  // named in error messages
};

/// Bytes of a kernel's parameters, one after the other; 4096 are allowed everywhere.
template <class... Parameters>
constexpr std::size_t parameter_bytes() {
  std::size_t end = 0;
  ((end = (end + alignof(Parameters) - 1) / alignof(Parameters) * alignof(Parameters) + sizeof(Parameters)), ...);
  return end;
}

/// launch(kernel, {grid, block}, arguments...): the argument types come from the kernel alone, so a wrong count or an
/// inconvertible argument is a compile error at the call. Throws Error naming the line of the launch.
template <class... Parameters>
void launch(void (*kernel)(Parameters...), const Shape& shape, std::type_identity_t<Parameters>... arguments) {
  static_assert((std::is_trivially_copyable_v<Parameters> && ...) && (!std::is_reference_v<Parameters> && ...),
                "kernel parameters travel by value as bytes");
  static_assert(parameter_bytes<Parameters...>() <= 4096);
#ifdef __CUDACC__
  if (shape.shared_bytes > 48 * 1024)
    check(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, int(shape.shared_bytes)),
          "shared memory of a kernel", shape.where);
  cudaLaunchConfig_t config{};
  config.gridDim = shape.grid;
  config.blockDim = shape.block;
  config.dynamicSmemBytes = shape.shared_bytes;
  config.stream = static_cast<cudaStream_t>(shape.stream.handle);
  check(cudaLaunchKernelEx(&config, kernel, arguments...), "launch of a kernel", shape.where);
  if (synchronous()) check(cudaStreamSynchronize(config.stream), "a kernel", shape.where);
#else
  emulation::submit(shape.stream.handle, [=] {
    auto one_thread = [&] { kernel(arguments...); };
    emulation::run({shape.grid, shape.block, shape.shared_bytes, shape.where}, one_thread);
  });
#endif
}

/// Blocks for so many items, at most most_blocks(): the kernel strides over the rest.
inline unsigned blocks_for(std::int64_t items, std::int64_t per_block) {
  const std::int64_t blocks = (items + per_block - 1) / per_block, most = most_blocks();
  return unsigned(blocks < 1 ? 1 : blocks < most ? blocks : most);
}

}  // namespace ar::gpu
