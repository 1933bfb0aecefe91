// The elements of K operands of one shape, in whatever order each of them lies in memory.
//
// Dimensions are sorted so that neighbouring indices are neighbours in the output's memory (writes, and mostly reads,
// of a warp are then one run of addresses), and those that follow each other without a gap in all operands are merged:
// what is dense everywhere becomes a single dimension, for which an index is an offset.
#pragma once
#include <optional>

#include "tensor/hd.h"
#include "tensor/view.h"

namespace ar::cuda {

/// Index: of numbers of elements and of offsets; 32 bits are several times faster than 64 to divide by.
template <int K, class Index = int64_t>
struct Walk {
  int rank = 0;
  Index numel = 1;
  Index shape[6] = {};       // innermost first
  Index strides[K][6] = {};  // in elements

  /// Offsets, in elements, of element i of the walk.
  AR_HD void at(Index i, Index (&offset)[K]) const {
    if (numel <= 0x7fffffff)
      split(uint32_t(i), offset);
    else
      split(uint64_t(i), offset);
  }
  /// Are all operands one run of neighbours?
  bool dense() const {
    for (int k = 0; k < K; ++k)
      if (rank == 1 && strides[k][0] != 1) return false;
    return rank <= 1;
  }

 private:
  template <class Count>
  AR_HD void split(Count rest, Index (&offset)[K]) const {
    for (int k = 0; k < K; ++k) offset[k] = 0;
#pragma unroll 1  // else what divides each dimension takes registers
    for (int d = 0; d < rank; ++d) {
      const Count n = Count(shape[d]), quotient = d + 1 < rank ? rest / n : 0;
      const Index r = Index(rest - quotient * n);
      for (int k = 0; k < K; ++k) offset[k] += r * strides[k][d];
      rest = quotient;
    }
  }
};

/// The walk in packs of V elements (offsets are counted in packs, too), if there are at most 2^31 in any operand and
/// all strides are so many packs forwards. Pointers are not looked at.
template <int K>
std::optional<Walk<K, uint32_t>> in_packs(const Walk<K>& walk, int V) {
  Walk<K, uint32_t> packs;
  packs.rank = walk.rank, packs.numel = uint32_t(walk.numel);
  if (walk.numel > 0x7fffffff) return {};
  for (int d = 0; d < walk.rank; ++d) packs.shape[d] = uint32_t(walk.shape[d]);
  for (int k = 0; k < K; ++k) {
    int64_t last = 0;
    for (int d = 0; d < walk.rank; ++d) {
      const int64_t stride = walk.strides[k][d];
      if (stride < 0 || stride % V != 0) return {};
      packs.strides[k][d] = uint32_t(stride / V);
      last += stride / V * (walk.shape[d] - 1);
    }
    if (last > 0x7fffffff) return {};
  }
  return packs;
}

/// In which order a walk counts elements: as they lie in the last operand, or row-major (as random numbers are dealt).
enum class Order { memory, logical };

/// A walk over those dimensions of the views whose bit in `dims` is set. All have one shape in these.
template <int K>
Walk<K> make_walk(const View* const (&views)[K], Order order = Order::memory, unsigned dims = ~0u) {
  Walk<K> w;
  int sorted[6], n = 0;  // innermost first
  const View& last = *views[K - 1];
  const auto step = [&](int d) { return last.strides[d] < 0 ? -last.strides[d] : last.strides[d]; };
  for (int d = views[0]->rank - 1; d >= 0; --d) {
    if (!(dims >> d & 1)) continue;
    w.numel *= views[0]->shape[d];
    if (views[0]->shape[d] == 1) continue;
    int at = n++;
    for (; order == Order::memory && at > 0 && step(d) < step(sorted[at - 1]); --at) sorted[at] = sorted[at - 1];
    sorted[at] = d;
  }
  for (int i = 0; i < n; ++i) {
    const int d = sorted[i];
    bool follows = w.rank > 0;
    for (int k = 0; k < K && follows; ++k)
      follows = views[k]->strides[d] == w.strides[k][w.rank - 1] * w.shape[w.rank - 1];
    if (follows) {
      w.shape[w.rank - 1] *= views[0]->shape[d];
      continue;
    }
    w.shape[w.rank] = views[0]->shape[d];
    for (int k = 0; k < K; ++k) w.strides[k][w.rank] = views[k]->strides[d];
    ++w.rank;
  }
  return w;
}

}  // namespace ar::cuda
