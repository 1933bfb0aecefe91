// What kernels' launchers share: the stream that all of them queue on, and memory for intermediate results.
#pragma once
#include "cuda/device.h"

namespace ar::cuda {

/// One stream for everything, so that work is done in the order in which it was asked for.
gpu::Stream stream();

/// What happens when there is not so much memory: an Error, or null.
enum class Shortage { error, null };

/// Memory from the caching allocator for the time of a scope. It may be given back before the kernels that use it have
/// run: whoever gets it next queues behind them.
class Scratch {
 public:
  explicit Scratch(int64_t bytes, Shortage = Shortage::error);
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_;
  int64_t bytes_;
};

/// Copies from host memory, which may be changed as soon as this returns.
void upload(void* device, const void* host, int64_t bytes);
/// Waits for all work asked for.
void wait();
/// Copies from the device and waits for it.
void read_back(void* host, const void* device, int64_t bytes);

}  // namespace ar::cuda
