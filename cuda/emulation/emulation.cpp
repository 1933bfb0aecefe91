// The scheduler behind emulation.h. Never compiled with -fsanitize=thread: in the race build it *is* what that
// instrumentation calls (see the end of the file).
#include "cuda/emulation/emulation.h"

#include <dlfcn.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <numeric>
#include <random>
#include <thread>
#include <unordered_map>
#include <vector>

#include "cuda/emulation/context.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
static constexpr bool asan = true;
#else
static constexpr bool asan = false;
#define __asan_poison_memory_region(p, n) ((void)0)
#define __asan_unpoison_memory_region(p, n) ((void)0)
#endif

namespace ar::emulation {
namespace {

constexpr int max_threads = 1024;
constexpr std::size_t page = 4096, stack_bytes = (asan ? 256 : 64) * 1024;
constexpr std::size_t static_bytes = 48 * 1024, shared_limit = 227 * 1024, canary_bytes = 64;
constexpr std::size_t arena_bytes = 512 * 1024;  // static variables grow from its start, dynamic ends at its end
constexpr unsigned char canary = 0xa5;

enum class State : std::uint8_t { ready, waiting, exited };

struct Thread {
  State state;
  Wait kind;
  unsigned mask, source, warp_epoch;
  Site site;
  std::uint64_t value, result;
  uint3 index;
  char* stack = nullptr;
  Context context;
  void* fake_stack = nullptr;  // AddressSanitizer's
};

struct Variable {
  const char* name;
  char* begin;
  std::size_t bytes;
};

char* map(std::size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  return static_cast<char*>(memory);
}
std::string text(const dim3& d) {
  return "(" + std::to_string(d.x) + "," + std::to_string(d.y) + "," + std::to_string(d.z) + ")";
}
std::string text(const uint3& d) { return text(dim3(d.x, d.y, d.z)); }
std::string text(const Site& site) {
  const std::string path = site.file_name();
  return path.substr(path.rfind('/') + 1) + ":" + std::to_string(site.line());
}
bool same(const Site& a, const Site& b) { return a.line() == b.line() && a.column() == b.column(); }
const char* name(Wait kind) {
  static const char* const names[] = {"__syncthreads", "__syncwarp", "a shuffle", "a vote"};
  return names[int(kind)];
}

class Worker {
 public:
  Worker() {
    stacks_ = map(max_threads * (stack_bytes + page));
    for (int i = max_threads - 1; i >= 0; --i) {
      char* guard = stacks_ + std::size_t(i) * (stack_bytes + page);
      mprotect(guard, page, PROT_NONE);
      free_stacks_.push_back(guard + page);
    }
    arena_ = map(arena_bytes + 2 * page) + page;
    mprotect(arena_ - page, page, PROT_NONE);
    mprotect(arena_ + arena_bytes, page, PROT_NONE);
    threads_ = std::make_unique<Thread[]>(max_threads);
    if (!asan) install_guard_handler();
  }
  ~Worker() {
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    if (!asan) sigaltstack(&none, nullptr);
    __asan_unpoison_memory_region(arena_, arena_bytes);
    munmap(stacks_, max_threads * (stack_bytes + page));
    munmap(arena_ - page, arena_bytes + 2 * page);
  }

  void begin_grid(const Grid& grid, void (*body)(const void*), const void* context) {
    grid_ = &grid, body_ = body, body_context_ = context, error_.clear();
    count_ = int(grid.block.x * grid.block.y * grid.block.z);
    const int warps = (count_ + 31) / 32;
    warp_order_.resize(std::size_t(warps));
    std::iota(warp_order_.begin(), warp_order_.end(), 0);
    std::iota(lane_order_.begin(), lane_order_.end(), 0);
    if (options().order == Order::reverse) {
      std::reverse(warp_order_.begin(), warp_order_.end());
      std::reverse(lane_order_.begin(), lane_order_.end());
    } else if (options().order == Order::shuffled) {
      std::mt19937 random(options().seed);
      std::shuffle(warp_order_.begin(), warp_order_.end(), random);
      std::shuffle(lane_order_.begin(), lane_order_.end(), random);
    }
    uint3 index{0, 0, 0};
    for (int i = 0; i < count_; ++i) {
      threads_[i].index = index;
      if (++index.x == grid.block.x) {
        index.x = 0;
        if (++index.y == grid.block.y) index.y = 0, ++index.z;
      }
    }
    ::blockDim = grid.block, ::gridDim = grid.grid;
    first_block_ = block_ + 1;
  }

  void run_block(uint3 index) {
    ::blockIdx = index;
    ++block_, ++totals.blocks;
    epoch_ = 0;
    warp_epochs_.fill(0);
    variables_.clear();
    static_used_ = total_static_ = 0;
    __asan_poison_memory_region(arena_, arena_bytes);
    dynamic_ = arena_ + arena_bytes - (grid_->shared_bytes + 15) / 16 * 16;
    if (grid_->shared_bytes) add_variable("dynamic shared memory", dynamic_, grid_->shared_bytes);
    for (int i = 0; i < count_; ++i) threads_[i].state = State::ready, threads_[i].stack = nullptr;
    live_ = count_, totals.threads += std::uint64_t(count_);
    while (true) {
      for (int warp : warp_order_) run_warp(warp * 32, std::min(warp * 32 + 32, count_));
      check_canaries();
      if (live_ == 0) return;
      release_barrier();
    }
  }

  void abandon() {  // after an error: the fibers are dropped where they stand, kernels own nothing
    for (int i = 0; i < count_; ++i)
      if (threads_[i].stack) free_stacks_.push_back(threads_[i].stack), threads_[i].stack = nullptr;
    for (char* stack : free_stacks_) __asan_unpoison_memory_region(stack, stack_bytes), (void)stack;
  }

  std::uint64_t wait(Wait kind, unsigned mask, int source, std::uint64_t value, const Site& site) {
    Thread& t = threads_[current_];
    if (kind != Wait::block_barrier && !(mask >> (current_ % 32) & 1)) {
      stop_with(std::string(name(kind)) + " at " + text(site) + ": the mask does not contain the calling lane " +
                std::to_string(current_ % 32));
      stop();
    }
    t.kind = kind, t.mask = mask, t.source = unsigned(source) & 31u, t.value = value, t.site = site;
    t.state = State::waiting;
    leave(false);
    return t.result;
  }

  // Two steps, as separate statements: stop() never returns and would leak the message's temporaries.
  void stop_with(const std::string& message) { error_ = where(current_) + message; }
  [[noreturn]] void stop() {
    threads_[current_].state = State::exited;
    leave(true);
    std::abort();
  }
  [[noreturn]] void fail(const char* message) {
    stop_with(message);
    stop();
  }

  void* place(SharedSlot& slot, const char* name, std::size_t bytes, std::size_t alignment) {
    if (slot.block == block_) return slot.memory;
    alignment = std::max<std::size_t>(alignment, 16);
    const std::size_t begin = (static_used_ + alignment - 1) / alignment * alignment;
    if ((total_static_ += bytes) > static_bytes) fail("more than 48 KiB of static shared memory");
    slot = {block_, arena_ + begin};
    add_variable(name, arena_ + begin, bytes);
    static_used_ = begin + bytes + canary_bytes;
    return slot.memory;
  }
  void* dynamic() {
    if (!grid_->shared_bytes) fail("DYNAMIC_SHARED, but the launch gives no dynamic shared memory");
    return dynamic_;
  }
  char* faulted(char* address) {
    fault_address_ = address;
    return threads_[current_].stack + stack_bytes;
  }
  [[noreturn]] void fail_fault() {
    const char* a = fault_address_;
    fail(a >= arena_ - page && a < arena_ + arena_bytes + page ? "access beyond the end of shared memory"
         : a >= stacks_ && a < stacks_ + max_threads * (stack_bytes + page)
             ? "stack overflow (64 KiB of local variables)"
             : "access to an invalid address");
  }
  int current() const { return current_; }
  bool inside() const { return inside_; }
  void accessed(const char* address, std::size_t bytes, bool writes, bool atomic, void* code);

  Statistics totals;

 private:
  std::string where(int thread) const {
    return "kernel launched at " + text(grid_->where) + ", block " + text(::blockIdx) + ", thread " +
           text(threads_[thread].index) + ": ";
  }
  [[noreturn]] void give_up(int thread, const std::string& message) { throw Error(where(thread) + message); }

  // --- fibers
  static void fiber_main();
  void leave(bool for_good) {
    Thread& t = threads_[current_];
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_start_switch_fiber(for_good ? nullptr : &t.fake_stack, scheduler_bottom_, scheduler_size_);
#else
    (void)for_good;
#endif
    Context::change(t.context, scheduler_);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(t.fake_stack, nullptr, nullptr);
#endif
  }
  void resume(int i) {
    Thread& t = threads_[i];
    current_ = i, ::threadIdx = t.index, ++totals.resumes;
    if (!t.stack) {
      t.stack = free_stacks_.back();
      free_stacks_.pop_back();
      t.fake_stack = nullptr;
      t.context.prepare(t.stack, stack_bytes - std::size_t(i % 64) * 64, fiber_main);  // spread over the cache sets
    }
    inside_ = true;
#ifdef __SANITIZE_ADDRESS__
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(&fake, t.stack, stack_bytes);
#endif
    Context::change(scheduler_, t.context);
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
    inside_ = false;
    if (t.state == State::exited) {
      free_stacks_.push_back(t.stack);
      t.stack = nullptr;
      --live_;
    }
    if (!error_.empty()) throw Error(error_);
  }

  // --- warps and barriers
  void run_warp(int first, int last) {
    do {
      for (int lane : lane_order_)
        if (first + lane < last && threads_[first + lane].state == State::ready) resume(first + lane);
    } while (release_warp(first, last));
  }
  bool release_warp(int first, int last) {
    bool released = false;
    for (int i = first; i < last; ++i)
      if (threads_[i].state == State::waiting && threads_[i].kind != Wait::block_barrier &&
          missing(i, first, last) < 0) {
        complete(i, first, last);
        released = true;
      }
    return released;
  }
  // The first live lane of i's mask that has not come to the same call; -1 when all have.
  int missing(int i, int first, int last) {
    const Thread& t = threads_[i];
    for (unsigned rest = t.mask; rest; rest &= rest - 1) {
      const int j = first + std::countr_zero(rest);
      if (j >= last)
        give_up(i, std::string(name(t.kind)) + " at " + text(t.site) + ": the mask names lane " +
                       std::to_string(j - first) + ", but this warp has only " + std::to_string(last - first) +
                       " lanes");
      const Thread& other = threads_[j];
      if (other.state == State::exited) continue;
      if (other.state != State::waiting || other.kind != t.kind || other.mask != t.mask || !same(other.site, t.site))
        return j;
    }
    return -1;
  }
  void complete(int i, int first, int last) {
    const unsigned mask = threads_[i].mask;
    std::uint64_t ballot = 0;
    for (int j = first; j < last; ++j) {
      Thread& t = threads_[j];
      if (!(mask >> (j - first) & 1) || t.state == State::exited) continue;
      ballot |= (t.value & 1) << (j - first);
      if (t.kind != Wait::shuffle) continue;
      const int source = first + int(t.source);
      if (!(mask >> t.source & 1) || source >= last || threads_[source].state == State::exited)
        give_up(j, "the shuffle at " + text(t.site) + " reads lane " + std::to_string(t.source) +
                       (mask >> t.source & 1 ? ", which has returned" : ", which is not in the mask"));
      t.result = threads_[source].value;
    }
    if (threads_[i].kind == Wait::warp_barrier) ++warp_epochs_[std::size_t(first / 32)];
    for (int j = first; j < last; ++j) {
      Thread& t = threads_[j];
      if (!(mask >> (j - first) & 1) || t.state == State::exited) continue;
      if (t.kind == Wait::ballot) t.result = ballot;
      t.state = State::ready;
    }
  }
  void release_barrier() {  // every live thread waits
    int reference = -1;
    std::uint64_t sum = 0;
    for (int i = 0; i < count_; ++i) {
      const Thread& t = threads_[i];
      if (t.state == State::exited) {
        if (!options().exited_at_barrier) give_up(i, "returned, while other threads wait at __syncthreads");
        continue;
      }
      if (t.kind != Wait::block_barrier) {
        const int first = i / 32 * 32, j = missing(i, first, std::min(first + 32, count_));
        give_up(i, "waits for ever: " + std::string(name(t.kind)) + " at " + text(t.site) + " needs thread " +
                       text(threads_[j].index) + ", which waits at " + text(threads_[j].site) + " (" +
                       name(threads_[j].kind) + (threads_[j].mask != t.mask ? ", another mask" : "") + ")");
      }
      if (reference < 0) reference = i;
      if (!same(t.site, threads_[reference].site))
        give_up(i, "barrier divergence: this thread waits at " + text(t.site) + ", thread " +
                       text(threads_[reference].index) + " at " + text(threads_[reference].site));
      sum += t.value;
    }
    for (int i = 0; i < count_; ++i)
      if (threads_[i].state == State::waiting) threads_[i].state = State::ready, threads_[i].result = sum;
    ++epoch_;
  }

  // --- shared memory
  void add_variable(const char* name, char* begin, std::size_t bytes) {
    __asan_unpoison_memory_region(begin, bytes);
    std::memset(begin, 0xff, bytes);
    variables_.push_back({name, begin, bytes});
    if (asan) return;
    std::memset(begin + bytes, canary, after(variables_.back()));
    if (begin == dynamic_ && grid_->shared_bytes) std::memset(begin - canary_bytes, canary, canary_bytes);
  }
  std::size_t after(const Variable& v) const {
    return v.begin == dynamic_ ? std::size_t(arena_ + arena_bytes - v.begin) - v.bytes : canary_bytes;
  }
  void check_canaries() {
    if (asan) return;
    auto broken = [](const char* begin, std::size_t bytes) {
      return std::any_of(begin, begin + bytes, [](char c) { return static_cast<unsigned char>(c) != canary; });
    };
    for (const Variable& v : variables_) {
      const bool before = v.begin == dynamic_ && broken(v.begin - canary_bytes, canary_bytes);
      if (before || broken(v.begin + v.bytes, after(v)))
        throw Error("kernel launched at " + text(grid_->where) + ", block " + text(::blockIdx) + ": a thread wrote " +
                    (before ? "before" : "beyond the end of") + " shared variable '" + v.name + "' (" +
                    std::to_string(v.bytes) + " bytes)");
    }
  }
  void install_guard_handler();
  std::vector<char> alternate_stack_;
  char* fault_address_ = nullptr;

  const Grid* grid_ = nullptr;
  void (*body_)(const void*) = nullptr;
  const void* body_context_ = nullptr;
  int count_ = 0, live_ = 0, current_ = 0;
  bool inside_ = false;
  std::uint64_t block_ = 0, first_block_ = 0;
  unsigned epoch_ = 0;
  std::array<unsigned, 32> warp_epochs_{};
  std::vector<int> warp_order_;
  std::array<int, 32> lane_order_{};
  std::unique_ptr<Thread[]> threads_;
  std::vector<char*> free_stacks_;
  char *stacks_, *arena_, *dynamic_ = nullptr;
  std::size_t static_used_ = 0, total_static_ = 0;
  std::vector<Variable> variables_;
  Context scheduler_;
  const void* scheduler_bottom_ = nullptr;
  std::size_t scheduler_size_ = 0;
  std::string error_;

  // --- race detector: the last read and write of every byte
  struct Access {
    std::uint64_t block = 0;
    unsigned epoch = 0, warp_epoch = 0;
    std::uint16_t thread = 0;
    bool atomic = false, many = false, many_blocks = false;
  };
  struct Cell {
    Access read, write;
  };
  bool unordered(const Access& before) const;
  Cell& cell(const char* address);
  std::unordered_map<std::uintptr_t, std::unique_ptr<Cell[]>> shadow_;
  std::uintptr_t last_page_ = 0;
  Cell* last_cells_ = nullptr;
};

Worker& worker() {
  // Asked for at every access of the race build: of a library that is opened late, other models call a function for it.
  [[gnu::tls_model("initial-exec")]] static thread_local Worker* found = nullptr;
  if (!found) {
    static thread_local Worker instance;
    found = &instance;
  }
  return *found;
}

void Worker::fiber_main() {
  Worker& w = worker();
#ifdef __SANITIZE_ADDRESS__
  __sanitizer_finish_switch_fiber(nullptr, &w.scheduler_bottom_, &w.scheduler_size_);
#endif
  w.body_(w.body_context_);
  w.threads_[w.current_].state = State::exited;
  w.leave(true);
}

// A fault inside a kernel: the handler makes the fiber continue in fault(), at the top of its own stack.
[[noreturn]] void fault() { worker().fail_fault(); }
void guard_hit(int signal_number, siginfo_t* info, void* machine) {
  if (!worker().inside()) {  // not ours: the access is repeated and ends the process
    signal(signal_number, SIG_DFL);
    return;
  }
  char* top = worker().faulted(static_cast<char*>(info->si_addr));
#ifdef __x86_64__
  auto* registers = static_cast<ucontext_t*>(machine)->uc_mcontext.gregs;
  registers[REG_RSP] = reinterpret_cast<greg_t>(top - 8);
  registers[REG_RIP] = reinterpret_cast<greg_t>(&fault);
#else
  (void)top, (void)machine;
  static const char line[] = "cuda emulation: invalid memory access in a kernel\n";
  (void)!write(2, line, sizeof line - 1);
  _exit(1);
#endif
}
void Worker::install_guard_handler() {
  alternate_stack_.resize(64 * 1024);
  stack_t alternate{};
  alternate.ss_sp = alternate_stack_.data(), alternate.ss_size = alternate_stack_.size();
  sigaltstack(&alternate, nullptr);
  struct sigaction action {};
  action.sa_sigaction = guard_hit, action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigaction(SIGSEGV, &action, nullptr);
}

}  // namespace

Options& options() {
  static Options instance = [] {
    Options o;
    const char *order = std::getenv("AR_EMULATION_ORDER"), *deferred = std::getenv("AR_EMULATION_DEFERRED");
    const std::string name = order ? order : "";
    o.order = name == "reverse" ? Order::reverse : name == "shuffled" ? Order::shuffled : Order::forward;
    o.deferred_streams = deferred && std::string(deferred) == "1";
    const auto number = [](const char* variable, auto& value) {
      if (const char* text = std::getenv(variable); text && *text)
        value = std::remove_reference_t<decltype(value)>(std::atoll(text));
    };
    number("AR_EMULATION_DEVICES", o.devices);
    number("AR_EMULATION_MEMORY", o.memory_bytes);
    number("AR_EMULATION_LOST_AFTER", o.lost_after);
    return o;
  }();
  return instance;
}
Statistics& statistics() { return worker().totals; }
void fail(const char* message) { worker().fail(message); }
int lane() { return worker().current() % 32; }
std::uint64_t wait(Wait kind, unsigned mask, int source, std::uint64_t value, const Site& site) {
  return worker().wait(kind, mask, source, value, site);
}
void* place_shared(SharedSlot& slot, const char* name, std::size_t bytes, std::size_t alignment) {
  return worker().place(slot, name, bytes, alignment);
}
void* dynamic_shared() { return worker().dynamic(); }

void run_grid(const Grid& grid, void (*body)(const void*), const void* context) {
  const dim3 g = grid.grid, b = grid.block;
  const std::uint64_t blocks = std::uint64_t(g.x) * g.y * g.z, threads = std::uint64_t(b.x) * b.y * b.z;
  if (!blocks || !threads || threads > max_threads || b.z > 64 || g.x > 0x7fffffffu || g.y > 65535 || g.z > 65535)
    throw Error("kernel launched at " + text(grid.where) + ": invalid shape, grid " + text(g) + ", block " + text(b));
  if (grid.shared_bytes > shared_limit)
    throw Error("kernel launched at " + text(grid.where) + ": more than 227 KiB of shared memory");
  std::vector<std::uint64_t> order;
  if (options().order == Order::shuffled) {
    order.resize(blocks);
    std::iota(order.begin(), order.end(), 0);
    std::shuffle(order.begin(), order.end(), std::mt19937_64(options().seed));
  }
  std::atomic<std::uint64_t> next{0};
  std::exception_ptr error;
  std::mutex error_mutex;
  auto work = [&] {
    Worker& w = worker();
    try {
      w.begin_grid(grid, body, context);
      for (std::uint64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < blocks;) {
        if (!order.empty())
          i = order[i];
        else if (options().order == Order::reverse)
          i = blocks - 1 - i;
        w.run_block({unsigned(i % g.x), unsigned(i / g.x % g.y), unsigned(i / g.x / g.y)});
      }
    } catch (...) {
      w.abandon();
      next = blocks;
      std::lock_guard lock(error_mutex);
      error = std::current_exception();
    }
  };
  const int workers = int(std::min<std::uint64_t>(std::uint64_t(options().workers), blocks));
  std::vector<std::jthread> others;
  for (int i = 1; i < workers; ++i) others.emplace_back(work);
  work();
  others.clear();
  if (error) std::rethrow_exception(error);
}

#ifndef AR_EMULATION_RACES
void note_atomic(const void*, std::size_t) {}
#else
// --- the race build: kernels compiled with -fsanitize=thread, linked without libtsan -----------
// The compiler then calls __tsan_readN / __tsan_writeN before every access; these are ours. (One worker.)
namespace {
bool Worker::unordered(const Access& before) const {
  if (before.block < first_block_) return false;  // an earlier launch, or never
  if (before.block != block_ || before.many_blocks) return true;
  if (before.thread == current_ && !before.many) return false;
  if (before.epoch != epoch_) return false;
  return before.thread / 32 != current_ / 32 || before.warp_epoch == warp_epochs_[std::size_t(current_ / 32)];
}
Worker::Cell& Worker::cell(const char* address) {
  const std::uintptr_t a = reinterpret_cast<std::uintptr_t>(address), number = a / page;
  if (number != last_page_) {
    auto& cells = shadow_[number];
    if (!cells) cells = std::make_unique<Cell[]>(page);
    last_page_ = number, last_cells_ = cells.get();
  }
  return last_cells_[a % page];
}
void Worker::accessed(const char* address, std::size_t bytes, bool writes, bool atomic, void* code) {
  if (address >= stacks_ && address < stacks_ + max_threads * (stack_bytes + page)) return;
  const bool shared = address >= arena_ && address < arena_ + arena_bytes;
  const Variable* variable = nullptr;
  auto what = [&] {
    return variable ? std::string("shared variable '") + variable->name + "' + " +
                          std::to_string(address - variable->begin) + " bytes"
                    : "global memory";
  };
  auto complain = [&](const std::string& problem) {
    Dl_info info{};
    dladdr(code, &info);
    char place[64];
    std::snprintf(place, sizeof place, " [code +0x%zx]",
                  std::size_t(static_cast<char*>(code) - static_cast<char*>(info.dli_fbase)) - 1);
    stop_with(problem + place);
    stop();
  };
  if (shared) {
    auto v = std::find_if(variables_.begin(), variables_.end(), [&](const Variable& candidate) {
      return address >= candidate.begin && address + bytes <= candidate.begin + candidate.bytes;
    });
    if (v == variables_.end()) return complain("access outside every shared variable");
    variable = &*v;
  }
  const Access now{block_, epoch_, warp_epochs_[std::size_t(current_ / 32)], std::uint16_t(current_), atomic,
                   false,  false};
  for (std::size_t i = 0; i < bytes; ++i) {
    Cell& c = cell(address + i);
    if (shared && !writes && c.write.block != block_) complain("read of uninitialised " + what());
    if (shared && c.write.block != block_) c.write = {};
    if (shared && c.read.block != block_) c.read = {};
    auto conflict = [&](const Access& before, const char* verb) {
      if (!(before.atomic && atomic) && unordered(before))
        complain("race on " + what() + ": " +
                 (atomic   ? "atomic update"
                  : writes ? "write"
                           : "read") +
                 ", and " + verb + " by " +
                 (before.block == block_ ? "thread " + text(threads_[before.thread].index) : "another block") +
                 " with no barrier between them");
    };
    conflict(c.write, "a write");
    if (writes) {
      conflict(c.read, "a read");
      c.write = now;
    } else {
      const bool join = unordered(c.read);
      Access next = now;
      next.many = c.read.many && join, next.many_blocks = c.read.many_blocks && join;
      if (join) (c.read.block == block_ ? next.many : next.many_blocks) = true;
      c.read = next;
    }
  }
}
void traced(const void* address, std::size_t bytes, bool writes, void* code) {
  Worker& w = worker();
  if (w.inside()) w.accessed(static_cast<const char*>(address), bytes, writes, false, code);
}
}  // namespace
void note_atomic(const void* address, std::size_t bytes) {
  Worker& w = worker();
  if (w.inside()) w.accessed(static_cast<const char*>(address), bytes, true, true, __builtin_return_address(0));
}
#define TRACED(n)                                                                                         \
  extern "C" void __tsan_read##n(void* p) { traced(p, n, false, __builtin_return_address(0)); }           \
  extern "C" void __tsan_write##n(void* p) { traced(p, n, true, __builtin_return_address(0)); }           \
  extern "C" void __tsan_unaligned_read##n(void* p) { traced(p, n, false, __builtin_return_address(0)); } \
  extern "C" void __tsan_unaligned_write##n(void* p) { traced(p, n, true, __builtin_return_address(0)); }
TRACED(1)
TRACED(2)
TRACED(4)
TRACED(8)
TRACED(16)
extern "C" void __tsan_read_range(void* p, unsigned long n) { traced(p, n, false, __builtin_return_address(0)); }
extern "C" void __tsan_write_range(void* p, unsigned long n) { traced(p, n, true, __builtin_return_address(0)); }
extern "C" void __tsan_vptr_update(void**, void*) {}
extern "C" void __tsan_vptr_read(void**) {}
extern "C" void __tsan_func_entry(void*) {}
extern "C" void __tsan_func_exit() {}
extern "C" void __tsan_init() {}
#endif

}  // namespace ar::emulation
