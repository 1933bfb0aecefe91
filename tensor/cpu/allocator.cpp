// CPU memory. Large blocks are kept for reuse: a fresh mapping costs a page fault every 4 KB, which in a training step
// takes longer than many of its kernels.
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>

#include "tensor/cpu/allocator.h"

namespace ar {
namespace {

constexpr int64_t kSlack = 64, kAlignment = 64, kHugePage = int64_t{2} << 20;
constexpr int64_t kLarge = int64_t{64} << 10;  // smaller blocks are malloc's business

class Cache {
 public:
  void* allocate(int64_t bytes) {
    const int64_t size = rounded(bytes);
    if (size < kLarge) {
      std::lock_guard lock(mutex_);
      return checked(std::aligned_alloc(kAlignment, size), size);
    }
    std::lock_guard lock(mutex_);
    const int64_t alignment = size >= 2 * kHugePage ? kHugePage : 4096;
    const int64_t whole = (size + alignment - 1) / alignment * alignment;
    // The best fit, if it wastes little beyond the rounding.
    if (auto it = free_.lower_bound(size); it != free_.end() && it->first <= whole + whole / 8) {
      void* p = it->second;
      sizes_[p] = it->first;
      stats_.cached -= it->first;
      count(it->first);
      free_.erase(it);
      return p;
    }
    // Used and cached memory together stay little above the most that was ever in use: a training step finds the blocks
    // of the step before, and the process does not grow.
    const int64_t most = std::max(most_, stats_.live + whole);
    trim(most + most / 8 + (int64_t{32} << 20) - stats_.live - whole);
    void* p = std::aligned_alloc(alignment, whole);
    if (!p) {
      trim(0);
      p = std::aligned_alloc(alignment, whole);
    }
    checked(p, whole);
#ifdef MADV_HUGEPAGE
    if (alignment == kHugePage) madvise(p, whole, MADV_HUGEPAGE);
#endif
    sizes_[p] = whole;
    return p;
  }

  void release(void* p, int64_t bytes) {
    std::lock_guard lock(mutex_);
    if (const int64_t size = rounded(bytes); size < kLarge) {
      stats_.live -= size;
      std::free(p);
      return;
    }
    const auto it = sizes_.find(p);
    stats_.live -= it->second;
    stats_.cached += it->second;
    free_.emplace(it->second, p);
    sizes_.erase(it);
  }

  MemoryStats stats() {
    std::lock_guard lock(mutex_);
    return stats_;
  }
  void reset_peak() {
    std::lock_guard lock(mutex_);
    stats_.peak = stats_.live;
  }
  void empty() {
    std::lock_guard lock(mutex_);
    trim(0);
    most_ = stats_.live;
  }

 private:
  static int64_t rounded(int64_t bytes) {
    return (std::max<int64_t>(bytes, 1) + kSlack + kAlignment - 1) / kAlignment * kAlignment;
  }
  void count(int64_t size) {
    stats_.live += size;
    stats_.peak = std::max(stats_.peak, stats_.live);
    most_ = std::max(most_, stats_.live);
  }
  void* checked(void* p, int64_t size) {
    AR_CHECK(p, "out of memory: no ", size, " bytes on the CPU (", stats_.live, " held by tensors)");
    count(size);
    return p;
  }
  /// Frees cached blocks, the largest first, until at most `keep` bytes are cached.
  void trim(int64_t keep) {
    while (stats_.cached > keep && !free_.empty()) {
      const auto it = std::prev(free_.end());
      stats_.cached -= it->first;
      std::free(it->second);
      free_.erase(it);
    }
  }

  std::mutex mutex_;
  std::multimap<int64_t, void*> free_;
  std::map<void*, int64_t> sizes_;  // of the large blocks in use
  MemoryStats stats_;
  int64_t most_ = 0;  // of stats_.live, not reset with the peak
};

// Never destroyed: tensors with static lifetime may outlive everything else.
Cache& cache() {
  static Cache& c = *new Cache;
  return c;
}

}  // namespace

void* cpu_allocate(int64_t bytes) { return cache().allocate(bytes); }
void cpu_release(void* data, int64_t bytes) { cache().release(data, bytes); }
MemoryStats memory_stats() { return cache().stats(); }
void reset_peak_memory() { cache().reset_peak(); }
void empty_cache() { cache().empty(); }

}  // namespace ar
