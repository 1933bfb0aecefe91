// Random numbers: element i of the logical order takes number offset + i of the seed's Philox stream, as on every
// device. One thread computes a block of four numbers and deals them to the up to four elements they belong to.
#include "cuda/each.h"
#include "cuda/families.h"
#include "tensor/philox.h"

namespace ar::cuda {
namespace {

template <int K, class F>
struct Deal {
  PhiloxState state;
  Walk<K> walk;
  F f;
  AR_HD void operator()(int64_t item) const {
    const PhiloxState& now = state.live ? *state.live : state;
    const uint64_t block = now.offset / 4 + uint64_t(item);
    const Philox4 numbers = philox_block(now.seed, block);
    for (int j = 0; j < 4; ++j) {
      const int64_t i = int64_t(4 * block + uint64_t(j) - now.offset);
      if (i < 0 || i >= walk.numel) continue;
      int64_t at[K];
      walk.at(i, at);
      f(numbers, j, at);
    }
  }
};
/// f(numbers, j, offsets) for each element: number j of four is its own.
template <int K, class F>
void deal(PhiloxState state, const View* const (&views)[K], const F& f) {
  const Walk<K> walk = make_walk(views, Order::logical);
  if (walk.numel == 0) return;
  each_item((walk.numel + 2) / 4 + 1, Deal<K, F>{state, walk, f});  // enough blocks wherever the first number is
}

// ---- dropout: y = number >= 2^32 p ? x / (1 - p) : 0 ----

template <class S>
struct Dropout {
  const S* x;
  S* y;
  uint32_t drop_below;
  Compute<S> scale;
  AR_HD void operator()(const Philox4& numbers, int j, const int64_t (&at)[2]) const {
    y[at[1]] = narrow<S>(numbers.v[j] >= drop_below ? widen(x[at[0]]) * scale : Compute<S>(0));
  }
};
template <class S>
void dropout(double p, PhiloxState state, const View& x, const View& y) {
  deal<2>(state, {&x, &y}, Dropout<S>{x.as<const S>(), y.as<S>(), philox_drop_below(p), Compute<S>(1 / (1 - p))});
}

// ---- U[lo, hi) and N(mean, std^2) ----

template <class T>
struct Uniform {
  T* y;
  T lo, hi;
  AR_HD void operator()(const Philox4& numbers, int j, const int64_t (&at)[1]) const {
    y[at[0]] = philox_uniform<T>(numbers.v[j], lo, hi);
  }
};
template <class T>
struct Normal {
  T* y;
  T mean, std;
  AR_HD void operator()(const Philox4& numbers, int j, const int64_t (&at)[1]) const {
    const PhiloxNormals z = philox_normals(numbers.v[j & 2], numbers.v[(j & 2) + 1]);
    y[at[0]] = T(mean + std * (j & 1 ? z.odd : z.even));
  }
};
template <class T>
void uniform(double lo, double hi, PhiloxState state, const View& y) {
  deal<1>(state, {&y}, Uniform<T>{y.as<T>(), T(lo), T(hi)});
}
template <class T>
void normal(double mean, double std, PhiloxState state, const View& y) {
  deal<1>(state, {&y}, Normal<T>{y.as<T>(), T(mean), T(std)});
}

}  // namespace

void add_random(Kernels& k) {
  k.dropout = {.f16 = &dropout<f16>, .bf16 = &dropout<bf16>, .f32 = &dropout<float>, .f64 = &dropout<double>};
  k.uniform = {.f32 = &uniform<float>, .f64 = &uniform<double>};
  k.normal = {.f32 = &normal<float>, .f64 = &normal<double>};
}

}  // namespace ar::cuda
