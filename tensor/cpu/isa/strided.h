// Walking several strided views of one shape together: dimensions are sorted so that the innermost has the smallest
// strides, neighbours that lie regularly are merged, and what is left is rows.
#pragma once
#include "tensor/kernels.h"
#include "tensor/parallel.h"

namespace ar::cpu::AR_ISA {
namespace {

/// memory: whatever order suits the strides. logical: row-major, so that a linear index counts elements in that order.
enum class Order { memory, logical };

template <int K>
struct Strided {
  char* base[K];
  int rank = 0;           // >= 1 once made; the last dimension is the row
  int64_t shape[6];       // sizes, none of them 1 (unless all are)
  int64_t strides[K][6];  // in bytes
  int64_t numel = 1;

  int64_t row() const { return shape[rank - 1]; }
  int64_t row_stride(int k) const { return strides[k][rank - 1]; }
};

inline int64_t magnitude(int64_t x) { return x < 0 ? -x : x; }

/// Views of one shape. `dims` (a bit per dimension) chooses the dimensions to walk; the others are left alone.
template <int K>
inline Strided<K> make_strided(const View* const (&views)[K], Order order = Order::memory, unsigned dims = ~0u) {
  Strided<K> s;
  int64_t weight[6];  // sum of all strides: the sorting key
  for (int k = 0; k < K; ++k) s.base[k] = static_cast<char*>(views[k]->data);
  for (int d = 0; d < views[0]->rank; ++d) {
    const int64_t n = views[0]->shape[d];
    if (!(dims >> d & 1u)) continue;
    s.numel *= n;
    if (n == 1) continue;
    int64_t strides[K], w = 0;
    for (int k = 0; k < K; ++k) w += magnitude(strides[k] = views[k]->strides[d] * size_of(views[k]->dtype));
    int at = s.rank++;
    if (order == Order::memory)
      for (; at > 0 && weight[at - 1] < w; --at) {
        weight[at] = weight[at - 1];
        s.shape[at] = s.shape[at - 1];
        for (int k = 0; k < K; ++k) s.strides[k][at] = s.strides[k][at - 1];
      }
    weight[at] = w;
    s.shape[at] = n;
    for (int k = 0; k < K; ++k) s.strides[k][at] = strides[k];
  }
  int merged = 0;
  for (int d = 1; d < s.rank; ++d) {
    bool regular = true;
    for (int k = 0; k < K; ++k) regular &= s.strides[k][merged] == s.strides[k][d] * s.shape[d];
    if (regular) {
      s.shape[merged] *= s.shape[d];
    } else {
      s.shape[++merged] = s.shape[d];
    }
    for (int k = 0; k < K; ++k) s.strides[k][merged] = s.strides[k][d];
  }
  if (s.rank == 0) {
    s.shape[0] = s.numel;  // 1, or 0 where a dimension is empty
    for (int k = 0; k < K; ++k) s.strides[k][0] = 0;
  }
  s.rank = s.numel == 0 ? 1 : (s.rank == 0 ? 1 : merged + 1);
  return s;
}

/// Calls f(pointers, n, first) for each stretch of a row within elements [begin, end) of the walk; `first` is the
/// linear index of the stretch's first element.
template <int K, class F>
inline void walk(const Strided<K>& s, int64_t begin, int64_t end, F&& f) {
  if (begin >= end) return;
  const int last = s.rank - 1;
  const int64_t n = s.shape[last];
  int64_t index[6];
  char* row[K];
  for (int k = 0; k < K; ++k) row[k] = s.base[k];
  int64_t rest = begin / n, column = begin % n;
  for (int d = last - 1; d >= 0; --d) {
    index[d] = rest % s.shape[d];
    rest /= s.shape[d];
    for (int k = 0; k < K; ++k) row[k] += index[d] * s.strides[k][d];
  }
  for (int64_t at = begin; at < end;) {
    const int64_t stretch = n - column < end - at ? n - column : end - at;
    char* p[K];
    for (int k = 0; k < K; ++k) p[k] = row[k] + column * s.strides[k][last];
    f(p, stretch, at);
    at += stretch;
    column = 0;
    for (int d = last - 1; d >= 0; --d) {
      for (int k = 0; k < K; ++k) row[k] += s.strides[k][d];
      if (++index[d] < s.shape[d]) break;
      for (int k = 0; k < K; ++k) row[k] -= s.shape[d] * s.strides[k][d];
      index[d] = 0;
    }
  }
}

/// walk() over all elements, on the pool's threads.
template <int K, class F>
inline void parallel_walk(const Strided<K>& s, int64_t grain, F&& f) {
  parallel_for(s.numel, grain, [&](int64_t begin, int64_t end) { walk(s, begin, end, f); });
}

}  // namespace
}  // namespace ar::cpu::AR_ISA
