#include "tensor/peak.h"

#include <algorithm>
#include <atomic>
#include <chrono>

#include "tensor/parallel.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ar {
namespace {

std::atomic<float> sink;

// Twelve independent sums keep every multiply-add unit of today's processors busy. They start apart, or the compiler
// would merge them; the asm keeps it from looking through the loop.
#if defined(__x86_64__)
[[gnu::target("avx512f"), gnu::noinline]] void multiply_add_avx512(long n) {
  const __m512 x = _mm512_set1_ps(0.999f);
  __m512 a[12];
#pragma GCC unroll 12
  for (int j = 0; j < 12; ++j) a[j] = _mm512_set1_ps(0.01f * float(j));
  for (long i = 0; i < n; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < 12; ++j) {
      a[j] = _mm512_fmadd_ps(x, x, a[j]);
      asm volatile("" : "+v"(a[j]));
    }
  }
#pragma GCC unroll 12
  for (int j = 1; j < 12; ++j) a[0] = _mm512_add_ps(a[0], a[j]);
  sink = _mm512_cvtss_f32(a[0]);
}
/// vdpbf16ps: two multiply-adds of bf16 in each f32 lane.
[[gnu::target("avx512f,avx512bf16"), gnu::noinline]] void multiply_add_bf16(long n) {
  const __m512bh x = (__m512bh)_mm512_set1_epi32(0x3f7f3f7f);
  __m512 a[12];
#pragma GCC unroll 12
  for (int j = 0; j < 12; ++j) a[j] = _mm512_set1_ps(0.01f * float(j));
  for (long i = 0; i < n; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < 12; ++j) {
      a[j] = _mm512_dpbf16_ps(a[j], x, x);
      asm volatile("" : "+v"(a[j]));
    }
  }
#pragma GCC unroll 12
  for (int j = 1; j < 12; ++j) a[0] = _mm512_add_ps(a[0], a[j]);
  sink = _mm512_cvtss_f32(a[0]);
}
[[gnu::target("avx2,fma"), gnu::noinline]] void multiply_add_avx2(long n) {
  const __m256 x = _mm256_set1_ps(0.999f);
  __m256 a[12];
#pragma GCC unroll 12
  for (int j = 0; j < 12; ++j) a[j] = _mm256_set1_ps(0.01f * float(j));
  for (long i = 0; i < n; ++i) {
#pragma GCC unroll 12
    for (int j = 0; j < 12; ++j) {
      a[j] = _mm256_fmadd_ps(x, x, a[j]);
      asm volatile("" : "+x"(a[j]));
    }
  }
#pragma GCC unroll 12
  for (int j = 1; j < 12; ++j) a[0] = _mm256_add_ps(a[0], a[j]);
  sink = _mm256_cvtss_f32(a[0]);
}
#endif

/// The best of some rounds of step(), which does `work`, as a rate.
template <class F>
double best_rate(double work, const F& step) {
  using Clock = std::chrono::steady_clock;
  if (work <= 0) return 0;
  double seconds = 1e9;
  for (int i = 0; i < 8; ++i) {
    const auto begin = Clock::now();
    step();
    seconds = std::min(seconds, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return work / seconds;
}

}  // namespace

double multiply_adds() {
  constexpr long n = 4000000;
#if defined(__x86_64__)
  const bool wide = __builtin_cpu_supports("avx512f");
  if (!wide && !(__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))) return 0;
  parallel_parts(num_threads(), [&](int, int) { wide ? multiply_add_avx512(n) : multiply_add_avx2(n); });
  return 24e-9 * double(n) * (wide ? 16 : 8) * num_threads();
#else
  return 0;
#endif
}

double multiply_adds_bf16() {
  constexpr long n = 4000000;
#if defined(__x86_64__)
  if (!__builtin_cpu_supports("avx512bf16")) return 0;
  parallel_parts(num_threads(), [&](int, int) { multiply_add_bf16(n); });
  return 48e-9 * double(n) * 16 * num_threads();
#else
  return 0;
#endif
}

Triad::Triad(int64_t n) : n_(n), a_(ones({n})), b_(ones({n})), c_(zeros({n})) {}

void Triad::operator()() const {
  const float *a = a_.data<float>(), *b = b_.data<float>();
  float* c = c_.mutable_data<float>();
  parallel_for(n_, 4096, [=](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) c[i] = a[i] + 3.0f * b[i];
  });
}

double peak_gflops() {
  return best_rate(multiply_adds(), [] { multiply_adds(); });
}
double peak_gflops_bf16() {
  return best_rate(multiply_adds_bf16(), [] { multiply_adds_bf16(); });
}
double peak_bandwidth() {
  const Triad triad(int64_t(1) << 23);
  return best_rate(triad.gigabytes(), triad);
}

}  // namespace ar
