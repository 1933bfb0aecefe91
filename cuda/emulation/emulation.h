// CUDA C++ kernel source, compiled by an ordinary C++20 compiler and run on the CPU. This header holds what a kernel
// names (threadIdx, __syncthreads, shuffles, atomics, ...); emulation.cpp runs the blocks, with every thread of a block
// a fiber of its own. Nothing of the CUDA toolkit is needed.
#pragma once
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <source_location>
#include <stdexcept>
#include <string>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __grid_constant__
// A plain __shared__ variable would silently be each thread's own.
#define __shared__ use_the_macro_SHARED_or_DYNAMIC_SHARED_instead

// CUDA's vector types, as far as kernels here use them.
struct uint3 {
  unsigned x, y, z;
};
struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(16) float4 {
  float x, y, z, w;
};

namespace ar::emulation {

struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

enum class Order { forward, reverse, shuffled };

struct Options {
  Order order = Order::forward;  // of the lanes in a warp, the warps in a block, the blocks in the grid
  unsigned seed = 1;
  int workers = 1;                // OS threads that share the blocks of a grid
  int most_blocks = 16;           // gpu::most_blocks(): one multiprocessor's, so that grid-stride loops go round
  bool exited_at_barrier = true;  // sm_70+: a barrier waits for the threads that have not returned
  bool deferred_streams = false;  // work runs at synchronize(): shows a missing synchronisation
  int devices = 1;
  std::int64_t memory_bytes = std::int64_t(1) << 30;  // of the device
  std::int64_t lost_after = -1;  // pieces of work, after which each one fails as on a lost device; negative: never
};
/// To begin with as the environment has it: AR_EMULATION_ORDER=forward|reverse|shuffled, AR_EMULATION_DEFERRED=1,
/// AR_EMULATION_DEVICES, AR_EMULATION_MEMORY (bytes), AR_EMULATION_LOST_AFTER.
Options& options();

struct Statistics {
  std::uint64_t blocks = 0, threads = 0, resumes = 0;  // resumes = threads + barrier and warp waits
};
Statistics& statistics();

struct Grid {
  dim3 grid, block;
  std::size_t shared_bytes;
  std::source_location where;
};
void submit(void* stream, std::function<void()> work);
void run_grid(const Grid&, void (*body)(const void*), const void* context);
template <class Body>
void run(const Grid& grid, const Body& body) {
  run_grid(
      grid, [](const void* context) { (*static_cast<const Body*>(context))(); }, &body);
}

[[noreturn]] void fail(const char* message);  // inside a kernel: ends the launch, launch() throws Error

// --- shared memory -------------------------------------------------------------------------
// One arena per OS thread; each block fills its variables with 0xff bytes (NaN, -1) when they are
// first reached, keeps canaries between them, and a guard page after the dynamic part.
struct SharedSlot {
  std::uint64_t block = 0;
  void* memory = nullptr;
};
void* place_shared(SharedSlot&, const char* name, std::size_t bytes, std::size_t alignment);
void* dynamic_shared();

template <class T>
T& shared_variable(SharedSlot& slot, const char* name) {
  static_assert(std::is_trivially_copyable_v<std::remove_all_extents_t<T>>);
  return *static_cast<T*>(place_shared(slot, name, sizeof(T), alignof(T)));
}
#define SHARED(name, ...)                                                  \
  static constinit thread_local ::ar::emulation::SharedSlot name##_slot{}; \
  auto& name = ::ar::emulation::shared_variable<std::type_identity_t<__VA_ARGS__>>(name##_slot, #name)
#define DYNAMIC_SHARED(type, name) type* name = static_cast<type*>(::ar::emulation::dynamic_shared())

// --- waiting for other threads ---------------------------------------------------------------
enum class Wait : std::uint8_t { block_barrier, warp_barrier, shuffle, ballot };
using Site = std::source_location;
std::uint64_t wait(Wait, unsigned mask, int source_lane, std::uint64_t value, const Site&);
int lane();

template <class T>
T shuffle(unsigned mask, T value, int source_lane, const Site& site) {
  static_assert(sizeof(T) <= 8 && std::is_trivially_copyable_v<T>);
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = wait(Wait::shuffle, mask, source_lane, bits, site);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}
inline int segment(int width) {
  if (width < 1 || width > 32 || !std::has_single_bit(unsigned(width)))
    fail("shuffle width is not a power of two up to 32");
  return lane() & ~(width - 1);
}

// --- atomics -----------------------------------------------------------------------------------
void note_atomic(const void* memory, std::size_t bytes);  // for the race detector

template <class T, class Change>
__attribute__((no_sanitize("thread"))) T atomic_update(T* memory, Change change) {
  note_atomic(memory, sizeof(T));
  T before, after;
  __atomic_load(memory, &before, __ATOMIC_RELAXED);
  do after = change(before);
  while (!__atomic_compare_exchange(memory, &before, &after, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return before;
}
template <class T, class... Allowed>
concept one_of = (std::is_same_v<T, Allowed> || ...);
template <class T>
concept atomic_integer = one_of<T, int, unsigned, unsigned long long>;
template <class T>
concept atomic_addable = atomic_integer<T> || one_of<T, float, double>;

}  // namespace ar::emulation

// --- what kernels name ---------------------------------------
[[gnu::tls_model("initial-exec")]] inline constinit thread_local uint3 threadIdx{}, blockIdx{};
[[gnu::tls_model("initial-exec")]] inline constinit thread_local dim3 blockDim{}, gridDim{};
inline constexpr int warpSize = 32;

namespace ar::emulation_names {
using namespace ar::emulation;

inline void __syncthreads(const Site site = Site::current()) { wait(Wait::block_barrier, 0, 0, 0, site); }
inline int __syncthreads_count(int predicate, const Site site = Site::current()) {
  return int(wait(Wait::block_barrier, 0, 0, predicate != 0, site));
}
inline int __syncthreads_or(int predicate, const Site site = Site::current()) {
  return wait(Wait::block_barrier, 0, 0, predicate != 0, site) != 0;
}
inline int __syncthreads_and(int predicate, const Site site = Site::current()) {
  return wait(Wait::block_barrier, 0, 0, predicate == 0, site) == 0;
}
inline void __syncwarp(unsigned mask = 0xffffffffu, const Site site = Site::current()) {
  wait(Wait::warp_barrier, mask, 0, 0, site);
}

template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = 32, const Site site = Site::current()) {
  return shuffle(mask, value, segment(width) | (source & (width - 1)), site);
}
template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, const Site site = Site::current()) {
  const int source = lane() - int(delta);
  return shuffle(mask, value, source < segment(width) ? lane() : source, site);
}
template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, const Site site = Site::current()) {
  const int source = lane() + int(delta);
  return shuffle(mask, value, source >= segment(width) + width ? lane() : source, site);
}
template <class T>
T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32, const Site site = Site::current()) {
  const int source = lane() ^ bits;
  return shuffle(mask, value, source >= segment(width) + width ? lane() : source, site);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, const Site site = Site::current()) {
  return unsigned(wait(Wait::ballot, mask, 0, predicate != 0, site));
}
inline int __any_sync(unsigned mask, int predicate, const Site site = Site::current()) {
  return __ballot_sync(mask, predicate, site) != 0;
}
inline int __all_sync(unsigned mask, int predicate, const Site site = Site::current()) {
  return __ballot_sync(mask, !predicate, site) == 0;
}
// No __activemask: what it returns is not defined by the program.

template <atomic_addable T>
T atomicAdd(T* memory, std::type_identity_t<T> value) {
  return atomic_update(memory, [=](T before) { return T(before + value); });
}
template <atomic_integer T>
T atomicMax(T* memory, std::type_identity_t<T> value) {
  return atomic_update(memory, [=](T before) { return before < value ? value : before; });
}
template <atomic_integer T>
T atomicMin(T* memory, std::type_identity_t<T> value) {
  return atomic_update(memory, [=](T before) { return value < before ? value : before; });
}
template <atomic_integer T>
T atomicExch(T* memory, std::type_identity_t<T> value) {
  return atomic_update(memory, [=](T) { return value; });
}
template <atomic_integer T>
T atomicCAS(T* memory, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  return atomic_update(memory, [=](T before) { return before == expected ? value : before; });
}
inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

template <class T>
T __ldg(const T* memory) {
  return *memory;
}
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __saturatef(float x) { return x > 0 ? (x < 1 ? x : 1.0f) : 0.0f; }
inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(unsigned(x)); }
inline int __ffs(int x) { return x ? std::countr_zero(unsigned(x)) + 1 : 0; }
template <class T>
requires std::is_integral_v<T> T min(T a, T b) { return b < a ? b : a; }
template <class T>
requires std::is_integral_v<T> T max(T a, T b) { return a < b ? b : a; }
inline float min(float a, float b) { return std::fmin(a, b); }
inline float max(float a, float b) { return std::fmax(a, b); }
}  // namespace ar::emulation_names
using namespace ar::emulation_names;
// glibc's math.h declares these names without exporting them, hence macros.
#define __expf(x) std::exp(float(x))
#define __logf(x) std::log(float(x))
