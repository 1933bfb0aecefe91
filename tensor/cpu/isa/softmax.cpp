// Softmax and log-softmax along a dimension, and picking one element of it by an index (the heart of an NLL loss).
#include "tensor/cpu/isa/families.h"
#include "tensor/cpu/isa/row_reduce.h"
#include "tensor/cpu/isa/simd_math.h"

namespace ar::cpu::AR_ISA {
namespace {

constexpr int64_t kGrain = 4096;  // elements

/// Calls f(rows) for every position of the other dimensions, with the K views' elements along dim as contiguous rows:
/// in place where they lie so, else through scratch memory. Only the last view is written.
template <class T, int K, class F>
void each_row(const View* const (&views)[K], int dim, F&& f) {
  const Strided<K> s = make_strided(views, Order::memory, ~(1u << dim));
  const int64_t length = views[0]->shape[dim];
  if (length == 0) return;
  int64_t stride[K];  // in bytes, along dim
  bool direct = true;
  for (int k = 0; k < K; ++k) {
    stride[k] = views[k]->strides[dim] * int64_t(sizeof(T));
    direct &= stride[k] == int64_t(sizeof(T)) || length == 1;
  }
  parallel_walk(s, kGrain / length + 1, [&](char* const(&p)[K], int64_t n, int64_t) {
    T* const scratch = direct ? nullptr : static_cast<T*>(thread_scratch(K * length * int64_t(sizeof(T))));
    for (int64_t i = 0; i < n; ++i) {
      T* row[K];
      for (int k = 0; k < K; ++k) {
        char* const at = p[k] + i * s.row_stride(k);
        row[k] = direct ? reinterpret_cast<T*>(at) : scratch + k * length;
        if (!direct && k < K - 1) gather<T>(at, stride[k], row[k], length);
      }
      f(row, length);
      if (!direct) scatter<T>(row[K - 1], p[K - 1] + i * s.row_stride(K - 1), stride[K - 1], length);
    }
  });
}

template <class T>
void softmax(int dim, bool log, const View& x, const View& y) {
  each_row<T, 2>({&x, &y}, dim, [&](T* const(&row)[2], int64_t n) {
    const T* const from = row[0];
    T* const to = row[1];
    // Less the maximum, no exponential overflows and one of them is 1.
    const Vec<T> top = Vec<T>::set1(along_row<MaxOp, T>(from, n));
    each_vector<T>(n, [=](int64_t j, auto io) { io.store(exp(io.load(from + j) - top), to + j); });
    const double sum = double(along_row<SumOp, T>(to, n));
    if (log) {
      const Vec<T> log_sum = Vec<T>::set1(T(__builtin_log(sum)));
      each_vector<T>(n, [=](int64_t j, auto io) { io.store((io.load(from + j) - top) - log_sum, to + j); });
    } else {
      const Vec<T> factor = Vec<T>::set1(T(1 / sum));
      each_vector<T>(n, [=](int64_t j, auto io) { io.store(io.load(to + j) * factor, to + j); });
    }
  });
}

template <class T>
void softmax_backward(int dim, bool log, const View& y, const View& gy, const View& gx) {
  each_row<T, 3>({&y, &gy, &gx}, dim, [&](T* const(&row)[3], int64_t n) {
    const T *const out = row[0], *const g = row[1];
    T* const to = row[2];
    if (log) {
      const Vec<T> sum = Vec<T>::set1(T(along_row<SumOp, T>(g, n)));
      each_vector<T>(n, [=](int64_t j, auto io) { io.store(io.load(g + j) - exp(io.load(out + j)) * sum, to + j); });
    } else {
      const Vec<T> sum = Vec<T>::set1(T(dot(g, out, n)));
      each_vector<T>(n, [=](int64_t j, auto io) { io.store(io.load(out + j) * (io.load(g + j) - sum), to + j); });
    }
  });
}

// ---- pick ----

View without_channels(const View& x) {
  View v = x;
  v.rank = x.rank - 1;
  for (int d = 1; d < v.rank; ++d) {
    v.shape[d] = x.shape[d + 1];
    v.strides[d] = x.strides[d + 1];
  }
  return v;
}

/// f(pointer into x at the picked element, or null where the target is not a class; pointer into y), x being (N,C,...).
template <class T, class F>
void each_picked(const View& x, const View& target, const View& y, F&& f) {
  const View rest = without_channels(x);
  const int64_t classes = x.shape[1], stride = x.strides[1];
  const Strided<3> s = make_strided<3>({&rest, &target, &y});
  parallel_walk(s, kGrain, [&](char* const(&p)[3], int64_t n, int64_t) {
    for (int64_t i = 0; i < n; ++i) {
      const int64_t t = *reinterpret_cast<const int64_t*>(p[1] + i * s.row_stride(1));
      T* const at = reinterpret_cast<T*>(p[0] + i * s.row_stride(0));
      f(t >= 0 && t < classes ? at + t * stride : nullptr, reinterpret_cast<T*>(p[2] + i * s.row_stride(2)));
    }
  });
}

template <class T>
void pick(const View& x, const View& target, const View& y) {
  each_picked<T>(x, target, y, [](const T* picked, T* to) { *to = picked ? *picked : T(0); });
}
template <class T>
void pick_backward(const View& gy, const View& target, const View& gx) {
  each_picked<T>(gx, target, gy, [](T* picked, const T* g) {
    if (picked) *picked += *g;
  });
}

}  // namespace

void add_softmax(Kernels& k) {
  k.softmax = {.f32 = &softmax<float>, .f64 = &softmax<double>};
  k.softmax_backward = {.f32 = &softmax_backward<float>, .f64 = &softmax_backward<double>};
  k.pick = {.f32 = &pick<float>, .f64 = &pick<double>};
  k.pick_backward = {.f32 = &pick_backward<float>, .f64 = &pick_backward<double>};
}

}  // namespace ar::cpu::AR_ISA
