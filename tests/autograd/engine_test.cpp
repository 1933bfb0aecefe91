// The backward pass: accumulation, graphs kept and freed, hooks, modes, errors.
#include <cmath>
#include <limits>

#include "autograd/autograd.h"
#include "tensor/backend.h"
#include "tensor/ops_elementwise.h"
#include "tests/errors.h"

namespace ar {
namespace {

using Doubles = std::vector<double>;
Variable leaf(const Doubles& v, const Dims& shape) { return Variable(from_vector(v, shape), true); }
Variable leaf(const Doubles& v) { return leaf(v, {int64_t(v.size())}); }
Doubles values(const Tensor& t) { return t.to_vector<double>(); }
Doubles grad(const Variable& v) { return values(v.grad()); }

TEST(Engine, GradientsFlowThroughAllPaths) {
  const Variable x = leaf({1, 2, 3});
  const Variable y = x * x + x;
  sum(y * y).backward();
  EXPECT_EQ(grad(x), (Doubles{2 * 2 * 3, 2 * 6 * 5, 2 * 12 * 7}));
}

TEST(Engine, GradientsOfLeavesAddUp) {
  const Variable x = leaf({1, 2});
  sum(square(x)).backward();
  sum(square(x)).backward();
  EXPECT_EQ(grad(x), (Doubles{4, 8}));
  x.zero_grad();
  EXPECT_FALSE(x.grad().defined());
  sum(x).backward();
  EXPECT_EQ(grad(x), (Doubles{1, 1}));
}

TEST(Engine, AccumulationDoesNotTouchOthers) {
  // The gradient of a sum is handed to both operands: neither may write into it.
  const Variable a = leaf({1, 2}), b = leaf({3, 4});
  const Tensor g = from_vector(Doubles{1, 10}, {2});
  (a + b).backward(g);
  (a + a + b).backward(g);
  EXPECT_EQ(values(g), (Doubles{1, 10}));
  EXPECT_EQ(grad(a), (Doubles{3, 30}));
  EXPECT_EQ(grad(b), (Doubles{2, 20}));
}

TEST(Engine, GradientsLieAsTheirLeaves) {
  for (const Layout layout : {Layout::channels_last, Layout::channels_first}) {
    const Variable x(ones({2, 3, 2, 2}, {.dtype = Dtype::f64, .layout = layout}), true);
    sum(permute(x, {0, 2, 3, 1})).backward();
    EXPECT_EQ(x.grad().strides(), x.value().strides());
  }
  const Tensor wide = ones({4, 6}, {.dtype = Dtype::f64});
  const Variable part(wide.narrow(1, 1, 3), true);
  sum(part * part).backward();
  EXPECT_EQ(grad(part), Doubles(12, 2));
  EXPECT_TRUE(part.grad().is_dense(Layout::channels_first));
}

TEST(Engine, UnusedResultsAndInputs) {
  const Variable x = leaf({1, 2}), unused = leaf({1});
  (void)(unused * 2);
  sum(x).backward();
  EXPECT_FALSE(unused.grad().defined());
}

TEST(Engine, OnlyWantedGradientsAreComputed) {
  const Variable x = leaf({1, 2}), c(from_vector(Doubles{3, 4}, {2}));
  std::vector<bool> wanted;
  const Variable y = record("pair", ops::add(x.value(), c.value()), {x, c}, [&](Backward& ctx) {
    wanted = {ctx.wanted(0), ctx.wanted(1)};
    return std::vector<Tensor>{ctx.grad(), {}};
  });
  sum(y).backward();
  EXPECT_EQ(wanted, (std::vector<bool>{true, false}));
  EXPECT_EQ(grad(x), (Doubles{1, 1}));
}

TEST(Engine, SeveralResults) {
  const Variable x = leaf({1, 2});
  const auto split = [&] {
    return record("split", {ops::affine(x.value(), 2), ops::affine(x.value(), 3)}, {x}, [](Backward& ctx) {
      const Tensor g = ops::affine(ctx.grad_or_zeros(0), 2);
      ops::axpby_(3, ctx.grad_or_zeros(1), 1, g);
      return std::vector<Tensor>{g};
    });
  };
  sum(split()[1]).backward();
  EXPECT_EQ(grad(x), (Doubles{3, 3}));
  const auto both = split();
  sum(both[0] * both[1]).backward();
  EXPECT_EQ(grad(x), (Doubles{3 + 12, 3 + 24}));
}

TEST(Engine, GraphsAreFreedUnlessRetained) {
  const Variable x = leaf({3});
  const Variable y = square(x);
  y.backward({}, true);
  y.backward();
  EXPECT_EQ(grad(x), Doubles{12});
  EXPECT_MESSAGE(y.backward(),
                 "backward: the graph of square was freed by an earlier backward(); retain_graph keeps it");
  EXPECT_MESSAGE((y * 2).backward(), "backward: the graph of square was freed");
}

TEST(Engine, SavedTensorsAreLetGo) {
  const int64_t before = memory_stats().live;
  const Variable x(ones({1 << 16}), true);
  const int64_t with_leaf = memory_stats().live;
  const Variable y = sum(exp(exp(x)));
  EXPECT_GT(memory_stats().live, with_leaf);
  y.backward();
  x.zero_grad();
  EXPECT_LT(memory_stats().live, with_leaf + 1024);
  EXPECT_GT(with_leaf, before);
}

TEST(Engine, InPlaceChangesAreDetected) {
  const Variable x = leaf({1, 2}), w = leaf({3, 4});
  const Variable y = sum(x * w);
  w.value().fill(0);
  EXPECT_MESSAGE(y.backward(), "backward: mul: its b [2] was changed in place after the forward pass (1 writes)");
  const Variable z = sigmoid(x);
  z.value().fill(0);
  EXPECT_MESSAGE(sum(z).backward(), "backward: sigmoid: its result [2] was changed in place");
  const Variable fine = x + w;  // keeps nothing
  x.value().fill(5);
  EXPECT_NO_THROW(sum(fine).backward());
}

TEST(Engine, Hooks) {
  const Variable x = leaf({1, 2});
  const Variable y = square(x);
  Doubles seen;
  y.register_hook([&](const Tensor& g) {
    seen = values(g);
    return Tensor();
  });
  const int id = x.register_hook([](const Tensor& g) { return ops::affine(g, 10); });
  sum(y).backward();
  EXPECT_EQ(seen, (Doubles{1, 1}));
  EXPECT_EQ(grad(x), (Doubles{20, 40}));
  x.remove_hook(id);
  x.zero_grad();
  sum(square(x)).backward();
  EXPECT_EQ(grad(x), (Doubles{2, 4}));
  x.register_hook([](const Tensor&) { return zeros({3}); });
  EXPECT_MESSAGE(sum(square(x)).backward(), "backward: a hook returned [3] float32 for a gradient of [2] float64");
  EXPECT_MESSAGE(x.detach().register_hook([](const Tensor&) { return Tensor(); }),
                 "register_hook: the variable does not require gradients");
}

TEST(Engine, AHookOfAComputedVariableSeesTheWholeGradient) {
  const Variable x = leaf({1});
  const Variable y = x * 2;
  int calls = 0;
  y.register_hook([&](const Tensor& g) {
    ++calls;
    EXPECT_EQ(g.item(), 3 + 4);
    return Tensor();
  });
  (y * 3 + y * 4).backward();
  EXPECT_EQ(calls, 1);
}

TEST(Engine, AHookOutlivesTheHandlesOnItsVariable) {
  const Variable x = leaf({-1, 2});
  int calls = 0;
  const auto net = [&] {
    const Variable h = relu(x);
    h.register_hook([&](const Tensor& g) {
      ++calls;
      return ops::affine(g, 10);
    });
    return sum(h * 2);
  };
  net().backward();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(grad(x), (Doubles{0, 20}));
}

TEST(Engine, HooksMayRegisterAndRemoveHooks) {
  const Variable x = leaf({1});
  int first = 0, later = 0, id = 0;
  id = x.register_hook([&](const Tensor&) {
    ++first;
    x.remove_hook(id);
    for (int i = 0; i < 100; ++i) x.register_hook([&](const Tensor&) { return ++later, Tensor(); });
    return Tensor();
  });
  sum(square(x)).backward();
  EXPECT_EQ(first, 1);
  EXPECT_EQ(later, 0);
  sum(square(x)).backward();
  EXPECT_EQ(first, 1);
  EXPECT_EQ(later, 100);
}

TEST(Engine, AHookOfALeafSeesTheSumOverAllUses) {
  const Variable w = leaf({2});
  int calls = 0;
  const int id = w.register_hook([&](const Tensor& g) {
    ++calls;
    return ops::unary(UnaryOp::clamp, g, {-1, 1});
  });
  (w + w + w).backward();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(grad(w), Doubles{1});
  (w * w).backward();  // is added to the gradient so far, which hooks do not see
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(grad(w), Doubles{2});
  w.remove_hook(id);
  (w + w + w).backward();
  EXPECT_EQ(grad(w), Doubles{5});
}

TEST(Engine, HooksDoNotKeepAGraphThatWasFreed) {
  const Variable x(ones({1 << 16}), true);
  const int64_t before = memory_stats().live;
  {
    const Variable y = exp(x), z = exp(y);
    y.register_hook([z](const Tensor&) { return Tensor(); });
    z.backward(ones(z.shape()));
    x.zero_grad();
  }
  EXPECT_LT(memory_stats().live, before + 1024);
}

TEST(Engine, LeavesThatWereTurnedOffGetNoGradient) {
  const Variable x = leaf({1, 2}), w = leaf({3, 4});
  const Variable y = sum(x * w);
  w.set_requires_grad(false);
  y.backward();
  EXPECT_EQ(grad(x), (Doubles{3, 4}));
  EXPECT_FALSE(w.grad().defined());
}

TEST(Engine, RetainedGradients) {
  const Variable x = leaf({1, 2});
  const Variable y = x * 3;
  y.retain_grad();
  sum(square(y)).backward();
  EXPECT_EQ(grad(y), (Doubles{6, 12}));
  EXPECT_FALSE((x * 1).grad().defined());
  EXPECT_MESSAGE(x.detach().retain_grad(), "retain_grad: the variable does not require gradients");
}

TEST(Engine, BackwardFromALeaf) {
  const Variable x = leaf({2});
  x.backward();
  EXPECT_EQ(grad(x), Doubles{1});
}

TEST(Engine, BackwardRefusals) {
  const Variable x = leaf({1, 2}), c(from_vector(Doubles{1}, {1}));
  EXPECT_MESSAGE(c.backward(), "backward: the variable does not require gradients");
  EXPECT_MESSAGE(Variable().backward(), "backward: the variable does not require gradients");
  EXPECT_MESSAGE((x * 2).backward(), "backward: a variable of shape [2] needs a gradient; only one element can start");
  EXPECT_MESSAGE((x * 2).backward(zeros({3}, {.dtype = Dtype::f64})), "backward: gradient [3] float64 does not fit");
  EXPECT_MESSAGE((x * 2).backward(zeros({2})),
                 "backward: gradient [2] float32 does not fit the variable's [2] float64");
}

TEST(Engine, WrongGradientsOfOpsAreNamed) {
  const Variable x = leaf({1, 2});
  const auto with = [&](std::vector<Tensor> grads) {
    return sum(record("bad", x.value().clone(), {x}, [grads](Backward&) { return grads; }));
  };
  EXPECT_MESSAGE(with({}).backward(), "backward: bad returned 0 gradients for 1 inputs");
  EXPECT_MESSAGE(with({Tensor()}).backward(), "backward: bad returned no gradient for input 0");
  EXPECT_MESSAGE(with({zeros({3})}).backward(),
                 "backward: bad returned a gradient of [3] float32 for input 0 of [2] float64");
}

TEST(Engine, NoGrad) {
  const Variable x = leaf({1, 2});
  {
    NoGrad no_grad;
    EXPECT_FALSE(grad_enabled());
    EXPECT_FALSE((x * 2).requires_grad());
    {
      EnableGrad enable;
      EXPECT_TRUE((x * 2).requires_grad());
    }
    EXPECT_FALSE(grad_enabled());
  }
  EXPECT_TRUE((x * 2).requires_grad());
  EXPECT_FALSE(x.detach().requires_grad());
  EXPECT_TRUE(x.detach().value().shares_memory_with(x.value()));
}

TEST(Engine, AnomalyDetectionNamesTheOp) {
  const Variable x = leaf({-1, 0});
  EXPECT_NO_THROW(log(x));
  const DetectAnomaly detect;
  EXPECT_MESSAGE(log(x), "log: result [2] holds NaN or infinity (anomaly detection)");
  const Variable y = sqrt(leaf({0, 1}));
  EXPECT_MESSAGE(sum(y).backward(),
                 "backward: sqrt: gradient of input 0 [2] holds NaN or infinity (anomaly detection)");
}

TEST(Engine, AnomalyDetectionNamesTheParameter) {
  const Variable w = leaf({-1, 0}), x = leaf({1, 1});
  const DetectAnomaly detect([&](const Variable& v) { return v.same_as(w) ? "layer.weight" : ""; });
  EXPECT_MESSAGE(x / w, "div of layer.weight: result [2] holds NaN or infinity (anomaly detection)");
  EXPECT_MESSAGE(log(x * 0.0), "log after layer.weight: result [2] holds NaN or infinity (anomaly detection)");
}

TEST(Engine, DeepGraphsNeitherBackwardNorDestructionRecurse) {
  const Variable x = leaf({1});
  {
    Variable y = x;
    for (int i = 0; i < 100000; ++i) y = y + 1;
    y.backward();
  }
  EXPECT_EQ(grad(x), Doubles{1});
  {
    Variable y = x;  // destroyed without a backward pass
    for (int i = 0; i < 100000; ++i) y = y * x;
  }
}

TEST(Variable, Facts) {
  const Variable x = leaf({1, 2, 3, 4}, {2, 2});
  EXPECT_TRUE(x.is_leaf());
  EXPECT_FALSE((x * 2).is_leaf());
  EXPECT_TRUE(x.detach().is_leaf());
  EXPECT_EQ(x.size(-1), 2);
  EXPECT_EQ(x.numel(), 4);
  EXPECT_TRUE(x.same_as(x));
  EXPECT_FALSE(x.same_as(x.detach()));
  const Variable copy = x;
  EXPECT_TRUE(copy.same_as(x));
  std::ostringstream out;
  out << sum(x).detach() << "; " << leaf({1}) << "; " << Variable();
  EXPECT_EQ(out.str(),
            "tensor(10, shape [], float64); tensor([1], shape [1], float64), requires_grad; variable(undefined)");
}

TEST(Variable, AGradientOfAnotherShapeGoesWithTheValue) {
  const Variable x(ones({4, 3}), true);
  sum(x).backward();
  x.set_value(zeros({4, 3}));
  EXPECT_TRUE(x.grad().defined());
  x.set_value(ones({1, 3}));
  EXPECT_FALSE(x.grad().defined());
  sum(x).backward();
  EXPECT_EQ(x.grad().to_vector<float>(), std::vector<float>(3, 1));
}

TEST(Variable, Refusals) {
  const Variable x = leaf({1, 2});
  EXPECT_MESSAGE(Variable(Tensor()), "Variable: an undefined tensor");
  EXPECT_MESSAGE(Variable(arange(2), true), "Variable: only floating tensors have gradients, not int64");
  EXPECT_MESSAGE(Variable(arange(2)).set_requires_grad(true), "only floating tensors have gradients, not int64");
  EXPECT_MESSAGE((x * 2).set_requires_grad(false), "set_requires_grad: only leaves can be told; use detach()");
  EXPECT_MESSAGE((x * 2).set_value(x.value()), "set_value: only leaves can be replaced");
  EXPECT_MESSAGE(x.set_value({}), "set_value: an undefined tensor");
  EXPECT_MESSAGE(x.set_value(arange(2)), "set_value: only floating tensors have gradients, not int64");
  EXPECT_MESSAGE(x.set_grad(zeros({3})),
                 "set_grad: a gradient of shape [2] and float64 is needed, not [3] and float32");
  EXPECT_MESSAGE(Variable().value(), "Variable: undefined");
  EXPECT_MESSAGE(Variable() + x, "Variable: undefined");
}

}  // namespace
}  // namespace ar
