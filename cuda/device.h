// Memory, streams and events of the device, behind one small interface with two implementations: device_cuda.cpp (the
// CUDA runtime) and emulation/device.cpp (host memory). Only these two, gpu.h and the files that wrap cuBLAS and cuDNN
// know CUDA's own interface.
#pragma once
#include <cstddef>
#include <cstdint>
#include <source_location>

namespace ar::gpu {

struct Stream {
  void* handle = nullptr;  // null: the default stream
};
struct Event {
  void* handle = nullptr;
};

// ---- memory ----
/// 256-byte aligned; contents undefined (emulated: all bits set, NaN). Null when there is not so much.
void* allocate(std::size_t bytes);
void release(void* memory) noexcept;
/// Host memory that copies run from and to while kernels compute. Null when there is not so much.
void* allocate_pinned(std::size_t bytes);
void release_pinned(void* memory) noexcept;
/// Asynchronous, in any direction; all memory stays as it is until the stream has come so far. What is not pinned comes
/// to the device by staging.h.
void copy(void* to, const void* from, std::size_t bytes, Stream = {});
void fill(void* memory, int byte, std::size_t bytes, Stream = {});
struct MemoryInfo {
  std::int64_t free, total;
};
MemoryInfo memory_info();

// ---- streams and events ----
Stream create_stream();
void destroy(Stream);
void synchronize(Stream = {});
Event create_event();
void destroy(Event) noexcept;
void record(Event, Stream = {});
/// What is queued on the stream from now on begins after the event.
void wait(Stream, Event);
/// The host waits for the event.
void synchronize(Event);
float milliseconds(Event begin, Event end);

// ---- recorded work ----
/// What is asked of the stream from now on is recorded and not done. Until end_recording() nobody may wait for it.
void begin_recording(Stream);
struct Graph {
  void* handle = nullptr;
};
/// The recorded work, ready to be launched any number of times.
Graph end_recording(Stream);
/// Forgets what was recorded; after an error.
void abandon_recording(Stream) noexcept;
void launch(Graph, Stream);
void destroy(Graph) noexcept;

// ---- the device ----
int device_count();
const char* device_name(int index);
/// Makes a device the calling thread's. Throws Error with the reason when it cannot be used.
void use_device(int index);
/// How many blocks keep the whole device busy; kernels with a grid-stride loop use no more.
std::int64_t most_blocks();
/// AR_CUDA_SYNC=1: every launch is waited for, so that an error names the kernel that made it.
bool synchronous();

/// Throws Error "cuda: WHAT (FILE:LINE): text of the status" unless the status (a cudaError_t) is success.
void check(int status, const char* what, std::source_location where = std::source_location::current());

}  // namespace ar::gpu
