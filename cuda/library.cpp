// The library's entry: the backend of one CUDA device, as tensor/backend.h describes it.
#include <atomic>

#include "cuda/allocator.h"
#include "cuda/context.h"
#include "cuda/families.h"
#include "cuda/libraries.h"
#include "cuda/staging.h"
#include "tensor/graphs.h"

namespace ar::cuda {

namespace {

std::atomic<int> opened{-1};  // the index of the device in use

/// The device in use becomes the calling thread's: in CUDA each thread has its own.
void use_device_here() {
  static thread_local int used = -1;
  const int index = opened;
  if (index < 0 || used == index) return;
  gpu::use_device(index);
  used = index;
}

gpu::Stream copy_stream() {
  use_device_here();
  static const gpu::Stream only = gpu::create_stream();
  return only;
}
gpu::Stream stream_of(Queue queue) { return queue == Queue::compute ? stream() : copy_stream(); }

}  // namespace

gpu::Stream stream() {
  use_device_here();
  static const gpu::Stream only = gpu::create_stream();
  return only;
}

Scratch::Scratch(int64_t bytes, Shortage shortage)
    : data_(bytes > 0 ? allocator().allocate(bytes, shortage) : nullptr), bytes_(bytes) {}
Scratch::~Scratch() { allocator().release(data_, bytes_); }

namespace {
std::atomic<int64_t> waits{0}, uploads{0};
std::atomic<bool> recording{false};
thread_local bool records_here = false;  // other threads may go on copying batches

void not_recorded() {
  AR_CHECK(!records_here,
           "cuda: a step that is recorded can neither copy batches nor use events: repetitions would use the same "
           "memory, whoever has it then");
}
}  // namespace

void upload(void* device, const void* host, int64_t bytes) {
  AR_CHECK(!recording,
           "cuda: a step that is recorded cannot copy numbers from the host: their values would stay as they are now");
  ++uploads;
  staging().upload(device, host, bytes);
}

void wait() {
  AR_CHECK(!recording,
           "cuda: a step that is recorded cannot wait for the device (item(), to_vector(), a norm that is returned)");
  ++waits;
  gpu::synchronize(stream());
}

void read_back(void* host, const void* device, int64_t bytes) {
  if (!recording) gpu::copy(host, device, std::size_t(bytes), stream());
  wait();
}

namespace {

Kernels make_table() {
  Kernels k;
  k.name = "cuda";
  add_elementwise(k);
  add_copy(k);
  add_random(k);
  add_reduce(k);
  add_conv(k);
  add_gemm(k);
  add_channels(k);
  add_pool(k);
  add_softmax(k);
  add_lstm(k);
  add_lstm_sequence(k);
  add_optim(k);
  add_lrn(k);
  add_frames(k);
  return k;
}

/// Recorded work and its memory.
struct Recording {
  gpu::Graph graph;
  Allocator::Pool* pool;
};

const Graphs kGraphs{.begin =
                         [] {
                           allocator().begin_recording();
                           try {
                             gpu::begin_recording(stream());
                           } catch (...) {
                             allocator().close(allocator().end_recording());
                             throw;
                           }
                           recording = records_here = true;
                         },
                     .end = []() -> void* {
                       recording = records_here = false;
                       Allocator::Pool* const pool = allocator().end_recording();
                       try {
                         return new Recording{gpu::end_recording(stream()), pool};
                       } catch (...) {
                         allocator().close(pool);
                         throw;
                       }
                     },
                     .abandon =
                         [] {
                           recording = records_here = false;
                           gpu::abandon_recording(stream());
                           allocator().close(allocator().end_recording());
                         },
                     .launch = [](void* graph) { gpu::launch(static_cast<Recording*>(graph)->graph, stream()); },
                     .destroy =
                         [](void* graph) {
                           const Recording* const r = static_cast<Recording*>(graph);
                           gpu::destroy(r->graph);
                           allocator().close(r->pool);
                           delete r;
                         }};

/// Kernels are built for some architectures; whether this device is one of them shows when one is launched.
void try_kernel(int index) try {
  const Scratch memory(2 * int64_t(sizeof(float)));
  View v{memory.as<float>(), Dtype::f32, 1, {2}, {1}};
  Kernels k;
  add_copy(k);
  k.fill(v, 1);
  gpu::synchronize(stream());
} catch (const Error& e) {
  fail("device cuda:", index, " (", gpu::device_name(index), ") cannot run the kernels of this build: ", e.what(),
       "; see AR_CUDA_ARCHITECTURES in docs/cuda.md");
}

}  // namespace
}  // namespace ar::cuda

/// What the program and this library must agree on.
extern "C" int64_t ar_cuda_abi() { return int64_t(sizeof(ar::Kernels)) * 1000 + int64_t(sizeof(ar::Backend)); }

/// The backend of device `index`; throws Error with the reason when it cannot be used. One device a process.
extern "C" const ar::Backend* ar_cuda_open(int index) {
  using namespace ar;
  using namespace ar::cuda;
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  static const Kernels table = make_table();
  static const Backend backend{
      .kernels = &table,
      .allocate = [](int64_t bytes) { return use_device_here(), allocator().allocate(bytes); },
      .release = [](void* data, int64_t bytes) { allocator().release(data, bytes); },
      .upload = [](void* to, const void* from, int64_t bytes) { upload(to, from, bytes); },
      .download = [](void* to, const void* from, int64_t bytes) { read_back(to, from, bytes); },
      .synchronize = [] { wait(); },
      .allocate_pinned = [](int64_t bytes) { return use_device_here(), pinned_memory().allocate(bytes); },
      .release_pinned = [](void* data, int64_t bytes) { pinned_memory().release(data, bytes); },
      .copy = [](void* to, const void* from, int64_t bytes,
                 Queue queue) { not_recorded(), gpu::copy(to, from, std::size_t(bytes), stream_of(queue)); },
      .create_event = [] { return use_device_here(), gpu::create_event().handle; },
      .destroy_event = [](void* event) { gpu::destroy(gpu::Event{event}); },
      .record = [](void* event, Queue queue) { not_recorded(), gpu::record({event}, stream_of(queue)); },
      .wait = [](Queue queue, void* event) { not_recorded(), gpu::wait(stream_of(queue), {event}); },
      .synchronize_event =
          [](void* event) {
            not_recorded();
            use_device_here();
            ++waits;
            gpu::synchronize(gpu::Event{event});
          },
      .milliseconds = [](void* begin,
                         void* end) { return use_device_here(), double(gpu::milliseconds({begin}, {end})); },
      .memory_stats = [] { return allocator().stats(); },
      .reset_peak_memory = [] { allocator().reset_peak(); },
      .empty_cache = [] { allocator().empty_cache(); },
      .host_traffic =
          [] {
            return HostTraffic{waits, uploads};
          },
      .graphs = gpu::synchronous() ? nullptr : &kGraphs};
  if (opened == index) return &backend;
  const int devices = gpu::device_count();
  AR_CHECK(devices > 0, "device cuda:", index, ": no CUDA device is visible");
  AR_CHECK(index < devices, "device cuda:", index, ": there ", devices == 1 ? "is" : "are", " only ", devices,
           devices == 1 ? " device" : " devices", ", counted from 0");
  AR_CHECK(opened < 0, "device cuda:", index, ": this process uses cuda:", opened,
           "; one device a process, CUDA_VISIBLE_DEVICES chooses others");
  static int tried = -1;  // streams and cached memory are made for the first one
  AR_CHECK(tried < 0 || tried == index, "device cuda:", index, ": this process tried cuda:", tried,
           "; one device a process, CUDA_VISIBLE_DEVICES chooses others");
  gpu::use_device(tried = index);
  try_kernel(index);
  prepare_libraries();
  opened = index;
  return &backend;
}
