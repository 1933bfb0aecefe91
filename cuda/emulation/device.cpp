// device.h without a GPU: device memory is host memory (so AddressSanitizer watches it), streams run at once, or, with
// options().deferred_streams, only when the host waits for them.
#include "cuda/device.h"

#include <malloc.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <vector>

#include "cuda/emulation/emulation.h"

namespace {
using Clock = std::chrono::steady_clock;
struct Queue {
  std::deque<std::function<void()>> work;
};
struct Mark {
  bool recorded = false, reached = false;
  Queue* queue = nullptr;
  Clock::time_point time;
};
Queue& queue(void* handle) {
  static Queue standard;
  return handle ? *static_cast<Queue*>(handle) : standard;
}
void step(Queue& q) {
  auto work = std::move(q.work.front());
  q.work.pop_front();
  work();
}
void drain(Queue& q) {
  while (!q.work.empty()) step(q);
}
std::int64_t allocated = 0;  // bytes
}  // namespace

namespace ar::emulation {
void submit(void* stream, std::function<void()> work) {
  if (!options().deferred_streams) return work();
  queue(stream).work.push_back(std::move(work));
}
}  // namespace ar::emulation

namespace ar::gpu {
using ar::emulation::submit;

void* allocate(std::size_t bytes) {
  void* memory = nullptr;
  if (std::int64_t(bytes) > memory_info().free || posix_memalign(&memory, 256, bytes ? bytes : 1) != 0) return nullptr;
  allocated += std::int64_t(malloc_usable_size(memory));
  return std::memset(memory, 0xff, bytes);
}
void release(void* memory) noexcept {
  if (memory) allocated -= std::int64_t(malloc_usable_size(memory));
  std::free(memory);
}
void* allocate_pinned(std::size_t bytes) { return std::malloc(bytes ? bytes : 1); }
void release_pinned(void* memory) noexcept { std::free(memory); }
MemoryInfo memory_info() { return {emulation::options().memory_bytes - allocated, emulation::options().memory_bytes}; }
void copy(void* to, const void* from, std::size_t bytes, Stream stream) {
  submit(stream.handle, [=] {
    if (bytes) std::memcpy(to, from, bytes);
  });
}
void upload(void* to, const void* from, std::size_t bytes, Stream stream) {
  const char* const begin = static_cast<const char*>(from);
  submit(stream.handle, [to, staged = std::vector<char>(begin, begin + bytes)] {
    if (!staged.empty()) std::memcpy(to, staged.data(), staged.size());
  });
}
void fill(void* memory, int byte, std::size_t bytes, Stream stream) {
  submit(stream.handle, [=] {
    if (bytes) std::memset(memory, byte, bytes);
  });
}
Stream create_stream() { return {new Queue}; }
void destroy(Stream stream) { delete static_cast<Queue*>(stream.handle); }
void synchronize(Stream stream) { drain(queue(stream.handle)); }
Event create_event() { return {new Mark}; }
void destroy(Event event) { delete static_cast<Mark*>(event.handle); }
void record(Event event, Stream stream) {
  Mark* mark = static_cast<Mark*>(event.handle);
  mark->recorded = true, mark->reached = false, mark->queue = &queue(stream.handle);
  submit(stream.handle, [=] { mark->reached = true, mark->time = Clock::now(); });
}
void wait(Stream stream, Event event) {
  Mark* mark = static_cast<Mark*>(event.handle);
  if (!mark->recorded) return;  // as in CUDA: nothing to wait for
  submit(stream.handle, [=] {
    while (!mark->reached && !mark->queue->work.empty()) step(*mark->queue);
  });
}
float milliseconds(Event begin, Event end) {
  return std::chrono::duration<float, std::milli>(static_cast<Mark*>(end.handle)->time -
                                                  static_cast<Mark*>(begin.handle)->time)
      .count();
}

int device_count() { return 1; }
const char* device_name(int) { return "emulated"; }
void use_device(int) {}
std::int64_t most_blocks() { return emulation::options().most_blocks; }
bool synchronous() { return false; }

}  // namespace ar::gpu
