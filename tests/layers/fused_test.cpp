// Convolution + norm + residual + activation: the fused pass gives what the separate ops give.
#include "autograd/fused.h"

#include "autograd/elementwise.h"
#include "tests/layers/reference.h"

using namespace ar;
using reference::Array;
using reference::expect_close;
using reference::random;

namespace {

struct Layer {
  Dtype dtype;
  Variable x{random("x", {2, 12, 7, 6}, dtype), true}, weight{random("w", {16, 12, 3, 3}, dtype), true};
  Variable norm_weight{random("nw", {16}, dtype), true}, norm_bias{random("nb", {16}, dtype), true};
  Tensor mean = random("mean", {16}, dtype), var = random("var", {16}, dtype, Layout::channels_last, 0.5, 1);
  Variable residual{random("residual", {2, 16, 7, 6}, dtype), true};

  Variable operator()(const ConvNormOptions& o, bool with_residual) const {
    return conv_norm_activation(x, weight, mean, var, norm_weight, norm_bias, o, with_residual ? residual : Variable());
  }
  std::vector<Tensor> gradients() const {
    std::vector<Tensor> g;
    for (const Variable& v : {x, weight, norm_weight, norm_bias, residual}) g.push_back(v.grad());
    return g;
  }
};

class Fused : public testing::TestWithParam<std::tuple<Activation, Dtype, bool>> {};
INSTANTIATE_TEST_SUITE_P(Activations, Fused,
                         testing::Combine(testing::Values(Activation::none, Activation::relu, Activation::relu6,
                                                          Activation::leaky_relu),
                                          testing::Values(Dtype::f32, Dtype::f64), testing::Bool()));

TEST_P(Fused, EqualsTheSeparateOps) {
  const auto& [activation, dtype, with_residual] = GetParam();
  const double eps = 10 * reference::tolerance(dtype);
  for (bool training : {false, true}) {
    const Layer a{dtype}, b{dtype};
    const ConvNormOptions o{.conv = {.padding = 1}, .training = training, .activation = activation, .slope = 0.1};
    Variable expected = batch_norm(conv2d(a.x, a.weight, {}, o.conv), a.mean, a.var, a.norm_weight, a.norm_bias,
                                   {.training = training});
    if (with_residual) expected = expected + a.residual;
    expected = activate(expected, activation, 0.1);
    const Variable y = b(o, with_residual);
    const Array values(expected.value());
    expect_close(y.value(), values, eps, "recorded");

    const Tensor gy = random("gy", y.shape(), dtype);
    expected.backward(gy);
    y.backward(gy);
    const auto ga = a.gradients(), gb = b.gradients();
    for (size_t i = 0; i < ga.size(); ++i) {
      EXPECT_EQ(ga[i].defined(), gb[i].defined());
      if (ga[i].defined()) expect_close(gb[i], ga[i].shape(), ga[i].to_vector<double>(), eps, "gradient");
    }
    expect_close(b.mean, {16}, a.mean.to_vector<double>(), eps, "running_mean");
    expect_close(b.var, {16}, a.var.to_vector<double>(), eps, "running_var");

    NoGrad no_grad;
    const auto before = b.residual.value().to_vector<double>();
    const Layer fresh{dtype};
    expect_close(fresh(o, with_residual).value(), values, eps, "without gradients");
    EXPECT_EQ(b.residual.value().to_vector<double>(), before);
  }
}

TEST(FusedNorm, FollowsChangedWeightsAndStatistics) {
  const Layer layer{Dtype::f32};
  const ConvNormOptions o{.conv = {.padding = 1}, .activation = Activation::relu};
  NoGrad no_grad;
  layer(o, false);
  layer.weight.value().copy_from(random("other", layer.weight.shape(), Dtype::f32));
  layer.mean.fill(0.25);
  layer.norm_bias.value().fill(0.5);
  const Variable expected = batch_norm(conv2d(layer.x, layer.weight, {}, o.conv), layer.mean, layer.var,
                                       layer.norm_weight, layer.norm_bias, {.activation = Activation::relu});
  expect_close(layer(o, false).value(), Array(expected.value()), 1e-4, "y");
}

TEST(FusedNorm, WithoutAffineOrRunningStatistics) {
  const Layer l{Dtype::f64};
  const ConvNormOptions o{.conv = {.padding = 1}};
  NoGrad no_grad;
  const Variable y = conv2d(l.x, l.weight, {}, o.conv);
  expect_close(conv_norm_activation(l.x, l.weight, l.mean, l.var, {}, {}, o).value(),
               Array(batch_norm(y, l.mean, l.var, {}, {}, {}).value()), 1e-11, "no affine");
  expect_close(conv_norm_activation(l.x, l.weight, {}, {}, {}, {}, o).value(),
               Array(batch_norm(y, {}, {}, {}, {}, {}).value()), 1e-11, "no statistics");
}

TEST(FusedErrors, SayTheRuleAndWhatCame) {
  const Layer l{Dtype::f32};
  NoGrad no_grad;
  const auto error = [&](const Tensor& mean, const Variable& residual) {
    return error_of([&] {
      conv_norm_activation(l.x, l.weight, mean, l.var, l.norm_weight, l.norm_bias, {.conv = {.padding = 1}}, residual);
    });
  };
  EXPECT_EQ(error(zeros({15}), {}),
            "conv_norm_activation: running_mean must have shape [16] and be float32, it has [15] and is float32");
  EXPECT_EQ(error(l.mean, Variable(zeros({2, 16, 6, 7}))),
            "conv_norm_activation: residual must have shape [2,16,7,6], it has [2,16,6,7]");
}

}  // namespace
