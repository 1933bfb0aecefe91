// Optimisers against their formulas, element by element; groups, saved state, clipping.
#include "nn/optim.h"

#include "autograd/elementwise.h"
#include "autograd/reduce.h"
#include "nn/layers.h"
#include "tests/nn/nn_test.h"

namespace ar {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

Variable parameter(const std::vector<double>& values) {
  return Variable(from_vector(values, {int64_t(values.size())}), true);
}
void set_grad(const Variable& p, const std::vector<double>& values) {
  p.set_grad(from_vector(values, {int64_t(values.size())}));
}
double value(const Variable& p, int64_t i = 0) { return p.value().at({i}); }

const std::vector<double> kGradients = {0.5, -1, 2, 0.25};

TEST(SGD, FollowsItsFormula) {
  for (const optim::SgdOptions& o : {optim::SgdOptions{.lr = 0.1},
                                     {.lr = 0.1, .weight_decay = 0.01},
                                     {.lr = 0.1, .momentum = 0.9},
                                     {.lr = 0.1, .momentum = 0.9, .dampening = 0.5, .weight_decay = 0.1},
                                     {.lr = 0.1, .momentum = 0.8, .weight_decay = 0.1, .nesterov = true}}) {
    const Variable p = parameter({1, -2});
    optim::SGD sgd({p}, o);
    double expected[2] = {1, -2}, velocity[2];
    for (size_t step = 0; step < kGradients.size(); ++step) {
      set_grad(p, {kGradients[step], -kGradients[step]});
      sgd.step();
      for (int i = 0; i < 2; ++i) {
        const double g = (i ? -1 : 1) * kGradients[step] + o.weight_decay * expected[i];
        velocity[i] = step == 0 ? g : o.momentum * velocity[i] + (1 - o.dampening) * g;
        expected[i] -= o.lr * (o.momentum == 0 ? g : o.nesterov ? g + o.momentum * velocity[i] : velocity[i]);
        EXPECT_NEAR(value(p, i), expected[i], 1e-14) << "step " << step;
      }
    }
  }
}

TEST(Adam, FollowsItsFormula) {
  for (const bool decoupled : {false, true})
    for (const double decay : {0.0, 0.1}) {
      const Variable p = parameter({1});
      const optim::AdamOptions o{.lr = 0.01, .beta1 = 0.8, .beta2 = 0.9, .eps = 1e-6, .weight_decay = decay};
      optim::Adam adam({p}, o);
      optim::AdamW adamw({p}, {.lr = 0.01, .beta1 = 0.8, .beta2 = 0.9, .eps = 1e-6, .weight_decay = decay});
      double expected = 1, m = 0, v = 0;
      for (size_t t = 1; t <= kGradients.size(); ++t) {
        set_grad(p, {kGradients[t - 1]});
        decoupled ? adamw.step() : adam.step();
        double g = kGradients[t - 1];
        if (decoupled)
          expected -= o.lr * decay * expected;
        else
          g += decay * expected;
        m = o.beta1 * m + (1 - o.beta1) * g;
        v = o.beta2 * v + (1 - o.beta2) * g * g;
        const double mean = m / (1 - std::pow(o.beta1, t)), square = v / (1 - std::pow(o.beta2, t));
        expected -= o.lr * mean / (std::sqrt(square) + o.eps);
        EXPECT_NEAR(value(p), expected, 1e-14) << "step " << t;
      }
    }
}

TEST(Optimizer, DefaultsArePyTorchs) {
  const Variable p = parameter({1}), q = parameter({1}), r = parameter({1});
  optim::SGD sgd({p});
  optim::Adam adam({q});
  optim::AdamW adamw({r});
  EXPECT_EQ(sgd.group_options(0).lr, 1e-3);
  EXPECT_EQ(adam.group_options(0).weight_decay, 0);
  EXPECT_EQ(adamw.group_options(0).weight_decay, 1e-2);
  EXPECT_EQ(adamw.group_options(0).beta2, 0.999);
  EXPECT_EQ(adamw.group_options(0).eps, 1e-8);
}

TEST(Optimizer, GroupsHaveTheirOwnOptions) {
  const Variable a = parameter({1}), b = parameter({1}), c = parameter({1}), idle = parameter({1});
  optim::SGD sgd({{{a}, {.lr = 0.1}}, {{b, idle}, {.lr = 0.01}}});
  sgd.add_group({c}, {.lr = 0.5});
  EXPECT_EQ(sgd.num_groups(), 3);
  for (const Variable& p : {a, b, c}) set_grad(p, {1});
  sgd.step();
  EXPECT_DOUBLE_EQ(value(a), 0.9);
  EXPECT_DOUBLE_EQ(value(b), 0.99);
  EXPECT_DOUBLE_EQ(value(c), 0.5);
  EXPECT_EQ(value(idle), 1) << "without gradient nothing happens";
  sgd.group_options(0).lr = 1;
  sgd.step();
  EXPECT_NEAR(value(a), -0.1, 1e-15);
  sgd.zero_grad();
  EXPECT_FALSE(a.grad().defined());
  EXPECT_ERROR(sgd.group_options(3), "SGD: no parameter group 3 among 3");
}

TEST(Optimizer, OrdersInMemoryMayDiffer) {
  const Tensor values = normal({2, 3, 2, 2}, Dtype::f32);
  const Variable p(values.clone(), true);
  p.set_grad(values.clone(Layout::channels_first));
  optim::SGD sgd({p}, {.lr = 1, .momentum = 0.5});
  sgd.step();
  EXPECT_EQ(p.value().to_vector<float>(), std::vector<float>(24, 0.f));
  EXPECT_EQ(printed(p.grad().strides()), printed(values.clone(Layout::channels_first).strides()));
}

/// Trains p for some steps with gradients that depend on it.
template <class O>
void train(O& optimizer, const Variable& p, int steps) {
  for (int i = 0; i < steps; ++i) {
    p.set_grad(p.value().clone());
    optimizer.step();
  }
}

template <class O, class Options>
void check_resumes(const Options& options, const std::vector<std::string>& names) {
  const Variable p = parameter({1, 2}), idle = parameter({3});
  O whole({idle, p}, options);
  train(whole, p, 3);
  std::vector<std::string> keys;
  nn::StateDict saved;
  for (const auto& [key, t] : whole.state_dict()) saved.emplace_back(key, t.clone()), keys.push_back(key);
  EXPECT_EQ(keys, names);
  const Variable q = parameter(p.value().to_vector<double>());
  O again({parameter({3}), q}, Options{.lr = 0.9});
  again.load_state_dict(saved);
  train(whole, p, 3);
  train(again, q, 3);
  EXPECT_EQ(p.value().to_vector<double>(), q.value().to_vector<double>()) << "as if never stopped";
}

TEST(Optimizer, GoesOnFromASavedState) {
  check_resumes<optim::SGD, optim::SgdOptions>(
      {.lr = 0.1, .momentum = 0.9, .weight_decay = 0.1},
      {"state.1.momentum_buffer", "param_groups.0.lr", "param_groups.0.momentum", "param_groups.0.dampening",
       "param_groups.0.weight_decay", "param_groups.0.nesterov"});
  const std::vector<std::string> names = {
      "state.1.step",         "state.1.exp_avg",      "state.1.exp_avg_sq", "param_groups.0.lr",
      "param_groups.0.beta1", "param_groups.0.beta2", "param_groups.0.eps", "param_groups.0.weight_decay"};
  check_resumes<optim::Adam, optim::AdamOptions>({.lr = 0.1, .weight_decay = 0.1}, names);
  check_resumes<optim::AdamW, optim::AdamWOptions>({.lr = 0.1}, names);
}

TEST(Optimizer, NesterovIsPartOfTheState) {
  const optim::SGD nesterov({parameter({1})}, {.momentum = 0.9, .nesterov = true});
  nn::StateDict state = nesterov.state_dict();
  optim::SGD plain({parameter({1})}, {.momentum = 0.9});
  plain.load_state_dict(state);
  EXPECT_TRUE(plain.group_options(0).nesterov);
  plain.group_options(0).nesterov = false;
  std::erase_if(state, [](const auto& entry) { return entry.first == "param_groups.0.nesterov"; });
  plain.load_state_dict(state);  // of a file that was written before
  EXPECT_FALSE(plain.group_options(0).nesterov);
}

TEST(Optimizer, AParameterThatChangesItsShapeIsRefused) {
  const Variable p(ones({2, 256}), true), before(ones({3}), true);
  optim::SGD sgd({{{before}, {.lr = 1}}, {{p}, {.lr = 1, .momentum = 0.9}}});
  sum(p).backward();
  sgd.step();
  p.set_value(ones({20000, 256}));
  sum(p).backward();
  sum(before).backward();
  EXPECT_ERROR(sgd.step(), "SGD: a parameter became [20000,256] while its state is [2,256]");
  EXPECT_EQ(before.value().to_vector<float>(), std::vector<float>(3, 1)) << "no half steps";
  p.set_value(ones({3}).expand({2, 3}));
  sum(p).backward();
  EXPECT_ERROR(sgd.step(), "SGD: a parameter must be dense, strides [0,1] of [2,3] are not");
}

TEST(Optimizer, AGradientOfAnotherShapeIsRefused) {
  const Variable p(ones({4, 3}), true);
  optim::SGD sgd({p});
  const Variable loss = sum(p * 2.0);
  p.set_value(ones({1, 3}));
  loss.backward();  // by the shape that p had
  EXPECT_ERROR(sgd.step(), "SGD: a parameter is [1,3], its gradient [4,3]");
}

TEST(Optimizer, ADtypeWithoutKernelIsRefusedBeforeAnyUpdate) {
  const Variable p(ones({2}), true), half(ones({2}, {.dtype = Dtype::bf16}), true);
  optim::Adam adam({{{p}, {}}, {{half}, {}}});
  optim::SGD sgd({{{p}, {}}, {{half}, {}}});
  p.set_grad(ones({2}));
  half.set_grad(ones({2}, {.dtype = Dtype::bf16}));
  EXPECT_ERROR(adam.step(), AllOf(StartsWith("Adam: no "), HasSubstr("kernel for bfloat16")));
  EXPECT_ERROR(sgd.step(), AllOf(StartsWith("SGD: no "), HasSubstr("kernel for bfloat16")));
  EXPECT_EQ(p.value().to_vector<float>(), std::vector<float>(2, 1));
  EXPECT_THAT(adam.state_dict(), testing::Each(testing::Key(StartsWith("param_groups"))));
}

TEST(Optimizer, LoadNamesWhatDoesNotFit) {
  const Variable p = parameter({1, 2});
  optim::Adam adam({p});
  train(adam, p, 1);
  nn::StateDict state = adam.state_dict();
  state.erase(state.begin());                           // state.0.step
  state[0].second = zeros({3}, {.dtype = Dtype::f64});  // state.0.exp_avg
  state.emplace_back("state.7.step", zeros({}));
  EXPECT_ERROR(adam.load_state_dict(state),
               "load_state_dict: the state does not fit this Adam; missing state.0.step; state.0.exp_avg must be [2], "
               "given [3]; unexpected state.7.step");
  optim::SGD sgd({p});
  EXPECT_ERROR(sgd.load_state_dict({}), StartsWith("load_state_dict: the state does not fit this SGD; missing "
                                                   "param_groups.0.lr"));
}

TEST(Optimizer, BadArguments) {
  const Variable p = parameter({1});
  EXPECT_ERROR(optim::SGD({}, {.lr = 1}), "SGD: a group without parameters");
  EXPECT_ERROR(optim::SGD({p, p}), "SGD: a parameter [1] is given twice");
  EXPECT_ERROR(optim::AdamW({{{p}, {}}, {{p}, {}}}), "AdamW: a parameter [1] is given twice");
  EXPECT_ERROR(optim::Adam({p * 2.0}), "Adam: only leaves can be optimised, not a computed variable [1]");
  EXPECT_ERROR(optim::Adam({Variable()}), "Adam: an undefined parameter");
  EXPECT_ERROR(optim::SGD({p}, {.lr = -1}), "SGD: lr must not be negative, it is -1");
  EXPECT_ERROR(optim::SGD({p}, {.momentum = 0.9, .dampening = 0.1, .nesterov = true}),
               "SGD: nesterov needs a momentum and no dampening, they are 0.9 and 0.1");
  EXPECT_ERROR(optim::Adam({p}, {.beta1 = 1}), "Adam: beta1 and beta2 must be in [0, 1), they are 1 and 0.999");
  EXPECT_ERROR(optim::AdamW({p}, {.weight_decay = -1}), "AdamW: weight_decay must not be negative, it is -1");
  optim::Adam adam({p});
  train(adam, p, 1);
  p.zero_grad();
  p.set_value(p.value().to(Dtype::f32));
  p.set_grad(p.value().clone());
  EXPECT_ERROR(adam.step(), "Adam: a parameter became float32 while its state is float64");
}

TEST(Optimizer, TrainsALinearLayer) {
  manual_seed(1);
  nn::Linear layer({.in = 3, .out = 1});
  optim::AdamW adam(layer.parameters(), {.lr = 0.05, .weight_decay = 0});
  const Variable x(normal({64, 3}, Dtype::f32));
  const Variable y(nn::Linear({.in = 3, .out = 1})(x).value());
  double loss = 0;
  for (int i = 0; i < 300; ++i) {
    const Variable error = mean(square(layer(x) - y));
    adam.zero_grad();
    error.backward();
    adam.step();
    loss = error.item();
  }
  EXPECT_LT(loss, 1e-6);
}

TEST(Clip, Norm) {
  const Variable a = parameter({0, 0}), b = parameter({0}), none = parameter({0});
  const auto reset = [&] { set_grad(a, {3, -4}), set_grad(b, {12}); };
  reset();
  EXPECT_DOUBLE_EQ(optim::clip_grad_norm_({a, b, none}, 6.5), 13);
  EXPECT_NEAR(b.grad().at({0}), 12 * 6.5 / (13 + 1e-6), 1e-12);
  EXPECT_NEAR(a.grad().at({1}), -4 * 6.5 / (13 + 1e-6), 1e-12);
  reset();
  EXPECT_DOUBLE_EQ(optim::clip_grad_norm_({a, b}, 20), 13);
  EXPECT_EQ(b.grad().at({0}), 12);
  EXPECT_DOUBLE_EQ(optim::clip_grad_norm_({a, b}, 100, {.norm_type = INFINITY}), 12);
  EXPECT_DOUBLE_EQ(optim::clip_grad_norm_({a, b}, 100, {.norm_type = 1}), 19);
  EXPECT_NEAR(optim::clip_grad_norm_({a, b}, 100, {.norm_type = 3}), std::cbrt(27.0 + 64 + 1728), 1e-9);
  EXPECT_EQ(optim::clip_grad_norm_({none}, 1), 0);
  set_grad(b, {NAN});
  EXPECT_ERROR(optim::clip_grad_norm_({a, b}, 1, {.error_if_nonfinite = true}),
               "clip_grad_norm_: the norm of the gradients is nan");
  EXPECT_TRUE(std::isnan(optim::clip_grad_norm_({a, b}, 1, {.norm_type = INFINITY})));
  EXPECT_TRUE(std::isnan(a.grad().at({0})));
  EXPECT_ERROR(optim::clip_grad_norm_({a}, 1, {.norm_type = 0}),
               "clip_grad_norm_: norm_type must be positive, it is 0");
}

TEST(Clip, Value) {
  const Variable a = parameter({0, 0, 0}), none = parameter({0});
  set_grad(a, {3, -4, 0.5});
  optim::clip_grad_value_({a, none}, 1);
  EXPECT_THAT(a.grad().to_vector<double>(), ElementsAre(1, -1, 0.5));
}

}  // namespace
}  // namespace ar
