// Differentiable functions: what finite differences do not show (kinks, ties, masks, views, losses), and bad inputs.
#include <cmath>
#include <limits>

#include "autograd/autograd.h"
#include "tensor/backend.h"
#include "tests/errors.h"

namespace ar {
namespace {

using Doubles = std::vector<double>;
Variable leaf(const Doubles& v, const Dims& shape) { return Variable(from_vector(v, shape), true); }
Variable leaf(const Doubles& v) { return leaf(v, {int64_t(v.size())}); }
Variable blank(const Dims& shape, Dtype dtype = Dtype::f64) { return Variable(zeros(shape, {.dtype = dtype})); }
Doubles values(const Variable& v) { return v.value().to_vector<double>(); }
Doubles grad_of(const Variable& y, const Variable& x) {
  x.zero_grad();
  sum(y).backward();
  return x.grad().to_vector<double>();
}

TEST(Elementwise, AtTheKinks) {
  const Variable x = leaf({-1, 0, 1});
  EXPECT_EQ(grad_of(relu(x), x), (Doubles{0, 0, 1}));
  EXPECT_EQ(grad_of(leaky_relu(x, 0.5), x), (Doubles{0.5, 0.5, 1}));
  EXPECT_EQ(grad_of(abs(x), x), (Doubles{-1, 0, 1}));
  EXPECT_EQ(grad_of(clamp(x, -1, 1), x), (Doubles{1, 1, 1}));
  EXPECT_EQ(grad_of(clamp(x, -0.5, 0.5), x), (Doubles{0, 1, 0}));
  const Variable six = leaf({-1, 0, 3, 6, 7});
  EXPECT_EQ(grad_of(relu6(six), six), (Doubles{0, 0, 1, 0, 0}));
}

TEST(Elementwise, ACastCarriesGradientsBack) {
  const Variable x = leaf({1, -2.5, 1.001});  // the last is no bf16: 1
  const Variable y = cast(x, Dtype::bf16);
  EXPECT_EQ(y.dtype(), Dtype::bf16);
  EXPECT_EQ(values(y), (Doubles{1, -2.5, 1}));
  EXPECT_EQ(grad_of(square(cast(y, Dtype::f64)), x), (Doubles{2, -5, 2}));
  EXPECT_EQ(x.grad().dtype(), Dtype::f64);
  EXPECT_TRUE(cast(x, Dtype::f64).same_as(x));
  EXPECT_MESSAGE(cast(x, Dtype::i64), "cast: float64 to int64: both must be floating");
}

TEST(Elementwise, EqualElementsShareTheGradient) {
  const Variable a = leaf({1, 2, 3}), b = leaf({2, 2, 2});
  EXPECT_EQ(values(maximum(a, b)), (Doubles{2, 2, 3}));
  EXPECT_EQ(values(minimum(a, b)), (Doubles{1, 2, 2}));
  EXPECT_EQ(grad_of(maximum(a, b), a), (Doubles{0, 0.5, 1}));
  EXPECT_EQ(grad_of(maximum(a, b), b), (Doubles{1, 0.5, 0}));
  EXPECT_EQ(grad_of(minimum(a, b), a), (Doubles{1, 0.5, 0}));
}

TEST(Elementwise, NanStays) {
  const Variable x = leaf({NAN});
  for (const Variable& y :
       {relu(x), relu6(x), leaky_relu(x), clamp(x, 0, 1), maximum(x, leaf({1})), minimum(leaf({1}), x)})
    EXPECT_TRUE(std::isnan(y.item()));
}

TEST(Elementwise, BadInputs) {
  EXPECT_MESSAGE(blank({2}) + blank({3}), "add: shapes [2] and [3] do not broadcast");
  EXPECT_MESSAGE(blank({2}) * blank({2}, Dtype::f32), "mul: dtypes differ: float64 and float32");
  EXPECT_MESSAGE(blank({2, 3}) / blank({3, 2}), "div: shapes [2,3] and [3,2] do not broadcast");
  EXPECT_MESSAGE(maximum(blank({2}), blank({3})), "max: shapes [2] and [3] do not broadcast");
  EXPECT_MESSAGE(clamp(blank({2}), 1, 0), "clamp: the lower bound 1 is above the upper bound 0");
  EXPECT_MESSAGE(relu(Variable(arange(2))), "relu: no");
  EXPECT_MESSAGE(dropout(blank({2}), -0.1, true), "dropout: probability must be in [0, 1], it is -0.1");
  EXPECT_MESSAGE(dropout(blank({2}), NAN, true), "dropout: probability must be in [0, 1], it is nan");
}

TEST(Dropout, KeepsTheMeanAndTheMask) {
  const Variable x(ones({10000}, {.dtype = Dtype::f64}), true);
  Generator g(1);
  const Variable y = dropout(x, 0.25, true, g);
  EXPECT_NEAR(mean(y).item(), 1, 0.03);
  EXPECT_EQ(grad_of(y, x), values(y));
  Generator h(1);
  EXPECT_EQ(values(dropout(x, 0.25, true, h)), values(y));
  EXPECT_NE(values(dropout(x, 0.25, true, h)), values(y));
}

TEST(Dropout, DoesNotDependOnLayout) {
  Generator g(1), h(1);
  const Tensor last = ones({2, 3, 4, 5}), first = ones({2, 3, 4, 5}, {.layout = Layout::channels_first});
  EXPECT_EQ(values(dropout(Variable(last), 0.5, true, g)), values(dropout(Variable(first), 0.5, true, h)));
}

TEST(Dropout, NotTrainingIsNothing) {
  const Variable x = leaf({1, 2});
  EXPECT_TRUE(dropout(x, 0.5, false).same_as(x));
  EXPECT_TRUE(dropout(x, 0, true).same_as(x));
  EXPECT_EQ(values(dropout(x, 1, true)), (Doubles{0, 0}));
}

TEST(Reduce, MaxGoesToTheFirstOfEquals) {
  const Variable x = leaf({1, 3, 3, 2, 0, 2}, {2, 3});
  EXPECT_EQ(values(max(x, 1)), (Doubles{3, 2}));
  EXPECT_EQ(grad_of(max(x, 1), x), (Doubles{0, 1, 0, 1, 0, 0}));
  EXPECT_EQ(grad_of(max(x, 0, true), x), (Doubles{0, 1, 1, 1, 0, 0}));
}

TEST(Reduce, BadInputs) {
  const Variable x = blank({2, 3});
  EXPECT_MESSAGE(sum(x, {2}), "sum: dimension 2 is out of range for shape [2,3]");
  EXPECT_MESSAGE(sum(x, {0, -2}), "sum: a dimension appears twice in [0,-2] for shape [2,3]");
  EXPECT_MESSAGE(mean(blank({0, 3}), {0}), "mean: nothing to average: x is [0,3], reduced over [0]");
  EXPECT_MESSAGE(mean(blank({0})), "mean: nothing to average: x is [0], reduced over [0]");
  EXPECT_MESSAGE(mean(Variable(arange(3))), "mean: x must be floating, it is int64");
  EXPECT_MESSAGE(max(blank({2, 0}), 1), "max: nothing to choose from: dimension 1 of x [2,0] is empty");
  EXPECT_MESSAGE(max(x, -3), "max: dimension -3 is out of range for shape [2,3]");
}

TEST(Shape, ViewsShareMemory) {
  const Variable x = leaf(Doubles(24, 1), {2, 3, 4, 1});
  for (const Variable& y : {permute(x, {3, 2, 1, 0}), transpose(x, 0, 1), narrow(x, 1, 0, 2), select(x, 2, 1),
                            expand(x, {2, 3, 4, 5}), squeeze(x, 3), unsqueeze(x, 0), fold_time(unsqueeze(x, 2))})
    EXPECT_TRUE(y.value().shares_memory_with(x.value())) << y.shape();
  EXPECT_TRUE(reshape(leaf(Doubles(6, 1), {2, 3}), {6}).requires_grad());
}

TEST(Shape, BadInputs) {
  const Variable x = blank({2, 3});
  EXPECT_MESSAGE(reshape(x, {4}), "reshape: shape [2,3] does not fit into [4]");
  EXPECT_MESSAGE(flatten(x, 1, 0), "flatten: dimension 1 comes after 0 in shape [2,3]");
  EXPECT_MESSAGE(flatten(x, 2), "flatten: dimension 2 is out of range for shape [2,3]");
  EXPECT_MESSAGE(permute(x, {0}), "permute: order [0] does not fit shape [2,3]");
  EXPECT_MESSAGE(narrow(x, 1, 2, 2), "narrow: 2 from 2 is out of range in dimension 1 of shape [2,3]");
  EXPECT_MESSAGE(select(x, 1, 3), "select: index 3 is out of range in dimension 1 of shape [2,3]");
  EXPECT_MESSAGE(expand(x, {3, 3}), "expand: shape [2,3] does not broadcast to [3,3]");
  EXPECT_MESSAGE(squeeze(x, 0), "squeeze: dimension 0 of shape [2,3] is not 1");
  EXPECT_MESSAGE(cat({}, 0), "cat: nothing to join");
  EXPECT_MESSAGE(cat({x, blank({2, 2})}, 0), "cat: shapes must be equal but for dimension 0: [2,3] and [2,2]");
  EXPECT_MESSAGE(stack({x, blank({2, 2})}, 0), "stack: shapes must be equal: [2,3] and [2,2]");
  EXPECT_MESSAGE(fold_time(x), "fold_time: x must be (B,C,T,H,W), it is [2,3]");
}

TEST(Matmul, BadInputs) {
  EXPECT_MESSAGE(matmul(blank({2, 3}), blank({2, 3})), "matmul: the last dimension of a must equal the second to last");
  EXPECT_MESSAGE(matmul(blank({2, 2, 3}), blank({2, 3})), "matmul: the last dimension of a must equal");
  EXPECT_MESSAGE(matmul(blank({3}), blank({3, 2})), "matmul: operands must have 2 dimensions or more: [3] and [3,2]");
  EXPECT_MESSAGE(matmul(blank({2, 3}), blank({3, 2}, Dtype::f32)), "matmul: dtypes differ: float64 and float32");
}

Tensor classes(const std::vector<int64_t>& v) { return from_vector(v, {int64_t(v.size())}); }

TEST(Loss, ValuesByHand) {
  const Variable x = leaf({std::log(0.2), std::log(0.8), std::log(0.5), std::log(0.5)}, {2, 2});
  const double a = -std::log(0.8), b = -std::log(0.5);
  const Tensor target = classes({1, 0}), weight = from_vector(Doubles{3, 1}, {2});
  EXPECT_NEAR(nll_loss(x, target).item(), (a + b) / 2, 1e-12);
  EXPECT_NEAR(nll_loss(x, target, {.weight = weight}).item(), (a + 3 * b) / 4, 1e-12);
  EXPECT_NEAR(nll_loss(x, target, {.reduction = Reduction::sum}).item(), a + b, 1e-12);
  EXPECT_NEAR(nll_loss(x, classes({1, -100})).item(), a, 1e-12);
  EXPECT_NEAR(cross_entropy(x, target).item(), (a + b) / 2, 1e-12);  // x is normalised already
  const double smooth = (a - std::log(0.2)) / 2 + b;
  EXPECT_NEAR(cross_entropy(x, target, {.reduction = Reduction::sum, .label_smoothing = 0.1}).item(),
              0.9 * (a + b) + 0.1 * smooth, 1e-12);
}

TEST(Loss, IgnoredRowsMayHoldAnything) {
  const Variable x = leaf({0, 1, 2, 3}, {2, 2});
  nll_loss(x, classes({-100, 1})).backward();
  EXPECT_EQ(x.grad().to_vector<double>(), (Doubles{0, 0, 0, -1}));

  const LossOptions smooth{.label_smoothing = 0.1};
  const Variable kept = leaf({2, 3}, {1, 2}), with_infinity = leaf({-INFINITY, 1, 2, 3}, {2, 2});
  const Variable expected = cross_entropy(kept, classes({1}), smooth),
                 loss = cross_entropy(with_infinity, classes({-100, 1}), smooth);
  EXPECT_NEAR(loss.item(), expected.item(), 1e-12);
  expected.backward();
  loss.backward();
  const Doubles g = kept.grad().to_vector<double>();
  EXPECT_EQ(with_infinity.grad().to_vector<double>(), (Doubles{0, 0, g[0], g[1]}));
}

TEST(Loss, BadInputs) {
  const Variable x = blank({2, 3});
  EXPECT_MESSAGE(nll_loss(x, classes({0, 3})), "nll_loss: target 3 is outside [0, 3) and not ignore_index (-100)");
  EXPECT_MESSAGE(cross_entropy(x, classes({0, -1})), "cross_entropy: target -1 is outside [0, 3)");
  EXPECT_MESSAGE(nll_loss(x, classes({0})), "nll_loss: x [2,3] needs targets of shape [2], not [1]");
  EXPECT_MESSAGE(nll_loss(x, zeros({2})), "nll_loss: targets must be int64, they are float32");
  EXPECT_MESSAGE(nll_loss(x, Tensor()), "nll_loss: targets must be int64");
  EXPECT_MESSAGE(nll_loss(blank({3}), classes({0})), "nll_loss: x must be (N,C) or (N,C,...), it is [3]");
  EXPECT_MESSAGE(nll_loss(x, classes({0, 1}), {.weight = zeros({2})}),
                 "nll_loss: 3 classes need weights of shape [3], not [2]");
  EXPECT_MESSAGE(nll_loss(x, classes({0, 1}), {.weight = zeros({3})}),
                 "nll_loss: weights must be float64 as x is, not float32");
  EXPECT_MESSAGE(nll_loss(x, classes({-100, -100})), "nll_loss: nothing to average: none of the 2 targets counts");
  EXPECT_MESSAGE(nll_loss(x, classes({0, 1}), {.label_smoothing = 0.1}), "label smoothing is cross_entropy's");
  EXPECT_MESSAGE(cross_entropy(x, classes({0, 1}), {.label_smoothing = 1.5}),
                 "cross_entropy: label smoothing must be in [0, 1], it is 1.5");
  EXPECT_MESSAGE(softmax(x, 2), "softmax: dimension 2 is out of range for shape [2,3]");
  EXPECT_MESSAGE(log_softmax(x, -3), "log_softmax: dimension -3 is out of range for shape [2,3]");
}

}  // namespace
}  // namespace ar
