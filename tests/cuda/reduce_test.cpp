#include "tests/cuda/both.h"

namespace ar::testing {
namespace {

void reduce_both(ReduceOp op, const Dims& shape, unsigned dims, Dtype t, Lie in, Lie out) {
  SCOPED_TRACE(::testing::Message() << "op " << int(op) << " of " << shape << " over " << dims << " " << t << " "
                                    << int(in) << " " << int(out));
  Dims kept = shape;
  for (int d = 0; d < shape.size(); ++d)
    if (dims >> d & 1) kept[d] = 1;
  const Array x = random(shape, t, in, 1, -9, 9), y(kept, t, out);
  const double terms = double(shape.product()) / double(kept.product());
  compare({&x, &y},
          [&](const Side& s) -> std::vector<double> {
            s.k.reduce[s[0].dtype](op, s[0], s[1]);
            return {};
          },
          {16, 40 + 9 * std::sqrt(terms)});
}

TEST(CudaReduce, AnyDimensions) {
  AR_NEEDS_CUDA();
  for (ReduceOp op : {ReduceOp::sum, ReduceOp::max, ReduceOp::min})
    for (Dtype t : {Dtype::i32, Dtype::i64, Dtype::bf16, Dtype::f32, Dtype::f64})
      for (unsigned dims = 0; dims < 16; ++dims)
        for (Lie in : {Lie::dense, Lie::channels_last, Lie::backwards})
          reduce_both(op, {3, 35, 2, 5}, dims, t, in, dims % 2 ? Lie::dense : Lie::padded);
}

TEST(CudaReduce, LongRowsAndColumns) {
  AR_NEEDS_CUDA();
  const int64_t n = many() / 3;
  for (Dtype t : {Dtype::f32, Dtype::i64}) {
    reduce_both(ReduceOp::sum, {3, n}, 2, t, Lie::dense, Lie::dense);
    reduce_both(ReduceOp::sum, {n, 3}, 1, t, Lie::dense, Lie::dense);
    reduce_both(ReduceOp::max, {n / 64, 70}, 1, t, Lie::padded, Lie::dense);
    reduce_both(ReduceOp::sum, {n / 64, 70}, 2, t, Lie::padded, Lie::dense);
    reduce_both(ReduceOp::sum, {n}, 1, t, Lie::dense, Lie::dense);
  }
}

TEST(CudaReduce, NanWins) {
  AR_NEEDS_CUDA();
  Array x = random({5, 300}, Dtype::f32);
  x.set(2 * 300 + 177, std::nan(""));
  const Array y({5, 1}, Dtype::f32);
  for (ReduceOp op : {ReduceOp::sum, ReduceOp::max, ReduceOp::min})
    compare({&x, &y},
            [&](const Side& s) -> std::vector<double> {
              s.k.reduce.f32(op, s[0], s[1]);
              return {};
            },
            {4, 40});
}

TEST(CudaReduce, ArgMax) {
  AR_NEEDS_CUDA();
  for (int t = 0; t < kDtypes; ++t)
    for (int dim : {0, 1, 3})
      for (Lie in : {Lie::dense, Lie::channels_last}) {
        const Dims shape{5, 17, 3, 21};
        Dims kept = shape;
        kept[dim] = 1;
        Array x = random(shape, Dtype(t), in, 1, 0, 6);  // whole numbers, many of them equal
        x.assign([&](int64_t i) { return std::floor(x.get(i)); });
        if (is_floating(Dtype(t))) x.set(40, std::nan(""));
        const Array y(kept, Dtype::i64);
        compare(
            {&x, &y},
            [&](const Side& s) -> std::vector<double> {
              s.k.arg_max[Dtype(t)](dim, s[0], s[1]);
              return {};
            },
            {0, 0}, true);
      }
}

// ---- softmax, pick ----

const Dtype kTypes[] = {Dtype::bf16, Dtype::f32, Dtype::f64};

TEST(CudaSoftmax, BothWays) {
  AR_NEEDS_CUDA();
  for (bool log : {false, true})
    for (Dtype t : kTypes)
      for (const Dims& shape : {Dims{6, 301}, Dims{3, 7, 5, 2}, Dims{2, 1}, Dims{1, 129}})
        for (int dim = 0; dim < shape.size(); ++dim)
          for (Lie lie : {Lie::dense, Lie::channels_last, Lie::padded}) {
            SCOPED_TRACE(::testing::Message() << log << t << shape << dim << int(lie));
            const Array x = random(shape, t, lie, 1, -9, 9), y(shape, t), gy = random(shape, t, lie, 2);
            compare({&x, &y},
                    [&](const Side& s) -> std::vector<double> {
                      s.k.softmax[s[0].dtype](dim, log, s[0], s[1]);
                      return {};
                    },
                    {16, log ? 10. : 0.01});
            const Array out = random(shape, t, lie, 3, log ? -3 : 0, log ? 0 : 1), gx(shape, t, lie);
            compare({&out, &gy, &gx},
                    [&](const Side& s) -> std::vector<double> {
                      s.k.softmax_backward[s[0].dtype](dim, log, s[0], s[1], s[2]);
                      return {};
                    },
                    {16, 10});
          }
}

TEST(CudaSoftmax, ManyRows) {
  AR_NEEDS_CUDA();
  const Array x = random({many() / 64, 64}, Dtype::f32), y({many() / 64, 64}, Dtype::f32);
  compare({&x, &y},
          [&](const Side& s) -> std::vector<double> {
            s.k.softmax.f32(1, false, s[0], s[1]);
            return {};
          },
          {16, 0.01});
}

TEST(CudaSoftmax, NanSpreadsOverItsRow) {
  AR_NEEDS_CUDA();
  Array x = random({3, 40}, Dtype::f32);
  x.set(40 + 33, std::nan(""));
  const Array y({3, 40}, Dtype::f32);
  compare({&x, &y},
          [&](const Side& s) -> std::vector<double> {
            s.k.softmax.f32(1, true, s[0], s[1]);
            return {};
          },
          {16, 10});
}

TEST(CudaSoftmax, Pick) {
  AR_NEEDS_CUDA();
  for (Dtype t : kTypes)
    for (Lie lie : {Lie::dense, Lie::channels_last}) {
      const Array x = random({5, 9, 3, 33}, t, lie), y({5, 3, 33}, t), gy = random({5, 3, 33}, t, Lie::dense, 2);
      Array target({5, 3, 33}, Dtype::i64);
      target.assign([](int64_t i) { return double(i % 10) - 1; });  // -1 is no class
      compare({&x, &target, &y},
              [&](const Side& s) -> std::vector<double> {
                s.k.pick[s[0].dtype](s[0], s[1], s[2]);
                return {};
              },
              {0, 0});
      compare({&gy, &target, &x},
              [&](const Side& s) -> std::vector<double> {
                s.k.pick_backward[s[0].dtype](s[0], s[1], s[2]);
                return {};
              },
              {1, 4});
    }
}

}  // namespace
}  // namespace ar::testing
