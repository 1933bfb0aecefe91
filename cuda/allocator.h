// Device memory from a cache: cudaMalloc waits for the whole device, so freed blocks are kept and given out again.
//
// A block that is given back may be given out at once although kernels that use it have not run yet: there is one
// stream, and whoever gets the block queues behind them. Small blocks (up to 1 MiB) come in powers of two from 512
// bytes; larger ones in multiples of 1/8 of their power of two, so that at most an eighth is wasted and sizes that vary
// a little meet again. When the device is full, the cache is emptied and the request tried once more.
//
// While work is recorded (tensor/graphs.h), memory comes from a pool that belongs to the recording. All of it counts as
// live until the recording is forgotten: its repetitions use it.
#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "cuda/context.h"
#include "tensor/backend.h"

namespace ar::cuda {

class Allocator {
 public:
  /// When there is not so much, throws Error, saying what was asked for and what is held, or returns null.
  void* allocate(int64_t bytes, Shortage = Shortage::error);
  void release(void* data, int64_t bytes);
  MemoryStats stats();
  void reset_peak();
  void empty_cache();

  /// From here on, memory comes from a pool of its own, and goes back there: the recorded work uses these addresses
  /// whenever it is repeated. One recording at a time.
  void begin_recording();
  struct Pool;
  /// Ends that. The pool holds the memory until close().
  Pool* end_recording();
  /// Nobody repeats the work any more: the memory serves all.
  void close(Pool*);

 private:
  void* fresh(int64_t size, Shortage);
  void give_back_all();

  std::mutex mutex_;
  Pool* recording_ = nullptr;
  std::unordered_map<void*, Pool*> pooled_;  // blocks of pools
  std::multimap<int64_t, void*> free_;       // by size
  MemoryStats stats_;
};

/// Page-locked host memory. Small blocks, of numbers that are read back in each step, are kept and given out again:
/// locking pages waits for the device.
class PinnedMemory {
 public:
  /// Throws Error when there is not so much.
  void* allocate(int64_t bytes);
  void release(void* data, int64_t bytes) noexcept;

 private:
  std::mutex mutex_;
  std::multimap<int64_t, void*> free_;  // by size
};

/// The ones of this process; never destroyed, as tensors may outlive everything else.
Allocator& allocator();
PinnedMemory& pinned_memory();

}  // namespace ar::cuda
