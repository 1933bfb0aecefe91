#include "tensor/elementwise_ops.h"

#include "tests/kernels/kernel_test.h"

namespace ar::testing {
namespace {

const Dtype kFloats[] = {Dtype::f16, Dtype::bf16, Dtype::f32, Dtype::f64};
constexpr Params kParams{-0.5, 0.75};

template <class... Ops>
void each_op(op::List<Ops...>, const auto& f) {
  (f(Ops{}), ...);
}
bool needs_positive(UnaryOp op) { return op == UnaryOp::log || op == UnaryOp::sqrt; }

class Elementwise : public KernelTest {};

TEST_P(Elementwise, UnaryValues) {
  each_op(op::UnaryOps{}, [&](auto op) {
    for (Dtype t : kFloats)
      for (Lie in : kInputLies)
        for (Lie out : kOutputLies) {
          SCOPED_TRACE(::testing::Message() << "op " << int(op.op) << " " << t << " " << int(in) << " " << int(out));
          Array x({3, 5, 2, 7}, t, in);
          x.randomise(1, needs_positive(op.op) ? 0.1 : -8, 8);
          std::vector<double> want;
          for (double v : x.values()) want.push_back(op.forward(v, kParams.a, kParams.b));
          const auto got = run_checked(
              [&] {
                return Array({3, 5, 2, 7}, t, out);
              },
              [&](Array& y) { k().unary[t](op.op, kParams, x, y); });
          EXPECT_TRUE(near(got, want, t, 4, op.op == UnaryOp::affine ? 4 : 0));
        }
  });
}

TEST_P(Elementwise, UnaryInPlaceAndLong) {
  for (int64_t n : {0, 1, 15, 16, 17, 31, 1000, 100003}) {
    Array x({n}, Dtype::f32);
    x.randomise(2);
    Array y = x;
    set_num_threads(3);
    k().unary.f32(UnaryOp::tanh, {}, y, y);
    std::vector<double> want;
    for (double v : x.values()) want.push_back(std::tanh(v));
    EXPECT_TRUE(near(y.values(), want, Dtype::f32));
    EXPECT_TRUE(y.guards_intact());
  }
}

TEST_P(Elementwise, UnaryBackwardValues) {
  each_op(op::UnaryOps{}, [&](auto op) {
    for (Dtype t : kFloats)
      for (Lie in : {Lie::dense, Lie::channels_last, Lie::backwards}) {
        SCOPED_TRACE(::testing::Message() << "op " << int(op.op) << " " << t << " " << int(in));
        Array saved({3, 5, 2, 7}, t, in), gy({3, 5, 2, 7}, t, Lie::padded);
        saved.randomise(1, needs_positive(op.op) ? 0.1 : -2);
        gy.randomise(2);
        std::vector<double> want;
        for (int64_t i = 0; i < gy.numel(); ++i)
          want.push_back(op.backward(saved.get(i), gy.get(i), kParams.a, kParams.b));
        const auto got = run_checked(
            [&] {
              return Array({3, 5, 2, 7}, t, Lie::narrow);
            },
            [&](Array& gx) { k().unary_backward[t](op.op, kParams, saved, gy, gx); });
        EXPECT_TRUE(near(got, want, t, 4, 1));
      }
  });
}

TEST(ElementwiseOps, GradientsAgreeWithDifferences) {
  each_op(op::UnaryOps{}, [&](auto op) {
    for (double x : {-7.0, -1.3, -0.6, -0.2, 0.3, 0.5, 1.1, 2.5, 5.0, 7.0}) {
      if (x < 0 && needs_positive(op.op)) continue;
      const double h = 1e-6, y = op.forward(x, kParams.a, kParams.b);
      const double difference =
          (op.forward(x + h, kParams.a, kParams.b) - op.forward(x - h, kParams.a, kParams.b)) / (2 * h);
      EXPECT_NEAR(op.backward(op.saves_output ? y : x, 1.0, kParams.a, kParams.b), difference, 1e-5)
          << "op " << int(op.op) << " at " << x;
    }
  });
}

// In units of the last place, against the C library in a wider type.
template <class T, class F>
void expect_accurate(const Kernels& k, UnaryOp op, F exact, T lo, T hi, double most_ulp) {
  constexpr Dtype t = dtype_of<T>();
  const int64_t n = 200000;
  Array x({n}, t), y({n}, t);
  x.assign([&](int64_t i) { return double(lo + (hi - lo) * T(i) / T(n - 1)); });
  k.unary[t](op, {}, x, y);
  double worst = 0, at = 0;
  for (int64_t i = 0; i < n; ++i) {
    const long double want = exact((long double)(x.get(i)));
    const double ulp = std::ldexp(double(std::numeric_limits<T>::epsilon()),
                                  std::max(std::ilogb(double(want)), std::numeric_limits<T>::min_exponent - 1));
    const double error = double(std::abs((long double)(y.get(i)) - want)) / ulp;
    if (error > worst) worst = error, at = x.get(i);
  }
  EXPECT_LE(worst, most_ulp) << name_of(t) << " op " << int(op) << " at " << at;
}

TEST_P(Elementwise, MathIsAccurate) {
  auto exp = [](long double x) { return std::exp(x); };
  auto log = [](long double x) { return std::log(x); };
  auto tanh = [](long double x) { return std::tanh(x); };
  auto sigmoid = [](long double x) { return 1 / (1 + std::exp(-x)); };
  expect_accurate<float>(k(), UnaryOp::exp, exp, -87, 88.7f, 2);
  expect_accurate<float>(k(), UnaryOp::exp, exp, -1, 1, 2);
  expect_accurate<float>(k(), UnaryOp::log, log, 1e-6f, 3, 2);
  expect_accurate<float>(k(), UnaryOp::log, log, 1, 1e30f, 2);
  expect_accurate<float>(k(), UnaryOp::tanh, tanh, -0.01f, 0.01f, 3);
  expect_accurate<float>(k(), UnaryOp::tanh, tanh, -12, 12, 3);
  expect_accurate<float>(k(), UnaryOp::sigmoid, sigmoid, -80, 30, 3);
  expect_accurate<double>(k(), UnaryOp::exp, exp, -700, 709, 2);
  expect_accurate<double>(k(), UnaryOp::exp, exp, -1, 1, 2);
  expect_accurate<double>(k(), UnaryOp::log, log, 1e-9, 3, 2);
  expect_accurate<double>(k(), UnaryOp::log, log, 1, 1e300, 2);
  expect_accurate<double>(k(), UnaryOp::tanh, tanh, -0.01, 0.01, 3);
  expect_accurate<double>(k(), UnaryOp::tanh, tanh, -22, 22, 3);
  expect_accurate<double>(k(), UnaryOp::sigmoid, sigmoid, -700, 40, 3);
}

TEST_P(Elementwise, SpecialValues) {
  const double inf = std::numeric_limits<double>::infinity(), nan = std::nan("");
  auto run = [&](UnaryOp op, Dtype t, std::vector<double> in) {
    Array x({int64_t(in.size())}, t), y({int64_t(in.size())}, t);
    x.assign([&](int64_t i) { return in[std::size_t(i)]; });
    k().unary[t](op, {0.1, 0}, x, y);
    return y.values();
  };
  for (Dtype t : {Dtype::f32, Dtype::f64}) {
    SCOPED_TRACE(name_of(t));
    EXPECT_TRUE(near(run(UnaryOp::exp, t, {0, -0.0, inf, -inf, nan, 1e4, -1e4}), {1, 1, inf, 0, nan, inf, 0}, t, 0));
    EXPECT_TRUE(
        near(run(UnaryOp::log, t, {1, 0, -0.0, inf, -inf, nan, -1}), {0, -inf, -inf, inf, nan, nan, nan}, t, 0));
    EXPECT_TRUE(near(run(UnaryOp::tanh, t, {0, inf, -inf, nan, 1e9, -1e9}), {0, 1, -1, nan, 1, -1}, t, 0));
    EXPECT_TRUE(near(run(UnaryOp::sigmoid, t, {0, inf, -inf, nan, 1e9, -1e9}), {0.5, 1, 0, nan, 1, 0}, t, 0));
    for (UnaryOp op : {UnaryOp::relu, UnaryOp::relu6, UnaryOp::leaky_relu, UnaryOp::clamp, UnaryOp::sqrt, UnaryOp::abs,
                       UnaryOp::square, UnaryOp::reciprocal})
      EXPECT_TRUE(std::isnan(run(op, t, {nan})[0])) << int(op);
    EXPECT_TRUE(std::signbit(run(UnaryOp::tanh, t, {-0.0})[0]));
  }
  // Results below the smallest normal number.
  EXPECT_TRUE(near(run(UnaryOp::exp, Dtype::f32, {-100}), {std::exp(-100.0)}, Dtype::f32, 0.02 * 0x1p23));
  EXPECT_TRUE(near(run(UnaryOp::exp, Dtype::f64, {-740}), {std::exp(-740.0)}, Dtype::f64, 0.02 * 0x1p52));
  EXPECT_TRUE(near(run(UnaryOp::log, Dtype::f32, {1e-40}), {std::log(double(1e-40f))}, Dtype::f32));
  EXPECT_TRUE(near(run(UnaryOp::log, Dtype::f64, {1e-310}), {std::log(1e-310)}, Dtype::f64));
}

double binary_reference(BinaryOp op, double a, double b) {
  switch (op) {
    case BinaryOp::add:
      return a + b;
    case BinaryOp::sub:
      return a - b;
    case BinaryOp::mul:
      return a * b;
    case BinaryOp::div:
      return a / b;
    case BinaryOp::max:
      return std::isnan(a) || std::isnan(b) ? std::nan("") : std::max(a, b);
    default:
      return std::isnan(a) || std::isnan(b) ? std::nan("") : std::min(a, b);
  }
}

TEST_P(Elementwise, Binary) {
  for (int op = 0; op < int(BinaryOp::count); ++op)
    for (Dtype t : {Dtype::i32, Dtype::i64, Dtype::f16, Dtype::bf16, Dtype::f32, Dtype::f64})
      for (Lie in : kInputLies)
        for (Lie out : kOutputLies) {
          if (!is_floating(t) && BinaryOp(op) == BinaryOp::div) continue;
          SCOPED_TRACE(::testing::Message() << "op " << op << " " << t << " " << int(in) << " " << int(out));
          Array a({2, 19, 3, 4}, t, in), b({2, 19, 3, 4}, t, Lie::channels_last);
          a.randomise(1, -50, 50);
          b.randomise(2, 1, 50);
          std::vector<double> want;
          for (int64_t i = 0; i < a.numel(); ++i) want.push_back(binary_reference(BinaryOp(op), a.get(i), b.get(i)));
          const auto got = run_checked(
              [&] {
                return Array({2, 19, 3, 4}, t, out);
              },
              [&](Array& y) { k().binary[t](BinaryOp(op), a, b, y); });
          EXPECT_TRUE(near(got, want, t, 1, 0));
        }
}

TEST_P(Elementwise, BinaryBroadcastsByZeroStrides) {
  // x + bias[channel], channels last and first, and a scalar.
  for (Lie lie : {Lie::dense, Lie::channels_last}) {
    const Dims shape{2, 67, 9, 5};
    Array x(shape, Dtype::f32, lie), bias({1, 67, 1, 1}, Dtype::f32);
    x.randomise(1);
    bias.randomise(2);
    for (bool scalar : {false, true}) {
      View b = bias;
      for (int d = 0; d < 4; ++d) {
        b.shape[d] = shape[d];
        if (d != 1 || scalar) b.strides[d] = 0;
      }
      std::vector<double> want;
      for (int64_t i = 0; i < x.numel(); ++i) want.push_back(x.get(i) + bias.get(scalar ? 0 : i / 45 % 67));
      const auto got = run_checked([&] { return Array(shape, Dtype::f32, lie); },
                                   [&](Array& y) { k().binary.f32(BinaryOp::add, x, b, y); });
      EXPECT_TRUE(near(got, want, Dtype::f32, 1));
    }
  }
}

TEST_P(Elementwise, BinaryNanAndIntegers) {
  const double nan = std::nan("");
  Array a({3}, Dtype::f32), b({3}, Dtype::f32), y({3}, Dtype::f32);
  a.assign([&](int64_t i) { return i == 0 ? nan : i == 1 ? 2 : -1; });
  b.assign([&](int64_t i) { return i == 1 ? nan : 1; });
  k().binary.f32(BinaryOp::max, a, b, y);
  EXPECT_TRUE(near(y.values(), {nan, nan, 1}, Dtype::f32, 0));
  k().binary.f32(BinaryOp::min, a, b, y);
  EXPECT_TRUE(near(y.values(), {nan, nan, -1}, Dtype::f32, 0));
  Array i({2}, Dtype::i32), j({2}, Dtype::i32), z({2}, Dtype::i32);
  i.assign([](int64_t n) { return n ? 7 : 2147483647; });
  j.assign([](int64_t n) { return n ? 0 : 1; });
  k().binary.i32(BinaryOp::add, i, j, z);
  EXPECT_EQ(z.get(0), -2147483648.0);
  k().binary.i32(BinaryOp::div, i, j, z);
  EXPECT_EQ(z.get(1), 0);
}

TEST_P(Elementwise, Axpby) {
  for (Dtype t : kFloats)
    for (Lie in : kInputLies) {
      Array x({3, 5, 2, 7}, t, in), y0({3, 5, 2, 7}, t, Lie::padded);
      x.randomise(1);
      y0.randomise(2);
      std::vector<double> want;
      for (int64_t i = 0; i < x.numel(); ++i) want.push_back(2 * x.get(i) - 3 * y0.get(i));
      const auto got = run_checked([&] { return y0; }, [&](Array& y) { k().axpby[t](2, x, -3, y); });
      EXPECT_TRUE(near(got, want, t, 2, 4));
      Array fresh({3, 5, 2, 7}, t);  // b = 0 ignores the NaN that lies there
      k().axpby[t](1, x, 0, fresh);
      EXPECT_EQ(fresh.values(), x.values());
    }
}

TEST_P(Elementwise, AnyNonfinite) {
  const double inf = std::numeric_limits<double>::infinity();
  for (Dtype t : kFloats)
    for (double bad : {inf, -inf, std::nan("")})
      for (int64_t at : {0, 17, 44999}) {
        Array x({3, 15000}, t, Lie::padded);
        x.randomise(1);
        bool flag = false;
        k().any_nonfinite[t](x, &flag);
        EXPECT_FALSE(flag);
        x.set(at, bad);
        k().any_nonfinite[t](x, &flag);
        EXPECT_TRUE(flag);
        x.set(at, 0);
        k().any_nonfinite[t](x, &flag);
        EXPECT_TRUE(flag) << "the flag must stay up";
      }
}

AR_KERNEL_TESTS(Elementwise);

}  // namespace
}  // namespace ar::testing
