// Recomputation gives what keeping everything gives, and keeps less.
#include "autograd/autograd.h"
#include "tensor/backend.h"
#include "tests/errors.h"

namespace ar {
namespace {

using Doubles = std::vector<double>;
using Inputs = std::vector<Variable>;
Variable leaf(const Dims& shape, uint64_t seed) {
  Generator g(seed);
  return Variable(randn(shape, {.dtype = Dtype::f64}, g), true);
}
Doubles values(const Tensor& t) { return t.to_vector<double>(); }

TEST(Checkpoint, SameResultsGradientsAndMasks) {
  const Variable x = leaf({4, 3}, 1), w = leaf({3, 5}, 2);
  const auto f = [&](const Inputs& in) { return dropout(tanh(matmul(dropout(in[0], 0.4, true), w)), 0.5, true); };
  const auto run = [&](bool recompute) {
    manual_seed(9);
    x.zero_grad(), w.zero_grad();
    const Variable y = recompute ? checkpoint(f, {x}) : f({x});
    const Variable later = dropout(y, 0.5, true);  // the stream goes on where f left it
    sum(square(later)).backward();
    const Doubles next = values(rand({2}, {.dtype = Dtype::f64}));  // and is put back after the backward pass
    return std::vector<Doubles>{values(later.value()), values(x.grad()), values(w.grad()), next};
  };
  EXPECT_EQ(run(true), run(false));
}

TEST(Checkpoint, RunningStatisticsMoveOnce) {
  const Variable x = leaf({6, 3}, 1), weight = leaf({3}, 2), bias = leaf({3}, 3);
  const auto run = [&](bool recompute) {
    const Tensor mean = zeros({3}, {.dtype = Dtype::f64}), var = ones({3}, {.dtype = Dtype::f64});
    const auto f = [&](const Inputs& in) { return batch_norm(in[0], mean, var, weight, bias, {.training = true}); };
    x.zero_grad();
    sum(square(recompute ? checkpoint(f, {x}) : f({x})) * x).backward();
    return std::vector<Doubles>{values(mean), values(var), values(x.grad())};
  };
  EXPECT_EQ(run(true), run(false));
}

TEST(Checkpoint, Nests) {
  const Variable x = leaf({3}, 1);
  const auto inner = [](const Inputs& in) { return exp(tanh(in[0])); };
  const auto outer = [&](const Inputs& in) { return square(checkpoint(inner, {sigmoid(in[0])})); };
  sum(outer({x})).backward();
  const Doubles expected = values(x.grad());
  x.zero_grad();
  sum(checkpoint(outer, {x})).backward();
  EXPECT_EQ(values(x.grad()), expected);
  EXPECT_FALSE(recomputing());
}

TEST(Checkpoint, KeepsNoIntermediateResults) {
  const Variable x(ones({1 << 16}), true);
  const auto f = [](const Inputs& in) { return sum(exp(exp(exp(exp(in[0]) * 0.1) * 0.1) * 0.1)); };
  const int64_t before = memory_stats().live;
  const Variable y = checkpoint(f, {x});
  EXPECT_LT(memory_stats().live, before + 1024);
  y.backward();
  EXPECT_TRUE(x.grad().defined());
}

TEST(Checkpoint, WithoutGradients) {
  const Variable x = leaf({3}, 1);
  const auto constant = [](const Inputs& in) { return Variable(in[0].value().clone()); };
  sum(checkpoint(constant, {x}) + x).backward();  // the result depends on nothing that is trained
  EXPECT_EQ(values(x.grad()), Doubles(3, 1));
  const NoGrad no_grad;
  EXPECT_FALSE(checkpoint(constant, {x}).requires_grad());
}

TEST(Checkpoint, InputsMayBeUndefinedOrIntegers) {
  const Variable x = leaf({3}, 1), index(arange(3));
  const auto f = [](const Inputs& in) {
    EXPECT_FALSE(in[1].defined());
    EXPECT_EQ(in[2].dtype(), Dtype::i64);
    return square(in[0]);
  };
  sum(checkpoint(f, {x, Variable(), index})).backward();
  Doubles twice = values(x.value());
  for (double& v : twice) v *= 2;
  EXPECT_EQ(values(x.grad()), twice);
}

TEST(Checkpoint, ChangedInputsAreDetected) {
  const Variable x = leaf({3}, 1);
  const Variable y = checkpoint([](const Inputs& in) { return sum(square(in[0])); }, {x});
  x.value().fill(0);
  EXPECT_MESSAGE(y.backward(), "backward: checkpoint: its input [3] was changed in place");
}

}  // namespace
}  // namespace ar
