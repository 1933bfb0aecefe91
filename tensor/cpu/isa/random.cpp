// Random numbers: dropout, uniform, normal. Element i of the logical order takes number offset + i of the seed's
// stream, so results do not depend on layout, threads or instruction set.
#include "tensor/cpu/isa/families.h"
#include "tensor/cpu/isa/rows.h"
#include "tensor/philox.h"

namespace ar::cpu::AR_ISA {
namespace {

constexpr int64_t kGrain = 8192;  // elements

constexpr int kLanes = kVectorBytes / int(sizeof(uint64_t)), kBlocks = 2 * kLanes;
typedef uint64_t Words __attribute__((vector_size(kVectorBytes)));  // one 32-bit number in each

/// The 64-bit products of the lanes' lower halves.
Words multiply(Words a, uint32_t b) {
#if defined(__AVX512F__)
  return (Words)_mm512_mul_epu32((__m512i)a, _mm512_set1_epi64(b));
#elif defined(__AVX2__)
  return (Words)_mm256_mul_epu32((__m256i)a, _mm256_set1_epi64x(b));
#else
  return (a & 0xffffffffu) * uint64_t(b);
#endif
}

/// Blocks [first, first + kBlocks) of the stream: Philox-4x32-10 on two registers of counters.
void philox_blocks(uint64_t seed, uint64_t first, uint32_t* numbers) {
  Words c[2][4];
  for (int half = 0; half < 2; ++half)
    for (int i = 0; i < kLanes; ++i) {
      const uint64_t counter = first + uint64_t(half * kLanes + i);
      c[half][0][i] = uint32_t(counter);
      c[half][1][i] = counter >> 32;
      c[half][2][i] = c[half][3][i] = 0;
    }
  uint32_t key0 = uint32_t(seed), key1 = uint32_t(seed >> 32);
  for (int round = 0; round < 10; ++round) {
    for (Words(&w)[4] : c) {  // upper halves may hold anything until the end
      const Words a = multiply(w[0], 0xD2511F53u), b = multiply(w[2], 0xCD9E8D57u);
      w[0] = (b >> 32) ^ w[1] ^ key0;
      w[1] = b;
      w[2] = (a >> 32) ^ w[3] ^ key1;
      w[3] = a;
    }
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  for (int half = 0; half < 2; ++half)
    for (int i = 0; i < kLanes; ++i)
      for (int j = 0; j < 4; ++j) numbers[4 * (half * kLanes + i) + j] = uint32_t(c[half][j][i]);
}

/// Calls f(numbers, n, i) over a row of `count` elements whose first one takes number `first`: numbers[0..n) are for
/// elements i .. i+n of the row. The number before numbers[0] (if its position in the stream is odd) and the one after
/// the last (if that is even) may be read too.
template <class F>
[[gnu::always_inline]] inline void each_number(uint64_t seed, uint64_t first, int64_t count, F&& f) {
  constexpr int size = 4 * kBlocks;
  alignas(64) uint32_t numbers[size];
  for (int64_t i = 0; i < count;) {
    const uint64_t at = first + uint64_t(i);
    const int skip = int(at % size), n = count - i < size - skip ? int(count - i) : size - skip;
    philox_blocks(seed, at / size * kBlocks, numbers);
    f(numbers + skip, n, i);
    i += n;
  }
}

// ---- dropout ----

template <class T>
struct Dropout {
  PhiloxState state;
  uint32_t drop_below;
  T scale;
};
template <class T>
void dropout_row(const void* self, T* const* p, int64_t n, int64_t first) {
  const Dropout<T>& d = *static_cast<const Dropout<T>*>(self);
  const uint32_t drop_below = d.drop_below;
  const T scale = d.scale;
  each_number(d.state.seed, d.state.offset + uint64_t(first), n, [&](const uint32_t* numbers, int m, int64_t at) {
    const T* const x = p[0] + at;
    T* const y = p[1] + at;
    for (int i = 0; i < m; ++i) {
      const T kept = x[i] * scale;  // computed for all: a branch would be mispredicted every other time
      y[i] = numbers[i] >= drop_below ? kept : T(0);
    }
  });
}
template <class S>
void dropout(double p, PhiloxState state, const View& x, const View& y) {
  using T = Compute<S>;
  const Dropout<T> d{state, philox_drop_below(p), T(1 / (1 - p))};
  run_rows<S, 2>({&x, &y}, {1, 2}, &dropout_row<T>, &d, kGrain, Order::logical);
}

// ---- uniform and normal ----

template <class T>
struct Distribution {
  PhiloxState state;
  T a, b;  // bounds, or mean and standard deviation
};
template <class T>
void uniform_row(const void* self, T* const* p, int64_t n, int64_t first) {
  const Distribution<T>& d = *static_cast<const Distribution<T>*>(self);
  each_number(d.state.seed, d.state.offset + uint64_t(first), n, [&](const uint32_t* numbers, int m, int64_t at) {
    T* const y = p[0] + at;
    for (int i = 0; i < m; ++i) y[i] = philox_uniform<T>(numbers[i], d.a, d.b);
  });
}
template <class T>
void normal_row(const void* self, T* const* p, int64_t n, int64_t first) {
  const Distribution<T>& d = *static_cast<const Distribution<T>*>(self);
  each_number(d.state.seed, d.state.offset + uint64_t(first), n, [&](const uint32_t* numbers, int m, int64_t at) {
    const int odd = int(d.state.offset + uint64_t(first + at)) & 1;  // then a pair began one number earlier
    T* const y = p[0] + at;
    for (int i = -odd; i < m; i += 2) {
      const PhiloxNormals z = philox_normals(numbers[i], numbers[i + 1]);
      if (i >= 0) y[i] = T(d.a + d.b * z.even);
      if (i + 1 < m) y[i + 1] = T(d.a + d.b * z.odd);
    }
  });
}
template <class S>
void uniform(double lo, double hi, PhiloxState state, const View& y) {
  using T = Compute<S>;
  const Distribution<T> d{state, T(lo), T(hi)};
  run_rows<S, 1>({&y}, {0, 1}, &uniform_row<T>, &d, kGrain, Order::logical);
}
template <class S>
void normal(double mean, double std, PhiloxState state, const View& y) {
  using T = Compute<S>;
  const Distribution<T> d{state, T(mean), T(std)};
  run_rows<S, 1>({&y}, {0, 1}, &normal_row<T>, &d, kGrain, Order::logical);
}

}  // namespace

void add_random(Kernels& k) {
  k.dropout = {.f16 = &dropout<f16>, .bf16 = &dropout<bf16>, .f32 = &dropout<float>, .f64 = &dropout<double>};
  k.uniform = {.f32 = &uniform<float>, .f64 = &uniform<double>};
  k.normal = {.f32 = &normal<float>, .f64 = &normal<double>};
}

}  // namespace ar::cpu::AR_ISA
