// The linear function against the plain loops.
#include "autograd/matmul.h"
#include "autograd/reduce.h"
#include "autograd/shape.h"
#include "tensor/backend.h"
#include "tests/layers/reference.h"

using namespace ar;
using reference::expect_close;
using reference::random;
using reference::tolerance;
using Vector = std::vector<double>;

namespace {

/// Rows of x times columns of w^T plus bias.
Vector product(const Vector& x, const Vector& w, const Vector& bias, int64_t in, int64_t out) {
  const int64_t rows = int64_t(x.size()) / in;
  Vector y(rows * out);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t o = 0; o < out; ++o) {
      double s = bias.empty() ? 0 : bias[o];
      for (int64_t i = 0; i < in; ++i) s += x[r * in + i] * w[o * in + i];
      y[r * out + o] = s;
    }
  return y;
}

void check(const Variable& x, int64_t out, bool with_bias) {
  const Dtype dtype = x.dtype();
  const int64_t in = x.shape().back();
  const Variable w(random("w", {out, in}, dtype), true), b(random("b", {out}, dtype), true);
  const Variable y = linear(x, w, with_bias ? b : Variable());
  Dims shape = x.shape();
  shape[shape.size() - 1] = out;
  const Vector xv = x.value().to_vector<double>(), wv = w.value().to_vector<double>();
  const Vector bv = with_bias ? b.value().to_vector<double>() : Vector();
  expect_close(y.value(), shape, product(xv, wv, bv, in, out), tolerance(dtype), "y");
  EXPECT_TRUE(y.value().is_dense(Layout::channels_first));

  const Tensor gy = random("gy", shape, dtype, Layout::channels_first);
  const Vector g = gy.to_vector<double>();
  y.backward(gy);
  Vector gx(xv.size()), gw(wv.size()), gb(out);
  const int64_t rows = int64_t(xv.size()) / in;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t o = 0; o < out; ++o) {
      gb[o] += g[r * out + o];
      for (int64_t i = 0; i < in; ++i) {
        gx[r * in + i] += g[r * out + o] * wv[o * in + i];
        gw[o * in + i] += g[r * out + o] * xv[r * in + i];
      }
    }
  expect_close(x.grad(), x.shape(), gx, tolerance(dtype), "gx");
  expect_close(w.grad(), w.shape(), gw, tolerance(dtype), "gw");
  if (with_bias) expect_close(b.grad(), {out}, gb, tolerance(dtype), "gb");
}

class Linear : public testing::TestWithParam<std::tuple<Dims, Dtype>> {};
INSTANTIATE_TEST_SUITE_P(Shapes, Linear,
                         testing::Combine(testing::Values(Dims{5}, Dims{1, 3}, Dims{4, 7}, Dims{33, 64}, Dims{2, 1},
                                                          Dims{2, 3, 6}, Dims{2, 3, 4, 5}, Dims{2, 1, 3, 2, 4},
                                                          Dims{0, 5}, Dims{2, 0, 3},
                                                          // with 40 outputs: each way that a product may take
                                                          Dims{11, 35}, Dims{15, 70}, Dims{70, 20}, Dims{300, 9}),
                                          testing::Values(Dtype::f32, Dtype::f64)));

TEST_P(Linear, ValuesAndGradients) {
  const auto& [shape, dtype] = GetParam();
  for (int64_t out : {1, 5, 40})
    for (bool bias : {true, false})
      for (Layout layout : {Layout::channels_first, Layout::channels_last})
        check(Variable(random("x", shape, dtype, layout), true), out, bias);
}

TEST(LinearViews, StridedInputsAndGradients) {
  for (Dtype dtype : {Dtype::f32, Dtype::f64}) {
    check(Variable(random("x", {6, 9}, dtype).transpose(0, 1), true), 4, true);
    check(Variable(random("x", {3, 4, 6}, dtype).transpose(0, 1), true), 4, true);
    check(Variable(random("x", {5, 12}, dtype).narrow(1, 3, 6), true), 4, true);
    check(Variable(random("x", {1, 6}, dtype).expand({5, 6}), true), 4, true);
  }
  const Variable x(random("x", {3, 4}, Dtype::f64), true), w(random("w", {2, 4}, Dtype::f64), true);
  sum(linear(x, w)).backward();  // an expanded gradient
  const Tensor columns = w.value().narrow(0, 0, 1);
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(x.grad().at({1, i}), w.value().at({0, i}) + w.value().at({1, i}), 1e-12);
}

TEST(LinearCache, FollowsTheWeight) {
  NoGrad no_grad;
  const Variable x(random("x", {3, 40}, Dtype::f32)), w(random("w", {50, 40}, Dtype::f32), true);
  const auto expected = [&] {
    return product(x.value().to_vector<double>(), w.value().to_vector<double>(), {}, 40, 50);
  };
  expect_close(linear(x, w).value(), {3, 50}, expected(), 1e-5, "first");
  w.value().copy_from(random("other", {50, 40}, Dtype::f32));
  expect_close(linear(x, w).value(), {3, 50}, expected(), 1e-5, "after a change in place");
}

TEST(LinearWide, WeightsThatOutgrowTheCache) {
  for (Dtype dtype : {Dtype::f32, Dtype::f64}) {
    check(Variable(random("x", {301, 512}, dtype), true), 300, true);
    NoGrad no_grad;
    const Variable x(random("x", {31, 6000}, dtype)), w(random("w", {41, 6000}, dtype));
    expect_close(linear(x, w).value(), {31, 41},
                 product(x.value().to_vector<double>(), w.value().to_vector<double>(), {}, 6000, 41), tolerance(dtype),
                 "few rows of many features");
  }
}

TEST(LinearGraph, OnlyTheGradientOfTheInputNeedsTheWeight) {
  const Variable x(random("x", {2, 4}, Dtype::f64)), w(random("w", {3, 4}, Dtype::f64), true), learns(x.value(), true);
  const auto changed_before_backward = [&](const Variable& input) {
    const Variable y = sum(linear(input, w));
    w.value().fill(0);
    y.backward();
  };
  EXPECT_EQ(error_of([&] { changed_before_backward(learns); }),
            "backward: linear: its weight [3,4] was changed in place after the forward pass (1 writes)");
  changed_before_backward(x);
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(w.grad().at({1, i}), x.value().at({0, i}) + x.value().at({1, i}), 1e-12);
}

TEST(LinearErrors, SayTheRuleAndWhatCame) {
  const auto error = [](const Tensor& x, const Tensor& w, const Variable& b = {}) {
    return error_of([&] { linear(Variable(x), Variable(w), b); });
  };
  EXPECT_EQ(error(zeros({2, 5}), zeros({3, 4})), "linear: weight expects 4 features, x has 5 (x [2,5], weight [3,4])");
  EXPECT_EQ(error(zeros({2, 5}), zeros({5})), "linear: weight must have shape [out,in], it has [5]");
  EXPECT_EQ(error(zeros({}), zeros({3, 4})), "linear: x must have at least one dimension, it has shape []");
  EXPECT_EQ(error(zeros({2, 4}), zeros({3, 4}), Variable(zeros({4}))), "linear: bias must have shape [3], it has [4]");
  EXPECT_EQ(error(zeros({2, 4}), zeros({3, 4}, {.dtype = Dtype::f64})),
            "linear: weight must be float32, it is float64");
  EXPECT_EQ(error(zeros({2, 4}), zeros({3, 4}), Variable(zeros({3}, {.dtype = Dtype::f64}))),
            "linear: bias must be float32, it is float64");
}

}  // namespace
