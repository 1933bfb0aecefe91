// Reductions over any set of dimensions, and arg_max.
//
// A block of 256 threads forms `outs` results at once from 256 / outs inputs each at a time. Where neighbouring results
// are neighbours in memory (a sum over rows), threads lie along the results; where the inputs of one result are (a sum
// along rows), along these: either way a warp reads a run of addresses. The threads' sums meet in a tree in shared
// memory. Few results over many inputs are split over several blocks in a second grid dimension, whose partial results
// are reduced likewise.
#include "cuda/each.h"
#include "cuda/families.h"

namespace ar::cuda {
namespace {

/// What totals are formed in. An f64 addition for each 2 or 4 bytes read still waits for memory, on any card.
template <class S>
struct Total {
  using type = std::conditional_t<std::is_integral_v<S>, int64_t, double>;
};

template <class A>
AR_HD A first_of(ReduceOp op) {
  if (op == ReduceOp::sum) return A(0);
  const bool max = op == ReduceOp::max;
  if constexpr (std::is_integral_v<A>)
    return max ? A(-0x7fffffffffffffff - 1) : A(0x7fffffffffffffff);
  else
    return max ? A(-INFINITY) : A(INFINITY);
}
/// NaN anywhere gives NaN.
template <class A>
AR_HD A join(ReduceOp op, A a, A b) {
  if (op == ReduceOp::sum) {
    if constexpr (std::is_integral_v<A>)
      return A(uint64_t(a) + uint64_t(b));
    else
      return a + b;
  }
  if (a != a) return a;
  return (op == ReduceOp::max ? a > b : a < b) ? a : b;
}

struct ThreadLayout {
  int outs;         // results of a block, a power of two
  bool along_outs;  // neighbouring threads take neighbouring results
};

template <class X, class S, class A>
__global__ void __launch_bounds__(kThreads)
    reduce_kernel(ReduceOp op, ThreadLayout layout, const __grid_constant__ Walk<2> kept,
                  const __grid_constant__ Walk<1> reduced, const X* x, S* y, A* partial) {
  SHARED(tree, A[kThreads]);
  const int t = int(threadIdx.x), outs = layout.outs, ins = kThreads / outs;
  const int out = layout.along_outs ? t % outs : t / ins, in = layout.along_outs ? t / outs : t % ins;
  for (int64_t o0 = int64_t(blockIdx.x) * outs; o0 < kept.numel; o0 += int64_t(gridDim.x) * outs) {
    const int64_t o = o0 + out;
    int64_t at[2] = {}, inner[1];
    A total = first_of<A>(op);
    if (o < kept.numel) {
      kept.at(o, at);
      for (int64_t i = int64_t(blockIdx.y) * ins + in; i < reduced.numel; i += int64_t(gridDim.y) * ins) {
        reduced.at(i, inner);
        total = join(op, total, A(widen(x[at[0] + inner[0]])));
      }
    }
    tree[in * outs + out] = total;
    for (int half = ins / 2; half > 0; half /= 2) {
      __syncthreads();
      if (in < half) tree[in * outs + out] = join(op, tree[in * outs + out], tree[(in + half) * outs + out]);
    }
    __syncthreads();  // then the tree may be used again: what is read below, its reader wrote
    if (in == 0 && o < kept.numel) {
      if (partial)
        partial[int64_t(blockIdx.y) * kept.numel + o] = tree[out];
      else
        y[at[1]] = narrow<S>(Compute<S>(tree[out]));
    }
  }
}

ThreadLayout layout_for(const Walk<2>& kept, const Walk<1>& reduced) {
  const auto size = [](int64_t stride) { return stride < 0 ? -stride : stride; };
  ThreadLayout layout;
  layout.along_outs = kept.rank > 0 && (reduced.rank == 0 || size(kept.strides[0][0]) <= size(reduced.strides[0][0]));
  layout.outs = 1;
  if (layout.along_outs)
    while (layout.outs < 32 && layout.outs < kept.numel) layout.outs *= 2;
  else
    while (layout.outs < kThreads && kThreads / layout.outs > reduced.numel) layout.outs *= 2;
  return layout;
}

/// x is X, or parts that an earlier launch left; results go to y, or, in several parts, to partial.
template <class A, class X, class S>
void launch_reduce(ReduceOp op, const Walk<2>& kept, const Walk<1>& reduced, const X* x, S* y, int64_t parts = 1,
                   A* partial = nullptr) {
  const ThreadLayout layout = layout_for(kept, reduced);
  gpu::launch(reduce_kernel<X, S, A>,
              {dim3(gpu::blocks_for(kept.numel, layout.outs), unsigned(parts)), kThreads, 0, stream()}, op, layout,
              kept, reduced, x, y, partial);
}

template <class S>
void reduce(ReduceOp op, const View& x, const View& y) {
  using A = typename Total<S>::type;
  unsigned kept_dims = 0, reduced_dims = 0;
  for (int d = 0; d < x.rank; ++d) (y.shape[d] == x.shape[d] ? kept_dims : reduced_dims) |= 1u << d;
  Walk<2> kept = make_walk<2>({&x, &y}, Order::memory, kept_dims);
  const Walk<1> reduced = make_walk<1>({&x}, Order::memory, reduced_dims);
  if (kept.numel == 0 || reduced.numel == 0) return;
  const int outs = layout_for(kept, reduced).outs, ins = kThreads / outs;
  const int64_t rows = (kept.numel + outs - 1) / outs, most = gpu::most_blocks();
  const int64_t useful = (reduced.numel + 8 * ins - 1) / (8 * ins);  // a block should read 8 elements a thread at least
  int64_t parts = rows < most ? most / rows : 1;
  if (parts > useful) parts = useful;
  if (parts <= 1) return launch_reduce<A>(op, kept, reduced, x.as<const S>(), y.as<S>());
  const Scratch partial(parts * kept.numel * int64_t(sizeof(A)));
  launch_reduce<A>(op, kept, reduced, x.as<const S>(), y.as<S>(), parts, partial.as<A>());
  // The parts are a dense matrix, of which the rows are reduced.
  for (int64_t d = 0, stride = 1; d < kept.rank; stride *= kept.shape[d++]) kept.strides[0][d] = stride;
  Walk<1> all;
  all.rank = 1, all.numel = all.shape[0] = parts, all.strides[0][0] = kept.numel;
  launch_reduce<A>(op, kept, all, static_cast<const A*>(partial.as<A>()), y.as<S>());
}

// ---- arg_max along a dimension: the first of equals, NaN wins; one thread a row ----

template <class S>
struct ArgMax {
  const S* x;
  int64_t* y;
  int64_t length, stride;
  AR_HD void operator()(int64_t, const int64_t (&at)[2]) const {
    const S* const row = x + at[0];
    Compute<S> best = widen(row[0]);
    int64_t where = 0;
    for (int64_t j = 1; j < length && best == best; ++j) {
      const Compute<S> v = widen(row[j * stride]);
      if (v > best || v != v) best = v, where = j;
    }
    y[at[1]] = where;
  }
};
template <class S>
void arg_max(int dim, const View& x, const View& y) {
  each(make_walk<2>({&x, &y}, Order::memory, ~(1u << dim)),
       ArgMax<S>{x.as<const S>(), y.as<int64_t>(), x.shape[dim], x.strides[dim]});
}

}  // namespace

void add_reduce(Kernels& k) {
  k.reduce = {.i32 = &reduce<int32_t>,
              .i64 = &reduce<int64_t>,
              .bf16 = &reduce<bf16>,
              .f32 = &reduce<float>,
              .f64 = &reduce<double>};
  k.arg_max = {.u8 = &arg_max<uint8_t>,
               .i32 = &arg_max<int32_t>,
               .i64 = &arg_max<int64_t>,
               .f16 = &arg_max<f16>,
               .bf16 = &arg_max<bf16>,
               .f32 = &arg_max<float>,
               .f64 = &arg_max<double>};
}

}  // namespace ar::cuda
