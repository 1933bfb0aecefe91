// device.h over the CUDA runtime; compiled by the host compiler.
#include "cuda/device.h"

#include <cuda_runtime_api.h>

#include <cstdlib>
#include <cstring>

#include "tensor/error.h"

namespace ar::gpu {
namespace {

cudaStream_t raw(Stream stream) { return static_cast<cudaStream_t>(stream.handle); }
cudaEvent_t raw(Event event) { return static_cast<cudaEvent_t>(event.handle); }

/// Null when memory is short; other failures throw.
void* memory_or_null(cudaError_t status, void* memory, const char* what) {
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();  // it would be reported again by the next call
    return nullptr;
  }
  check(status, what);
  return memory;
}

}  // namespace

void check(int status, const char* what, std::source_location where) {
  if (status == cudaSuccess) return;
  const char* file = std::strrchr(where.file_name(), '/');
  fail("cuda: ", what, " (", file ? file + 1 : where.file_name(), ":", where.line(),
       "): ", cudaGetErrorString(cudaError_t(status)),
       synchronous() ? "" : "; AR_CUDA_SYNC=1 names the kernel that failed, if it was an earlier one");
}

void* allocate(std::size_t bytes) {
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, bytes ? bytes : 1);
  return memory_or_null(status, memory, "allocation");
}
void release(void* memory) noexcept { cudaFree(memory); }
void* allocate_pinned(std::size_t bytes) {
  void* memory = nullptr;
  const cudaError_t status = cudaMallocHost(&memory, bytes ? bytes : 1);
  return memory_or_null(status, memory, "allocation of pinned host memory");
}
void release_pinned(void* memory) noexcept { cudaFreeHost(memory); }
void copy(void* to, const void* from, std::size_t bytes, Stream stream) {
  if (bytes) check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDefault, raw(stream)), "copy");
}
void fill(void* memory, int byte, std::size_t bytes, Stream stream) {
  if (bytes) check(cudaMemsetAsync(memory, byte, bytes, raw(stream)), "fill");
}
MemoryInfo memory_info() {
  std::size_t free = 0, total = 0;
  check(cudaMemGetInfo(&free, &total), "size of the device's memory");
  return {std::int64_t(free), std::int64_t(total)};
}

Stream create_stream() {
  cudaStream_t stream;
  check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "creation of a stream");
  return {stream};
}
void destroy(Stream stream) { check(cudaStreamDestroy(raw(stream)), "end of a stream"); }
void synchronize(Stream stream) { check(cudaStreamSynchronize(raw(stream)), "work queued before"); }
Event create_event() {
  cudaEvent_t event;
  check(cudaEventCreate(&event), "creation of an event");
  return {event};
}
void destroy(Event event) noexcept { cudaEventDestroy(raw(event)); }
void record(Event event, Stream stream) { check(cudaEventRecord(raw(event), raw(stream)), "record of an event"); }
void wait(Stream stream, Event event) { check(cudaStreamWaitEvent(raw(stream), raw(event)), "wait for an event"); }
void synchronize(Event event) { check(cudaEventSynchronize(raw(event)), "work queued before"); }
float milliseconds(Event begin, Event end) {
  float result = 0;
  check(cudaEventElapsedTime(&result, raw(begin), raw(end)), "time between events");
  return result;
}

// Relaxed: other threads, and the allocator, may go on calling what is not queued on a stream.
void begin_recording(Stream stream) {
  check(cudaStreamBeginCapture(raw(stream), cudaStreamCaptureModeRelaxed), "start of a recording");
}
Graph end_recording(Stream stream) {
  cudaGraph_t graph = nullptr;
  check(cudaStreamEndCapture(raw(stream), &graph), "end of a recording");
  cudaGraphExec_t ready = nullptr;
  const cudaError_t status = cudaGraphInstantiate(&ready, graph, 0);
  cudaGraphDestroy(graph);
  check(status, "preparation of recorded work");
  return {ready};
}
void abandon_recording(Stream stream) noexcept {
  cudaGraph_t graph = nullptr;
  cudaStreamEndCapture(raw(stream), &graph);
  if (graph) cudaGraphDestroy(graph);
  cudaGetLastError();  // what ended the recording has been reported
}
void launch(Graph graph, Stream stream) {
  check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph.handle), raw(stream)), "launch of recorded work");
}
void destroy(Graph graph) noexcept { cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph.handle)); }

int device_count() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status == cudaErrorNoDevice) return 0;
  if (status == cudaErrorInsufficientDriver) {
    int driver = 0;
    cudaDriverGetVersion(&driver);
    if (driver == 0) fail("no CUDA device can be used: there is no NVIDIA driver");
    fail("no CUDA device can be used: the NVIDIA driver is for CUDA ", driver / 1000, ".", driver % 1000 / 10,
         ", this build needs ", CUDART_VERSION / 1000, ".", CUDART_VERSION % 1000 / 10);
  }
  if (status != cudaSuccess) fail("no CUDA device can be used: ", cudaGetErrorString(status));
  return count;
}
const char* device_name(int index) {
  static cudaDeviceProp properties;
  return cudaGetDeviceProperties(&properties, index) == cudaSuccess ? properties.name : "unknown";
}
void use_device(int index) { check(cudaSetDevice(index), "choice of the device"); }
std::int64_t most_blocks() {
  static const std::int64_t blocks = [] {
    int device = 0, processors = 0;
    check(cudaGetDevice(&device), "current device");
    check(cudaDeviceGetAttribute(&processors, cudaDevAttrMultiProcessorCount, device), "number of multiprocessors");
    return std::int64_t(processors) * 16;
  }();
  return blocks;
}
bool synchronous() {
  static const bool on = [] {
    const char* value = std::getenv("AR_CUDA_SYNC");
    return value && *value && std::strcmp(value, "0") != 0;
  }();
  return on;
}

}  // namespace ar::gpu
