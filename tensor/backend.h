// The seam between tensors and devices: memory and kernels of one device.
#pragma once
#include <cstdint>
#include <string>

#include "tensor/device.h"
#include "tensor/kernels.h"

namespace ar {

/// Memory of a device that this process uses, in bytes.
struct MemoryStats {
  int64_t live = 0;    // held by tensors
  int64_t peak = 0;    // the most that was ever held since reset_peak_memory()
  int64_t cached = 0;  // free, kept for reuse
};

/// The two queues of a device's work. Each does its work in the order in which it was asked for; one waits for the
/// other only where an event says so.
enum class Queue : uint8_t { compute, copies };

/// How often the host waited for a device, and copied to it, since the program started.
struct HostTraffic {
  int64_t waits = 0, uploads = 0;
};

struct Graphs;  // tensor/graphs.h

struct Backend {
  const Kernels* kernels = nullptr;
  /// 64-byte aligned memory; on the CPU with 64 readable and writable bytes of slack behind it. Throws Error when there
  /// is none.
  void* (*allocate)(int64_t bytes) = nullptr;
  void (*release)(void* data, int64_t bytes) = nullptr;

  // Null on the CPU.
  /// Copies from and to host memory, behind all work asked for before. `from` may be changed as soon as upload returns;
  /// download returns when everything is there.
  void (*upload)(void* to, const void* from, int64_t bytes) = nullptr;
  void (*download)(void* to, const void* from, int64_t bytes) = nullptr;
  /// Waits for all work of the compute queue.
  void (*synchronize)() = nullptr;

  /// Page-locked host memory: copy() reads and writes it while the host goes on. Throws Error when there is none.
  void* (*allocate_pinned)(int64_t bytes) = nullptr;
  void (*release_pinned)(void* data, int64_t bytes) = nullptr;
  /// To or from the device, as the queue's next work; host memory must stay as it is until then.
  void (*copy)(void* to, const void* from, int64_t bytes, Queue) = nullptr;
  /// Events are places in a queue: see tensor/event.h.
  void* (*create_event)() = nullptr;
  void (*destroy_event)(void* event) = nullptr;
  void (*record)(void* event, Queue) = nullptr;
  void (*wait)(Queue, void* event) = nullptr;
  void (*synchronize_event)(void* event) = nullptr;
  double (*milliseconds)(void* begin, void* end) = nullptr;

  MemoryStats (*memory_stats)() = nullptr;
  void (*reset_peak_memory)() = nullptr;
  void (*empty_cache)() = nullptr;
  HostTraffic (*host_traffic)() = nullptr;
  const Graphs* graphs = nullptr;  // recorded steps
};

/// The backend of a device; throws Error with the reason when this build or machine has none. That of CUDA is a library
/// of its own, libar_cuda.so, opened here when it is first asked for: programs start without it. It is looked for where
/// AR_CUDA_LIBRARY says, beside this library or program, in ../lib from there, and where the system keeps libraries.
const Backend& backend(Device device);

/// The kernels to call for work on a device: those of its backend, timed while a profile is taken (tensor/profile.h).
const Kernels& kernels(Device device);

/// The CPU kernels in use: the best the processor runs, or those that AR_CPU (baseline, avx2, avx512) names.
const Kernels& cpu_kernels();
/// A table by name, or null when this processor or build has none.
const Kernels* cpu_kernels_named(const char* name);

/// Of the CPU.
MemoryStats memory_stats();
void reset_peak_memory();
/// Gives the cached memory back to the system.
void empty_cache();
/// The same of any device.
MemoryStats memory_stats(Device);
/// Nothing on the CPU.
HostTraffic host_traffic(Device);
void reset_peak_memory(Device);
void empty_cache(Device);
/// Waits for all work that was asked for on the device. Kernels of a GPU run after the call that asks for them.
void synchronize(Device);
/// Why the device cannot be used; empty when it can.
std::string why_unavailable(Device);

/// Copies of whole tensors made only to change their layout, since the program started. Tests hold it at zero.
int64_t layout_copies();
namespace detail {
void count_layout_copy();
}

/// The kernel for this dtype, or an Error like "conv2d: no avx512 kernel for int64".
template <class F>
F* kernel_for(const PerDtype<F>& entry, Dtype dtype, const char* op, const char* table) {
  F* f = entry[dtype];
  AR_CHECK(f, op, ": no ", table, " kernel for ", dtype);
  return f;
}

}  // namespace ar
