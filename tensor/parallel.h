// The pool of threads that CPU kernels share.
#pragma once
#include <cstdint>
#include <type_traits>

namespace ar {

/// Threads that kernels use: AR_NUM_THREADS, else the cores this process may run on.
int num_threads();
/// Changes the number of threads (>= 1; throws Error otherwise). Not while a kernel runs. If the system gives fewer,
/// those do the work of all, with the same results.
void set_num_threads(int n);

namespace detail {
using PartFn = void (*)(void* context, int part, int parts);
void run_parts(int parts, PartFn fn, void* context);
}  // namespace detail

/// Calls f(part, parts) once for each part in [0, parts), on the pool's threads, and waits. Which thread runs a part is
/// not fixed, but the parts are: results depend on `parts` alone. Inside another parallel region, or while another
/// thread owns the pool, all parts run on the calling thread, one after another. What f throws (out of memory) reaches
/// the caller, one exception if there are several, after parts that have begun are done.
template <class F>
[[gnu::always_inline]] inline void parallel_parts(int parts, F&& f) {
  using Fn = std::remove_reference_t<F>;
  if (parts <= 1) return f(0, 1);
  detail::run_parts(
      parts, [](void* c, int part, int n) { (*static_cast<Fn*>(c))(part, n); },
      const_cast<void*>(static_cast<const void*>(&f)));
}

/// Splits [0, n) evenly into at most num_threads() ranges of at least `grain` and calls f(begin, end) on each.
template <class F>
[[gnu::always_inline]] inline void parallel_for(int64_t n, int64_t grain, F&& f) {
  const int64_t most = grain > 0 ? (n + grain - 1) / grain : n, threads = num_threads();
  const int64_t parts = most < threads ? most : threads;
  if (n <= 0) return;
  parallel_parts(int(parts), [&](int part, int count) { f(n * part / count, n * (part + 1) / count); });
}

/// At least `bytes` of 64-byte aligned memory of the calling thread, valid until its next call. For kernels.
void* thread_scratch(int64_t bytes);

}  // namespace ar
