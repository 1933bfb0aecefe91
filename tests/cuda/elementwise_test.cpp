#include "tests/cuda/both.h"

namespace ar::testing {
namespace {

const Dtype kFloats[] = {Dtype::f16, Dtype::bf16, Dtype::f32, Dtype::f64};
const Dims kShape{2, 19, 3, 4};

/// f(dtype, how inputs lie, how outputs lie, shape), of small strided arrays, and of a large dense one. Not all lies:
/// for operations that share a kernel with one that has been through all.
template <class F>
void each_case(F f, bool all_lies = true) {
  for (Dtype t : kFloats) {
    SCOPED_TRACE(name_of(t));
    for (Lie in : kInputLies)
      for (Lie out : {Lie::dense, Lie::channels_last, Lie::narrow, Lie::backwards}) {
        if (!all_lies && (in != Lie::transposed || out != Lie::narrow)) continue;
        SCOPED_TRACE(::testing::Message() << "lies " << int(in) << " " << int(out));
        f(t, in, out, kShape);
      }
    f(t, Lie::dense, Lie::dense, {many() / 16 + 3});
    f(t, Lie::dense, Lie::dense, {1});
    f(t, Lie::dense, Lie::dense, {0, 3});
  }
}

double lowest(UnaryOp op) { return op == UnaryOp::log || op == UnaryOp::sqrt || op == UnaryOp::reciprocal ? 0.2 : -4; }

TEST(CudaElementwise, Unary) {
  AR_NEEDS_CUDA();
  for (int i = 0; i < int(UnaryOp::count); ++i) {
    const UnaryOp op = UnaryOp(i);
    SCOPED_TRACE(i);
    each_case(
        [&](Dtype t, Lie in, Lie out, const Dims& shape) {
          const Array x = random(shape, t, in, 1, lowest(op), 8), y(shape, t, out);
          compare(
              {&x, &y},
              [&](const Side& s) -> std::vector<double> {
                s.k.unary[t](op, {0.7, 3}, s[0], s[1]);
                return {};
              },
              {8, 0.1}, true);
        },
        i == 0);
  }
}

TEST(CudaElementwise, UnaryBackward) {
  AR_NEEDS_CUDA();
  for (int i = 0; i < int(UnaryOp::count); ++i) {
    const UnaryOp op = UnaryOp(i);
    SCOPED_TRACE(i);
    each_case(
        [&](Dtype t, Lie in, Lie out, const Dims& shape) {
          const Array saved = random(shape, t, in, 1, lowest(op), 8), gy = random(shape, t, Lie::channels_last, 2);
          const Array gx(shape, t, out);
          compare(
              {&saved, &gy, &gx},
              [&](const Side& s) -> std::vector<double> {
                s.k.unary_backward[t](op, {0.7, 3}, s[0], s[1], s[2]);
                return {};
              },
              {8, 1}, true);
        },
        i == 0);
  }
}

TEST(CudaElementwise, Binary) {
  AR_NEEDS_CUDA();
  for (int i = 0; i < int(BinaryOp::count); ++i) {
    const BinaryOp op = BinaryOp(i);
    SCOPED_TRACE(i);
    const auto run = [&](Dtype t, Lie in, Lie out, const Dims& shape) {
      const bool of_bytes = t == Dtype::u8;
      const Array a = random(shape, t, in, 1, of_bytes ? 0 : -50, 50), b = random(shape, t, Lie::dense, 2, 0, 9);
      const Array y(shape, t, out);
      compare(
          {&a, &b, &y},
          [&](const Side& s) -> std::vector<double> {
            s.k.binary[t](op, s[0], s[1], s[2]);
            return {};
          },
          {1, 0}, true);
    };
    each_case(run, i == 0);
    for (Dtype t : {Dtype::u8, Dtype::i32, Dtype::i64}) {
      run(t, Lie::transposed, Lie::padded, kShape);
      run(t, Lie::dense, Lie::dense, {777});
    }
  }
}

TEST(CudaElementwise, BinaryBroadcastsAndWraps) {
  AR_NEEDS_CUDA();
  const Dims shape{2, 67, 9, 5};
  const Array x = random(shape, Dtype::f32, Lie::channels_last), bias = random({67}, Dtype::f32, Lie::dense, 2);
  const Array y(shape, Dtype::f32, Lie::channels_last);
  compare({&x, &bias, &y}, [&](const Side& s) -> std::vector<double> {
    View b = s[0];
    b.data = s[1].data;
    for (int d = 0; d < 4; ++d) b.strides[d] = d == 1;
    s.k.binary.f32(BinaryOp::add, s[0], b, s[2]);
    return {};
  });
  Array a({3}, Dtype::i32), b({3}, Dtype::i32);
  const Array c({3}, Dtype::i32);
  a.assign([](int64_t i) { return i == 0 ? 2147483647.0 : -2147483648.0; });
  b.assign([](int64_t i) { return i == 2 ? 0 : i == 1 ? -1 : 1; });
  for (BinaryOp op : {BinaryOp::add, BinaryOp::mul, BinaryOp::div})
    compare({&a, &b, &c}, [&](const Side& s) -> std::vector<double> {
      s.k.binary.i32(op, s[0], s[1], s[2]);
      return {};
    });
}

TEST(CudaElementwise, DenseButNotAligned) {
  AR_NEEDS_CUDA();
  for (Dtype t : kFloats)
    for (int which : {0, 1}) {
      const Array x = random({778}, t), y({778}, t);
      compare(
          {&x, &y},
          [&](const Side& s) -> std::vector<double> {
            View views[2] = {s[0], s[1]};
            for (View& v : views) v.shape[0] = 777;
            views[which].data = static_cast<char*>(views[which].data) + size_of(t);
            s.k.unary[t](UnaryOp::square, {}, views[0], views[1]);
            return {};
          },
          {1, 0}, true);
    }
}

TEST(CudaElementwise, NanIsKept) {
  AR_NEEDS_CUDA();
  Array x({4}, Dtype::f32), y({4}, Dtype::f32);
  x.assign([](int64_t i) { return i % 2 ? std::nan("") : 1; });
  y.assign([](int64_t i) { return i / 2 ? std::nan("") : 2; });
  const Array z({4}, Dtype::f32);
  for (int op = 0; op < int(BinaryOp::count); ++op)
    compare({&x, &y, &z}, [&](const Side& s) -> std::vector<double> {
      s.k.binary.f32(BinaryOp(op), s[0], s[1], s[2]);
      return {};
    });
  for (int op = 0; op < int(UnaryOp::count); ++op)
    compare({&x, &z}, [&](const Side& s) -> std::vector<double> {
      s.k.unary.f32(UnaryOp(op), {1, 2}, s[0], s[1]);
      return {};
    });
}

TEST(CudaElementwise, Axpby) {
  AR_NEEDS_CUDA();
  each_case([&](Dtype t, Lie in, Lie out, const Dims& shape) {
    const Array x = random(shape, t, in), y = random(shape, t, out, 2), fresh(shape, t, out);
    for (double b : {-3.0, 0.0})
      compare(
          {&x, b == 0 ? &fresh : &y},
          [&](const Side& s) -> std::vector<double> {
            s.k.axpby[t](2, s[0], b, s[1]);
            return {};
          },
          {2, 4}, true);
  });
}

TEST(CudaElementwise, AnyNonfinite) {
  AR_NEEDS_CUDA();
  for (Dtype t : kFloats)
    for (double bad : {1.0, std::numeric_limits<double>::infinity(), std::nan("")}) {
      Array x = random({3, 1501}, t, Lie::padded);
      x.set(4502, bad), x.set(5, bad);  // found by two blocks
      compare(
          {&x},
          [&](const Side& s) -> std::vector<double> {
            bool flag = false;
            s.k.any_nonfinite[t](s[0], &flag);
            return {double(flag)};
          },
          {}, true);
    }
}

// ---- random numbers: the same ones as on the CPU ----

TEST(CudaRandom, Dropout) {
  AR_NEEDS_CUDA();
  for (Dtype t : kFloats)
    for (uint64_t offset : {0ull, 3ull, 4294967294ull})
      for (const Dims& shape : {kShape, Dims{many() / 16 + 1}, Dims{1}, Dims{0}}) {
        const Array x = random(shape, t, Lie::channels_last), y(shape, t, Lie::padded);
        compare(
            {&x, &y},
            [&](const Side& s) -> std::vector<double> {
              s.k.dropout[t](0.3, {12345, offset}, s[0], s[1]);
              return {};
            },
            {0, 0}, true);
      }
}

TEST(CudaRandom, UniformAndNormal) {
  AR_NEEDS_CUDA();
  for (Dtype t : {Dtype::f32, Dtype::f64})
    for (uint64_t offset : {0ull, 1ull, 6ull, 4294967295ull}) {
      const Array y({3, 7, 5, 11}, t, Lie::channels_last);
      compare({&y},
              [&](const Side& s) -> std::vector<double> {
                s.k.uniform[t](-1, 3, {7, offset}, s[0]);
                return {};
              },
              {0, 0});
      compare({&y},
              [&](const Side& s) -> std::vector<double> {
                s.k.normal[t](0.5, 2, {7, offset}, s[0]);
                return {};
              },
              {2, 1});
    }
}

// ---- copies ----

/// y = x on both sides, to the bit.
void compare_copies(const Array& x, const Array& y) {
  compare(
      {&x, &y},
      [&](const Side& s) -> std::vector<double> {
        s.k.copy(s[0], s[1]);
        return {};
      },
      {0, 0}, true);
}

TEST(CudaCopy, BetweenAllTypes) {
  AR_NEEDS_CUDA();
  const double values[] = {0,
                           1,
                           -1,
                           2.5,
                           -2.5,
                           255,
                           256,
                           300.7,
                           -1e9,
                           3e9,
                           1e19,
                           -1e19,
                           65504,
                           1e-7,
                           0.1,
                           1e300,
                           77,
                           -0.0,
                           5e-324,
                           std::nan(""),
                           std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity()};
  const int64_t n = std::size(values);
  for (int from = 0; from < kDtypes; ++from)
    for (int to = 0; to < kDtypes; ++to) {
      SCOPED_TRACE(::testing::Message() << name_of(Dtype(from)) << " to " << name_of(Dtype(to)));
      Array x({n}, Dtype(from)), y({n}, Dtype(to), Lie::backwards);
      for (int64_t i = 0; i < n; ++i) {
        const double v = values[i];
        x.set(i, is_floating(Dtype(from)) ? v : std::isfinite(v) && std::abs(v) < 2e9 && (from || v >= 0) ? v : 3);
      }
      compare_copies(x, y);
    }
}

TEST(CudaCopy, AllLies) {
  AR_NEEDS_CUDA();
  for (Dtype t : {Dtype::u8, Dtype::bf16, Dtype::f32, Dtype::f64})
    for (Lie in : kInputLies)
      for (Lie out : kOutputLies) {
        const Array x = random({3, 35, 5, 4}, t, in, 1, 0, 100), y({3, 35, 5, 4}, t, out);
        compare_copies(x, y);
      }
}

/// Such runs may be copied by 16 bytes.
TEST(CudaCopy, RangesOfChannels) {
  AR_NEEDS_CUDA();
  for (Dtype t : {Dtype::u8, Dtype::bf16, Dtype::f32, Dtype::f64})
    for (Lie in : {Lie::slot, Lie::channels_last})
      for (Lie out : {Lie::slot, Lie::channels_last})
        for (const Dims& shape : {Dims{2, 32, 3, 5}, {2, 24, 1, 1}, {0, 32, 3, 5}}) {
          const Array x = random(shape, t, in, 1, 0, 100), y(shape, t, out);
          compare_copies(x, y);
        }
}

TEST(CudaCopy, Fill) {
  AR_NEEDS_CUDA();
  for (int t = 0; t < kDtypes; ++t)
    for (double value : {0.0, 7.0})
      for (Lie lie : kOutputLies) {
        const Array y({3, 35, 5, 4}, Dtype(t), lie);
        compare(
            {&y},
            [&](const Side& s) -> std::vector<double> {
              s.k.fill(s[0], value);
              return {};
            },
            {0, 0}, true);
      }
}

}  // namespace
}  // namespace ar::testing
