#include "tests/kernels/kernel_test.h"

namespace ar::testing {
namespace {

/// Reduces the dimensions in the mask, in f64.
std::vector<double> reference(ReduceOp op, const Array& x, unsigned mask, Dims& y_shape) {
  y_shape = x.shape();
  for (int d = 0; d < y_shape.size(); ++d)
    if (mask >> d & 1) y_shape[d] = 1;
  const double inf = std::numeric_limits<double>::infinity();
  std::vector<double> y(std::size_t(y_shape.product()), op == ReduceOp::sum ? 0 : op == ReduceOp::max ? -inf : inf);
  for (int64_t i = 0; i < x.numel(); ++i) {
    int64_t rest = i, at = 0, stride = 1;
    for (int d = x.shape().size() - 1; d >= 0; --d) {
      if (y_shape[d] != 1) at += rest % x.shape()[d] * stride;
      rest /= x.shape()[d];
      stride *= y_shape[d];
    }
    double& v = y[std::size_t(at)];
    const double e = x.get(i);
    if (op == ReduceOp::sum)
      v += e;
    else if (std::isnan(v) || std::isnan(e))
      v = std::nan("");
    else
      v = op == ReduceOp::max ? std::max(v, e) : std::min(v, e);
  }
  return y;
}

class Reduce : public KernelTest {};

TEST_P(Reduce, AnyDimensions) {
  for (int op = 0; op < int(ReduceOp::count); ++op)
    for (Dtype t : {Dtype::i32, Dtype::i64, Dtype::f32, Dtype::f64})
      for (Lie in : kInputLies)
        for (unsigned mask = 0; mask < 16; ++mask) {
          SCOPED_TRACE(::testing::Message() << "op " << op << " " << t << " " << int(in) << " dims " << mask);
          Array x({3, 37, 4, 5}, t, in);
          x.randomise(1, -100, 100);
          Dims y_shape;
          const auto want = reference(ReduceOp(op), x, mask, y_shape);
          for (Lie out : {Lie::dense, Lie::narrow, Lie::transposed})
            EXPECT_TRUE(near(run_checked([&] { return Array(y_shape, t, out); },
                                         [&](Array& y) { k().reduce[t](ReduceOp(op), x, y); }),
                             want, t, t == Dtype::f64 ? 64 : 4, 2000));
        }
}

TEST_P(Reduce, LargeSumsSplitOverThreads) {
  for (Lie in : {Lie::dense, Lie::channels_last, Lie::narrow})
    for (unsigned mask : {1u, 2u, 12u, 13u, 14u, 15u}) {
      SCOPED_TRACE(::testing::Message() << int(in) << " dims " << mask);
      Array x({4, 70, 33, 31}, Dtype::f32, in);
      x.randomise(1, 0, 1);
      Dims y_shape;
      const auto want = reference(ReduceOp::sum, x, mask, y_shape);
      EXPECT_TRUE(near(run_checked([&] { return Array(y_shape, Dtype::f32); },
                                   [&](Array& y) { k().reduce.f32(ReduceOp::sum, x, y); }),
                       want, Dtype::f32, 4));
    }
}

TEST_P(Reduce, LongSumsKeepTheirPrecision) {
  // Adding 0.1f a million times one by one in f32 ends at 100958.
  Array x({1000003}, Dtype::f32), y({1}, Dtype::f32);
  x.assign([](int64_t) { return 0.1; });
  k().reduce.f32(ReduceOp::sum, x, y);
  EXPECT_NEAR(y.get(0), 1000003 * double(0.1f), 0.05);
  Array columns({100003, 3}, Dtype::f32), z({1, 3}, Dtype::f32);
  columns.assign([](int64_t) { return 0.1; });
  k().reduce.f32(ReduceOp::sum, columns, z);
  for (double v : z.values()) EXPECT_NEAR(v, 100003 * double(0.1f), 0.005);
}

TEST_P(Reduce, NanAndEmpty) {
  for (int64_t at : {0, 5, 99, 100}) {
    Array x({101}, Dtype::f32), y({1}, Dtype::f32);
    x.randomise(1);
    x.set(at, std::nan(""));
    for (int op = 0; op < int(ReduceOp::count); ++op) {
      k().reduce.f32(ReduceOp(op), x, y);
      EXPECT_TRUE(std::isnan(y.get(0))) << "op " << op << " at " << at;
    }
  }
  Array none({3, 0}, Dtype::f32), sums({3, 1}, Dtype::f32), nothing({1, 0}, Dtype::f32);
  k().reduce.f32(ReduceOp::sum, none, sums);
  EXPECT_EQ(sums.values(), (std::vector<double>{0, 0, 0}));
  k().reduce.f32(ReduceOp::sum, none, nothing);
  EXPECT_TRUE(nothing.guards_intact());
}

TEST_P(Reduce, ArgMax) {
  for (Dtype t : {Dtype::u8, Dtype::i32, Dtype::i64, Dtype::f16, Dtype::bf16, Dtype::f32, Dtype::f64})
    for (Lie in : kInputLies)
      for (int dim = 0; dim < 3; ++dim) {
        SCOPED_TRACE(::testing::Message() << t << " " << int(in) << " dim " << dim);
        const Dims shape{4, 9, 30};
        Array x(shape, t, in);
        x.randomise(1, 0, 6);
        if (is_floating(t))
          for (int64_t i : {3, 4, 400}) x.set(i, std::nan(""));
        Dims y_shape = shape;
        y_shape[dim] = 1;
        const auto got = run_checked([&] { return Array(y_shape, Dtype::i64, Lie::narrow); },
                                     [&](Array& y) { k().arg_max[t](dim, x, y); });
        int64_t inner = 1;
        for (int d = dim + 1; d < 3; ++d) inner *= shape[d];
        for (std::size_t o = 0; o < got.size(); ++o) {
          const int64_t start = int64_t(o) / inner * inner * shape[dim] + int64_t(o) % inner;
          int64_t best = 0;
          for (int64_t j = 1; j < shape[dim]; ++j) {
            const double v = x.get(start + j * inner), top = x.get(start + best * inner);
            if (!std::isnan(top) && (v > top || std::isnan(v))) best = j;
          }
          EXPECT_EQ(got[o], double(best));
        }
      }
}

AR_KERNEL_TESTS(Reduce);

}  // namespace
}  // namespace ar::testing
