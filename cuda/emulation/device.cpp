// device.h without a GPU: device memory is host memory (so AddressSanitizer watches it), streams run at once, or, with
// options().deferred_streams, only when the host waits for them.
#include "cuda/device.h"

#include <malloc.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "cuda/emulation/emulation.h"
#include "tensor/error.h"

namespace {
using Clock = std::chrono::steady_clock;
using Work = std::vector<std::function<void()>>;
struct Queue {
  std::deque<std::function<void()>> work;
  std::unique_ptr<Work> recorded;  // while a recording is made
};
/// Counts, as an event may be recorded again while somebody waits for an earlier time. Queued work shares it: an event
/// may be destroyed before its queue has come there.
struct Mark {
  std::int64_t recorded = 0, reached = 0;
  Queue* queue = nullptr;
  Clock::time_point time;
};
std::shared_ptr<Mark>& mark_of(ar::gpu::Event event) { return *static_cast<std::shared_ptr<Mark>*>(event.handle); }
Queue& queue(void* handle) {
  static Queue standard;
  return handle ? *static_cast<Queue*>(handle) : standard;
}
/// Several threads may ask for work; it is done by one at a time.
std::recursive_mutex& turn() {
  static std::recursive_mutex mutex;
  return mutex;
}
void step(Queue& q) {
  auto work = std::move(q.work.front());
  q.work.pop_front();
  work();
}
void drain(Queue& q) {
  const std::lock_guard lock(turn());
  while (!q.work.empty()) step(q);
}
void reach(const Mark& mark, std::int64_t number, Queue& q) {
  const std::lock_guard lock(turn());
  while (mark.reached < number && !q.work.empty()) step(q);
}
std::int64_t allocated = 0;  // bytes
}  // namespace

namespace ar::emulation {
void submit(void* stream, std::function<void()> work) {
  static std::atomic<std::int64_t> submitted{0};
  if (options().lost_after >= 0 && submitted++ >= options().lost_after)
    ar::fail("cuda: a kernel: the device is lost (AR_EMULATION_LOST_AFTER)");
  const std::lock_guard lock(turn());
  if (queue(stream).recorded) return queue(stream).recorded->push_back(std::move(work));
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
void* allocate_pinned(std::size_t bytes) {
  void* memory = nullptr;
  return posix_memalign(&memory, 256, bytes ? bytes : 1) == 0 ? memory : nullptr;
}
void release_pinned(void* memory) noexcept { std::free(memory); }
MemoryInfo memory_info() { return {emulation::options().memory_bytes - allocated, emulation::options().memory_bytes}; }
void copy(void* to, const void* from, std::size_t bytes, Stream stream) {
  submit(stream.handle, [=] {
    if (bytes) std::memcpy(to, from, bytes);
  });
}
void fill(void* memory, int byte, std::size_t bytes, Stream stream) {
  submit(stream.handle, [=] {
    if (bytes) std::memset(memory, byte, bytes);
  });
}
Stream create_stream() { return {new Queue}; }
void destroy(Stream stream) { delete static_cast<Queue*>(stream.handle); }
void synchronize(Stream stream) {
  if (queue(stream.handle).recorded) ar::fail("cuda: nobody may wait for work that is being recorded");
  drain(queue(stream.handle));
}
Event create_event() { return {new std::shared_ptr<Mark>(std::make_shared<Mark>())}; }
void destroy(Event event) noexcept { delete static_cast<std::shared_ptr<Mark>*>(event.handle); }
void record(Event event, Stream stream) {
  const std::shared_ptr<Mark> mark = mark_of(event);
  mark->queue = &queue(stream.handle);
  submit(stream.handle, [mark, number = ++mark->recorded] {
    mark->reached = std::max(mark->reached, number), mark->time = Clock::now();
  });
}
void wait(Stream stream, Event event) {
  const std::shared_ptr<Mark> mark = mark_of(event);
  if (!mark->recorded) return;  // as in CUDA: nothing to wait for
  submit(stream.handle, [mark, number = mark->recorded, from = mark->queue] { reach(*mark, number, *from); });
}
void synchronize(Event event) {
  const std::shared_ptr<Mark> mark = mark_of(event);
  if (mark->recorded) reach(*mark, mark->recorded, *mark->queue);
}
float milliseconds(Event begin, Event end) {
  return std::chrono::duration<float, std::milli>(mark_of(end)->time - mark_of(begin)->time).count();
}

void begin_recording(Stream stream) { queue(stream.handle).recorded = std::make_unique<Work>(); }
Graph end_recording(Stream stream) { return {queue(stream.handle).recorded.release()}; }
void abandon_recording(Stream stream) noexcept { queue(stream.handle).recorded.reset(); }
void launch(Graph graph, Stream stream) {
  for (const auto& work : *static_cast<Work*>(graph.handle)) submit(stream.handle, work);
}
void destroy(Graph graph) noexcept { delete static_cast<Work*>(graph.handle); }

int device_count() { return emulation::options().devices; }
const char* device_name(int) { return "emulated"; }
void use_device(int) {}
std::int64_t most_blocks() { return emulation::options().most_blocks; }
bool synchronous() { return false; }

}  // namespace ar::gpu
