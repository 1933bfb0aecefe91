// CPU memory. A fresh page costs a fault, which in a training step takes longer than many of its kernels: so large
// blocks are cut from segments that the process keeps, the smallest free one that fits, and joined again with free
// neighbours. A step that repeats what the one before did finds all of its memory where that one left it.
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>
#include <set>
#include <utility>

#include "tensor/cpu/allocator.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) (void(p), void(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) (void(p), void(n))
#endif

namespace ar {
namespace {

constexpr int64_t kSlack = 64, kAlignment = 64, kPage = 4096, kHugePage = int64_t{2} << 20;
constexpr int64_t kLarge = int64_t{48} << 10;   // smaller blocks are malloc's business
constexpr int64_t kSegment = int64_t{8} << 20;  // the least that is asked of the system

constexpr int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

class Cache {
 public:
  void* allocate(int64_t bytes) {
    const int64_t size = rounded(bytes);
    std::lock_guard lock(mutex_);
    if (size < kLarge) {
      void* p = std::aligned_alloc(kAlignment, size);
      AR_CHECK(p, out_of_memory(size));
      count(size);
      return p;
    }
    auto fit = free_.lower_bound({size, nullptr});
    if (fit == free_.end()) {
      make_segment(size);
      fit = free_.lower_bound({size, nullptr});
    }
    char* const p = fit->second;
    take(blocks_.find(p), size);
    ASAN_UNPOISON_MEMORY_REGION(p, bytes + kSlack);
    return p;
  }

  void release(void* p, int64_t bytes) {
    std::lock_guard lock(mutex_);
    if (const int64_t size = rounded(bytes); size < kLarge) {
      stats_.live -= size;
      std::free(p);
      return;
    }
    auto block = blocks_.find(static_cast<char*>(p));
    ASAN_POISON_MEMORY_REGION(p, block->second.size);
    stats_.live -= block->second.size;
    if (const auto next = std::next(block); joins(next)) absorb(block, next);
    if (block->second.joined) {
      if (const auto before = std::prev(block); before->second.state != State::used) {
        make_used(before);
        absorb(before, block);
        block = before;
      }
    }
    make_free(block, State::kept);
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
  enum class State { used, kept, given_back };  // free, with its pages or without
  struct Block {
    int64_t size;
    bool joined;  // it continues the segment of the block before it
    State state;
  };
  using Blocks = std::map<char*, Block>;

  static int64_t rounded(int64_t bytes) {
    const int64_t size = round_up(std::max<int64_t>(bytes, 1) + kSlack, kAlignment);
    return size < kLarge ? size : round_up(size, kPage);
  }
  void count(int64_t size) {
    stats_.live += size;
    stats_.peak = std::max(stats_.peak, stats_.live);
    most_ = std::max(most_, stats_.live);
  }
  std::string out_of_memory(int64_t size) const {
    return "out of memory: no " + std::to_string(size) + " bytes on the CPU (" + std::to_string(stats_.live) +
           " held by tensors)";
  }

  // ---- blocks ----
  bool joins(Blocks::iterator next) const {
    return next != blocks_.end() && next->second.joined && next->second.state != State::used;
  }
  void make_free(Blocks::iterator block, State state) {
    block->second.state = state;
    if (state == State::kept) stats_.cached += block->second.size;
    free_.emplace(block->second.size, block->first);
  }
  void make_used(Blocks::iterator block) {
    if (block->second.state == State::kept) stats_.cached -= block->second.size;
    block->second.state = State::used;
    free_.erase({block->second.size, block->first});
  }
  /// The one after `block` becomes part of it.
  void absorb(Blocks::iterator block, Blocks::iterator next) {
    if (next->second.state != State::used) make_used(next);
    block->second.size += next->second.size;
    blocks_.erase(next);
  }
  /// The front of a free block comes into use, the rest stays free unless that is not worth a block.
  void take(Blocks::iterator block, int64_t size) {
    const State state = block->second.state;
    make_used(block);
    if (const int64_t rest = block->second.size - size; rest >= kLarge) {
      block->second.size = size;
      make_free(blocks_.emplace(block->first + size, Block{rest, true, state}).first, state);
    }
    count(block->second.size);
  }

  // ---- segments ----
  void make_segment(int64_t least) {
    // Used and kept memory together stay little above the most that was ever in use.
    const int64_t most = std::max(most_, stats_.live + least);
    trim(most + most / 8 + (int64_t{32} << 20) - stats_.live - least);
    if (lower_lowest(least)) return;
    const int64_t size = segment_size(least);
    char* p = map(size);
    if (!p) {
      trim(0);
      p = map(size);
    }
    AR_CHECK(p, out_of_memory(least));
    make_free(add_segment(p, size), State::given_back);
  }
  /// The lowest segment grows downwards, if nothing lies there, until it begins with `least` free bytes. What layers
  /// free one after another thus becomes one large block, which in separate segments it would not.
  bool lower_lowest(int64_t least) {
    const auto lowest = blocks_.begin();
    if (lowest == blocks_.end()) return false;
    const bool is_free = lowest->second.state != State::used;
    const State state = is_free ? lowest->second.state : State::given_back;
    const int64_t size = segment_size(least - (is_free ? lowest->second.size : 0));
    char* const p = map_at(lowest->first - size, size);
    if (!p) return false;
    const auto block = add_segment(p, size);
    lowest->second.joined = true;
    if (is_free) absorb(block, lowest);
    make_free(block, state);
    return true;
  }
  static int64_t segment_size(int64_t least) { return round_up(std::max(least, kSegment), kHugePage); }
  /// As one block, not yet free.
  Blocks::iterator add_segment(char* p, int64_t size) {
    ASAN_POISON_MEMORY_REGION(p, size);
    return blocks_.emplace(p, Block{size, false, State::used}).first;
  }
  /// Fresh memory at a multiple of huge pages; null if there is none.
  static char* map(int64_t size) {
    char* const raw = fresh(nullptr, size + kHugePage);
    if (!raw) return nullptr;
    const int64_t before = -reinterpret_cast<std::intptr_t>(raw) & (kHugePage - 1), after = kHugePage - before;
    if (before) munmap(raw, std::size_t(before));
    if (after) munmap(raw + before + size, std::size_t(after));
    return in_huge_pages(raw + before, size);
  }
  /// Fresh memory at `place`, a multiple of huge pages; null if that is in use.
  static char* map_at(char* place, int64_t size) {
    char* const p = fresh(place, size);
    if (p == place) return in_huge_pages(p, size);
    if (p) munmap(p, std::size_t(size));
    return nullptr;
  }
  /// At `wish` if that is free, else anywhere.
  static char* fresh(char* wish, int64_t size) {
    void* const p = mmap(wish, std::size_t(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? nullptr : static_cast<char*>(p);
  }
  static char* in_huge_pages(char* p, [[maybe_unused]] int64_t size) {
#ifdef MADV_HUGEPAGE
    madvise(p, std::size_t(size), MADV_HUGEPAGE);
#endif
    return p;
  }
  /// Gives pages of free blocks back, those of the largest first, until at most `keep` bytes are kept.
  void trim(int64_t keep) {
    for (auto it = free_.end(); stats_.cached > keep && it != free_.begin();) {
      const auto block = blocks_.find((--it)->second);
      if (block->second.state == State::given_back) continue;
      const auto next = std::next(block);
      const bool whole = !block->second.joined && (next == blocks_.end() || !next->second.joined);
      stats_.cached -= block->second.size;
      block->second.state = State::given_back;
      if (whole) {
        ASAN_UNPOISON_MEMORY_REGION(block->first, block->second.size);
        munmap(block->first, std::size_t(block->second.size));
        blocks_.erase(block);
        it = free_.erase(it);
      } else {
        madvise(block->first, std::size_t(block->second.size), MADV_DONTNEED);
      }
    }
  }

  std::mutex mutex_;
  Blocks blocks_;                             // of all segments, by address
  std::set<std::pair<int64_t, char*>> free_;  // by size
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
