// The pool of threads: created on first use, spinning briefly between jobs (waking a sleeping thread costs 10-50 us, as
// much as a layer of a small network), then asleep, so that an idle process burns no processor time.
//
// A job's parts are dealt to slots, one per thread, in ranges: the first T-th of the parts to the first slot and so on.
// A thread empties its own slot first. Neighbouring parts, and the same share of one job and of the next, thereby tend
// to run where their data was left in cache; between cores without a common cache the way is long. Then it takes what
// others have not begun: a thread that the system keeps waiting holds nobody up.
#include "tensor/parallel.h"

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include "tensor/error.h"

namespace ar {
namespace {

constexpr int kMaxThreads = 1024;

cpu_set_t allowed_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) CPU_SET(0, &set);
  return set;
}
int allowed_core_count() {
  const cpu_set_t set = allowed_cores();
  return std::max(1, CPU_COUNT(&set));
}

int initial_threads() {
  const char* text = std::getenv("AR_NUM_THREADS");
  if (!text || !*text) return std::min(kMaxThreads, allowed_core_count());
  char* end = nullptr;
  const long n = std::strtol(text, &end, 10);
  AR_CHECK(end != text && *end == 0 && n >= 1 && n <= kMaxThreads, "AR_NUM_THREADS: expects a number from 1 to ",
           kMaxThreads, ", is \"", text, "\"");
  return int(n);
}

inline void pause() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#endif
}

/// Waits up to about 80 us without giving up the core; false when it did not happen.
template <class F>
bool spin_until(F ready) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::microseconds(80);
  do {
    for (int i = 0; i < 64; ++i) {
      if (ready()) return true;
      pause();
    }
  } while (std::chrono::steady_clock::now() < deadline);
  return ready();
}

// True on the pool's own threads, and on others while they run a part.
thread_local bool inside_part = false;

class Pool {
 public:
  explicit Pool(int threads) : threads_(threads), slots_(new Slot[std::size_t(threads)]) {
    const int cores = allowed_core_count();
    spin_ = threads <= cores;
    workers_.reserve(std::size_t(threads - 1));
    for (int t = 1; t < threads; ++t) {
      try {
        workers_.emplace_back([this, t] { work(t); });
      } catch (const std::exception&) {
        break;  // the system gives no more threads: those that run also empty the slots of those that are missing
      }
      // With a thread for every core, a worker that wanders meets another one and both lose their caches. With fewer,
      // the system knows better. The calling thread belongs to the program and is left alone.
      if (threads == cores) pin(workers_.back(), t);
    }
  }
  ~Pool() {
    stop_ = true;
    publish();
    for (auto& w : workers_) w.join();
  }
  int threads() const { return threads_; }

  /// One caller at a time.
  void run(int parts, detail::PartFn fn, void* context) {
    fn_ = fn, context_ = context, parts_ = parts;
    pending_.store(parts, std::memory_order_relaxed);
    const uint64_t epoch = epoch_.load(std::memory_order_relaxed) + 1;
    for (int t = 0; t < threads_; ++t) {
      const int count = first_part(t + 1) - first_part(t);
      slots_[t].state.store(epoch << 32 | uint32_t(count), std::memory_order_release);
    }
    publish();
    inside_part = true;
    take_parts(0, epoch);
    inside_part = false;
    auto finished = [&] { return pending_.load() == 0; };
    if (!spin_until(finished)) {
      std::unique_lock lock(mutex_);
      caller_sleeps_ = true;
      finished_.wait(lock, finished);
      caller_sleeps_ = false;
    }
    if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  // The job's number in the upper half, parts left in the lower: a thread that comes late finds another number and
  // takes nothing, so nobody has to wait for it.
  struct alignas(64) Slot {
    std::atomic<uint64_t> state{0};
  };

  /// Of a slot; of slot T: the number of parts.
  int first_part(int slot) const { return int(int64_t(parts_) * slot / threads_); }

  void publish() {
    epoch_.fetch_add(1);
    if (sleepers_.load() == 0) return;
    { std::lock_guard lock(mutex_); }
    started_.notify_all();
  }

  void work(int self) {
    inside_part = true;
    for (uint64_t seen = 0;;) {
      auto started = [&] { return epoch_.load() != seen; };
      if (!(spin_ && spin_until(started))) {
        std::unique_lock lock(mutex_);
        ++sleepers_;
        started_.wait(lock, started);
        --sleepers_;
      }
      seen = epoch_.load();
      if (stop_) return;  // asked after the number was read: the pool may end while its last job is being looked for
      take_parts(self, seen);
    }
  }

  void take_parts(int self, uint64_t epoch) {
    for (int i = 0; i < threads_; ++i) {
      const int owner = (self + i) % threads_;
      std::atomic<uint64_t>& state = slots_[owner].state;
      uint64_t s = state.load(std::memory_order_acquire);
      while (uint32_t(s >> 32) == uint32_t(epoch) && uint32_t(s) != 0) {
        if (!state.compare_exchange_weak(s, s - 1, std::memory_order_acq_rel)) continue;
        // Having taken a part of this job, it cannot end before us: its description stands.
        run_part(first_part(owner + 1) - int(uint32_t(s)));
        if (pending_.fetch_sub(1) == 1 && caller_sleeps_.load()) {
          { std::lock_guard lock(mutex_); }
          finished_.notify_one();
        }
        s = state.load(std::memory_order_acquire);
      }
    }
  }

  void run_part(int part) {
    try {
      fn_(context_, part, parts_);
    } catch (...) {
      std::lock_guard lock(mutex_);
      if (!error_) error_ = std::current_exception();
    }
  }

  static void pin(std::thread& thread, int index) {
    const cpu_set_t allowed = allowed_cores();
    for (int core = 0; core < CPU_SETSIZE; ++core)
      if (CPU_ISSET(core, &allowed) && index-- == 0) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(core, &one);
        pthread_setaffinity_np(thread.native_handle(), sizeof one, &one);
      }
  }

  const int threads_;
  bool spin_ = true;
  std::unique_ptr<Slot[]> slots_;
  std::vector<std::thread> workers_;
  detail::PartFn fn_ = nullptr;
  void* context_ = nullptr;
  int parts_ = 0;
  std::atomic<bool> stop_{false}, caller_sleeps_{false};
  std::exception_ptr error_;
  std::mutex mutex_;
  std::condition_variable started_, finished_;
  alignas(64) std::atomic<uint64_t> epoch_{0};
  alignas(64) std::atomic<int> pending_{0};
  alignas(64) std::atomic<int> sleepers_{0};
};

// The pool is never destroyed at exit: destructors of other static objects may still compute.
std::atomic<int> wanted_threads{0};
std::atomic<bool> pool_taken{false};
Pool* pool = nullptr;  // belongs to whoever holds pool_taken

// A forked child has none of the threads: it starts over with a pool of its own (the parent's is lost memory).
void forget_pool_in_child() {
  pool = nullptr;
  pool_taken = false;
}

}  // namespace

int num_threads() {
  int n = wanted_threads.load(std::memory_order_relaxed);
  if (n == 0) {
    n = initial_threads();
    int unset = 0;
    if (!wanted_threads.compare_exchange_strong(unset, n)) n = unset;
  }
  return n;
}

void set_num_threads(int n) {
  AR_CHECK(n >= 1 && n <= kMaxThreads, "set_num_threads: expects 1 to ", kMaxThreads, " threads, got ", n);
  wanted_threads = n;  // the pool follows at its next job
}

namespace detail {

void run_parts(int parts, PartFn fn, void* context) {
  const int threads = inside_part ? 1 : num_threads();
  if (threads == 1 || pool_taken.exchange(true, std::memory_order_acquire)) {
    for (int part = 0; part < parts; ++part) fn(context, part, parts);
    return;
  }
  struct Release {
    ~Release() { pool_taken.store(false, std::memory_order_release); }
  } release;
  if (!pool || pool->threads() != threads) {
    static const int once = pthread_atfork(nullptr, nullptr, forget_pool_in_child);
    (void)once;
    delete std::exchange(pool, nullptr);
    pool = new Pool(threads);
  }
  pool->run(parts, fn, context);
}

}  // namespace detail

void* thread_scratch(int64_t bytes) {
  struct Free {
    void operator()(void* p) const { std::free(p); }
  };
  thread_local std::unique_ptr<void, Free> memory;
  thread_local int64_t size = 0;
  if (bytes > size || !memory) {
    constexpr int64_t page = 4096;
    const int64_t rounded = (std::max<int64_t>(bytes, 1) + page - 1) / page * page;
    memory.reset();
    size = 0;
    memory.reset(std::aligned_alloc(page, std::size_t(rounded)));
    if (!memory) throw std::bad_alloc();
    size = rounded;
  }
  return memory.get();
}

}  // namespace ar
