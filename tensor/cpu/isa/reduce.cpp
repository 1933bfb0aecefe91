// Reductions over any set of dimensions, and arg_max.
//
// Two loops do all the work: one sums along a row, the other sums rows into a row. Either adds up a block of f32
// numbers, then folds it into f64 (integers: into i64), so that long sums keep their precision.
#include "tensor/cpu/isa/families.h"
#include "tensor/cpu/isa/row_reduce.h"
#include "tensor/cpu/isa/rows.h"

namespace ar::cpu::AR_ISA {
namespace {

constexpr int64_t kGrain = 32768;   // elements
constexpr int64_t kColumns = 1024;  // columns whose sums are kept at once

/// totals[j] += column j of some rows, for j < columns <= kColumns.
template <class Op, class T>
class Columns {
 public:
  using A = typename Op::template Total<T>;
  Columns(A* totals, int64_t columns) : totals_(totals), columns_(columns) { clear(); }
  void add(const T* row) {
    if constexpr (__is_same(A, T)) {
      add_to(totals_, row);
    } else if constexpr (is_float<T>) {
      add_to(partial_, row);
      if (++rows_ == kBlock) fold();
    } else {
      for (int64_t j = 0; j < columns_; ++j) totals_[j] = Op::template f<A>(totals_[j], A(row[j]));
    }
  }
  void fold() {
    if constexpr (!__is_same(A, T) && is_float<T>)
      for (int64_t j = 0; j < columns_; ++j) totals_[j] = Op::template f<A>(totals_[j], A(partial_[j]));
    clear();
  }

 private:
  void clear() {
    for (int64_t j = 0; j < columns_; ++j) partial_[j] = Op::template first<T>();
    rows_ = 0;
  }
  void add_to(T* sums, const T* row) {
    if constexpr (is_float<T>)
      each_vector<T>(columns_,
                     [&](int64_t j, auto io) { io.store(Op::lanes(io.load(sums + j), io.load(row + j)), sums + j); });
    else
      for (int64_t j = 0; j < columns_; ++j) sums[j] = Op::template f<T>(sums[j], row[j]);
  }

  A* totals_;
  int64_t columns_, rows_ = 0;
  alignas(64) T partial_[kColumns];
};

// ---- any dimensions ----

/// Dimension sets as bit masks: those that y keeps, and those that are added up.
struct Split {
  unsigned kept = 0, reduced = 0;
};
Split split_of(const View& x, const View& y) {
  Split s;
  for (int d = 0; d < x.rank; ++d)
    if (x.shape[d] != 1) (y.shape[d] == x.shape[d] ? s.kept : s.reduced) |= 1u << d;
  return s;
}

template <class Op, class T>
struct Reduction {
  using A = typename Op::template Total<T>;
  Strided<1> reduced;  // the walk over x from each kept element
  int64_t x_stride;    // in bytes, from one kept element of a row to the next
  bool columns;        // kept rows are contiguous in x: add rows to rows; else add along rows

  /// Totals of kept elements [first, first + n), all in one kept row, over reduced elements [begin, end).
  void run(const char* x, int64_t n, int64_t begin, int64_t end, A* totals) const {
    Strided<1> inner = reduced;
    if (columns) {
      inner.base[0] = const_cast<char*>(x);
      Columns<Op, T> sums(totals, n);
      walk(inner, begin, end, [&](char* const(&p)[1], int64_t m, int64_t) {
        for (int64_t i = 0; i < m; ++i) sums.add(reinterpret_cast<const T*>(p[0] + i * inner.row_stride(0)));
      });
      return sums.fold();
    }
    for (int64_t j = 0; j < n; ++j) {
      inner.base[0] = const_cast<char*>(x + j * x_stride);
      A total = Op::template first<A>();
      walk(inner, begin, end, [&](char* const(&p)[1], int64_t m, int64_t) {
        const int64_t stride = inner.row_stride(0);
        if (stride == int64_t(sizeof(T))) {
          total = Op::template f<A>(total, along_row<Op, T>(reinterpret_cast<const T*>(p[0]), m));
          return;
        }
        alignas(64) T buffer[512];
        for (int64_t i = 0; i < m; i += 512) {
          const int64_t part = m - i < 512 ? m - i : 512;
          gather<T>(p[0] + i * stride, stride, buffer, part);
          total = Op::template f<A>(total, along_row<Op, T>(buffer, part));
        }
      });
      totals[j] = Op::template f<A>(totals[j], total);
    }
  }
};

template <class Op, class T>
void reduce_with(const View& x, const View& y) {
  using A = typename Op::template Total<T>;
  const Split split = split_of(x, y);
  const Strided<2> kept = make_strided<2>({&x, &y}, Order::memory, split.kept);
  Reduction<Op, T> r;
  r.reduced = make_strided<1>({&x}, Order::memory, split.reduced);
  const int64_t x_stride = kept.row_stride(0), reduced_stride = magnitude(r.reduced.row_stride(0));
  r.x_stride = x_stride;
  r.columns = x_stride == int64_t(sizeof(T)) && kept.row() > 1 && (r.reduced.row() == 1 || reduced_stride > x_stride);
  const int64_t outputs = kept.numel, inputs = r.reduced.numel;

  const int threads = num_threads();
  const int64_t row_grain = r.columns ? kColumns : 1;
  const int64_t grain = kGrain / (inputs > 0 ? inputs : 1) + 1;
  if (outputs >= 4 * threads * row_grain || outputs * inputs <= kGrain || threads == 1) {
    // Enough outputs: they are split over the threads.
    return parallel_walk(kept, grain > row_grain ? grain : row_grain, [&](char* const(&p)[2], int64_t n, int64_t) {
      for (int64_t j = 0; j < n; j += kColumns) {
        const int64_t m = n - j < kColumns ? n - j : kColumns;
        A totals[kColumns];
        for (int64_t i = 0; i < m; ++i) totals[i] = Op::template first<A>();
        r.run(p[0] + j * x_stride, m, 0, inputs, totals);
        for (int64_t i = 0; i < m; ++i) *reinterpret_cast<T*>(p[1] + (j + i) * kept.row_stride(1)) = T(totals[i]);
      }
    });
  }
  // Few outputs: every thread takes a part of what is added up; the parts are then added in order.
  const int64_t most = (inputs + kBlock - 1) / kBlock;
  const int parts = int(most < threads ? most : threads);
  A* const totals = static_cast<A*>(thread_scratch(parts * outputs * int64_t(sizeof(A))));
  parallel_parts(parts, [&](int part, int count) {
    const int64_t begin = inputs * part / count, end = inputs * (part + 1) / count;
    A* const own = totals + part * outputs;
    for (int64_t i = 0; i < outputs; ++i) own[i] = Op::template first<A>();
    walk(kept, 0, outputs, [&](char* const(&p)[2], int64_t n, int64_t first) {
      for (int64_t j = 0; j < n; j += kColumns)
        r.run(p[0] + j * x_stride, n - j < kColumns ? n - j : kColumns, begin, end, own + first + j);
    });
  });
  walk(kept, 0, outputs, [&](char* const(&p)[2], int64_t n, int64_t first) {
    for (int64_t j = 0; j < n; ++j) {
      A total = totals[first + j];
      for (int part = 1; part < parts; ++part) total = Op::template f<A>(total, totals[part * outputs + first + j]);
      *reinterpret_cast<T*>(p[1] + j * kept.row_stride(1)) = T(total);
    }
  });
}

template <class T>
void reduce(ReduceOp op, const View& x, const View& y) {
  switch (op) {
    case ReduceOp::sum:
      return reduce_with<SumOp, T>(x, y);
    case ReduceOp::max:
      return reduce_with<MaxOp, T>(x, y);
    default:
      return reduce_with<MinOp, T>(x, y);
  }
}

// ---- arg_max ----

template <class S>
void arg_max(int dim, const View& x, const View& y) {
  const Strided<2> s = make_strided<2>({&x, &y}, Order::memory, ~(1u << dim));
  if (s.numel == 0) return;
  const int64_t length = x.shape[dim], stride = x.strides[dim] * int64_t(sizeof(S));
  parallel_walk(s, kGrain / length + 1, [&](char* const(&p)[2], int64_t n, int64_t) {
    for (int64_t i = 0; i < n; ++i) {
      const char* const at = p[0] + i * s.row_stride(0);
      auto best = widen(*reinterpret_cast<const S*>(at));
      int64_t where = 0;
      for (int64_t j = 1; j < length && best == best; ++j) {
        const auto v = widen(*reinterpret_cast<const S*>(at + j * stride));
        if (v > best || v != v) best = v, where = j;
      }
      *reinterpret_cast<int64_t*>(p[1] + i * s.row_stride(1)) = where;
    }
  });
}

}  // namespace

void add_reduce(Kernels& k) {
  k.reduce = {.i32 = &reduce<int32_t>, .i64 = &reduce<int64_t>, .f32 = &reduce<float>, .f64 = &reduce<double>};
  k.arg_max = {.u8 = &arg_max<uint8_t>,
               .i32 = &arg_max<int32_t>,
               .i64 = &arg_max<int64_t>,
               .f16 = &arg_max<f16>,
               .bf16 = &arg_max<bf16>,
               .f32 = &arg_max<float>,
               .f64 = &arg_max<double>};
}

}  // namespace ar::cpu::AR_ISA
