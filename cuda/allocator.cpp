#include "cuda/allocator.h"

#include <bit>
#include <cstdlib>
#include <string>
#include <utility>

#include "cuda/device.h"

namespace ar::cuda {
namespace {

/// AR_CUDA_CACHE=0: every block comes from the device and goes back to it, exactly as large as asked for; what a
/// checker of memory needs to see an access past its end.
bool caching() {
  static const bool on = [] {
    const char* value = std::getenv("AR_CUDA_CACHE");
    return !value || std::string(value) != "0";
  }();
  return on;
}

int64_t rounded(int64_t bytes) {
  if (!caching()) return bytes;
  const uint64_t least = std::bit_ceil(uint64_t(bytes < 512 ? 512 : bytes));
  if (least <= (1u << 20)) return int64_t(least);
  const uint64_t step = least / 16;  // an eighth of the power of two below
  return int64_t((uint64_t(bytes) + step - 1) / step * step);
}

std::string megabytes(int64_t bytes) { return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB"; }

}  // namespace

/// Memory of a recording.
struct Allocator::Pool {
  std::multimap<int64_t, void*> free;  // by size
};

void Allocator::begin_recording() {
  std::lock_guard lock(mutex_);
  AR_CHECK(!recording_, "cuda: work is being recorded already");
  recording_ = new Pool;
}

Allocator::Pool* Allocator::end_recording() {
  std::lock_guard lock(mutex_);
  return std::exchange(recording_, nullptr);
}

void Allocator::close(Pool* pool) {
  std::lock_guard lock(mutex_);
  for (const auto& [size, data] : pool->free) stats_.live -= size, stats_.cached += size;
  free_.merge(pool->free);
  std::erase_if(pooled_,
                [&](const auto& block) { return block.second == pool; });  // those in use come back as others do
  delete pool;
}

void* Allocator::fresh(int64_t size, Shortage shortage) {
  void* data = gpu::allocate(std::size_t(size));
  if (!data && !free_.empty() && !recording_) {  // while work is recorded nobody can wait for what uses the cache
    give_back_all();
    data = gpu::allocate(std::size_t(size));
  }
  if (data || shortage == Shortage::null) return data;
  const gpu::MemoryInfo info = gpu::memory_info();
  fail("cuda: out of memory: ", megabytes(size), " asked for, ", megabytes(info.free), " of ", megabytes(info.total),
       " are free; tensors of this process hold ", megabytes(stats_.live), "; a smaller batch, or bf16, needs less");
}

void* Allocator::allocate(int64_t bytes, Shortage shortage) {
  const int64_t size = rounded(bytes);
  std::lock_guard lock(mutex_);
  // What is cached may serve a recording, too: its last use is queued before the recorded work's first one.
  if (recording_)
    if (const auto found = recording_->free.find(size); found != recording_->free.end())
      return recording_->free.extract(found).mapped();
  void* data = nullptr;
  if (const auto found = free_.find(size); found != free_.end()) {
    data = free_.extract(found).mapped();
    stats_.cached -= size;
  } else if (!(data = fresh(size, shortage))) {
    return nullptr;
  }
  if (recording_) pooled_[data] = recording_;
  stats_.live += size;
  stats_.peak = std::max(stats_.peak, stats_.live);
  return data;
}

void Allocator::release(void* data, int64_t bytes) {
  if (!data) return;
  const int64_t size = rounded(bytes);
  std::lock_guard lock(mutex_);
  if (const auto pooled = pooled_.find(data); pooled != pooled_.end()) {
    pooled->second->free.emplace(size, data);
    return;
  }
  stats_.live -= size;
  if (caching() || recording_) {
    free_.emplace(size, data);
    stats_.cached += size;
  } else {
    try {
      gpu::synchronize(stream());
    } catch (const Error&) {  // a lost device uses no memory, and whoever lets go of it cannot be told
    }
    gpu::release(data);
  }
}

void Allocator::give_back_all() {
  gpu::synchronize(stream());
  for (const auto& [size, data] : free_) {
    gpu::release(data);
    stats_.cached -= size;
  }
  free_.clear();
}

MemoryStats Allocator::stats() {
  std::lock_guard lock(mutex_);
  return stats_;
}

void Allocator::reset_peak() {
  std::lock_guard lock(mutex_);
  stats_.peak = stats_.live;
}

void Allocator::empty_cache() {
  std::lock_guard lock(mutex_);
  AR_CHECK(!recording_, "cuda: the cache cannot be emptied while a step is recorded");
  give_back_all();
}

namespace {
constexpr int64_t kKept = 1 << 20;  // the largest block that is kept
int64_t rounded_pinned(int64_t bytes) {
  return bytes > kKept ? bytes : int64_t(std::bit_ceil(uint64_t(std::max<int64_t>(bytes, 64))));
}
}  // namespace

void* PinnedMemory::allocate(int64_t bytes) {
  const int64_t size = rounded_pinned(bytes);
  std::lock_guard lock(mutex_);
  if (const auto found = free_.find(size); found != free_.end()) {
    void* const data = found->second;
    free_.erase(found);
    return data;
  }
  void* const data = gpu::allocate_pinned(std::size_t(size));
  AR_CHECK(data, "cuda: out of page-locked host memory: ", megabytes(size),
           " asked for; a smaller batch, or fewer batches ahead, need less");
  return data;
}

void PinnedMemory::release(void* data, int64_t bytes) noexcept {
  const int64_t size = rounded_pinned(bytes);
  if (size > kKept) return gpu::release_pinned(data);
  std::lock_guard lock(mutex_);
  free_.emplace(size, data);
}

PinnedMemory& pinned_memory() {
  static PinnedMemory* const instance = new PinnedMemory;
  return *instance;
}

Allocator& allocator() {
  static Allocator* const instance = new Allocator;
  return *instance;
}

}  // namespace ar::cuda
