// Convolutions with norms, activations and a residual in one: what the separate ops give.
#include "autograd/conv_norm.h"

#include "autograd/checkpoint.h"
#include "autograd/elementwise.h"
#include "tests/activation.h"
#include "tests/layers/reference.h"

using namespace ar;
using reference::Array;
using reference::expect_close;
using reference::random;

namespace {

/// A block of three convolutions, the middle one of stride 2 or depthwise, whose first step or two may be left out.
struct Block {
  Dtype dtype;
  bool depthwise;
  Variable x;
  std::vector<ConvNorm> steps;
  Variable residual;

  Block(Dtype dtype, int count, Activation activation, bool training, bool depthwise, const Dims& image = {2, 12, 7, 6})
      : dtype(dtype), depthwise(depthwise), x(random("x", image, dtype), true) {
    int64_t channels = 12;
    Dims shape = x.shape();
    for (int i = 3 - count; i < 3; ++i) {
      const std::string n = std::to_string(i);
      const int64_t kernel = i == 0 ? 1 : 3, out = depthwise && i == 1 ? channels : 16,
                    groups = depthwise && i == 1 ? channels : 1;
      ConvNorm s{
          .weight = {random("w" + n, {out, channels / groups, kernel, kernel}, dtype), true},
          .norm = {Variable(random("nw" + n, {out}, dtype), true), Variable(random("nb" + n, {out}, dtype), true),
                   random("mean" + n, {out}, dtype), random("var" + n, {out}, dtype, Layout::channels_last, 0.5, 1)},
          .conv = {.stride = i == 1 ? 2 : 1, .padding = kernel / 2, .groups = groups},
          .mode = {.training = training, .activation = activation, .slope = 0.1}};
      shape = ops::conv2d_shape(shape, s.weight.shape(), s.conv);
      steps.push_back(s);
      channels = out;
    }
    residual = Variable(random("residual", shape, dtype), true);
  }
  Variable fused(bool with_residual) const { return conv_norm(x, steps, with_residual ? residual : Variable()); }
  Variable separate(bool with_residual) const {
    Variable y = x;
    for (const ConvNorm& s : steps) {
      BatchNormOptions mode = s.mode;
      mode.activation = Activation::none;
      const NormParameters& n = s.norm;
      y = batch_norm(conv2d(y, s.weight, {}, s.conv), n.running_mean, n.running_var, n.weight, n.bias, mode);
      if (with_residual && &s == &steps.back()) y = y + residual;
      y = activate(y, s.mode.activation, s.mode.slope);
    }
    return y;
  }
  std::vector<Tensor> gradients() const {
    std::vector<Tensor> g{x.grad(), residual.grad()};
    for (const ConvNorm& s : steps) g.insert(g.end(), {s.weight.grad(), s.norm.weight.grad(), s.norm.bias.grad()});
    return g;
  }
};

using Row = std::tuple<Activation, Dtype, bool, int>;  // with a residual; number of steps
class ConvNormTest : public testing::TestWithParam<Row> {};
INSTANTIATE_TEST_SUITE_P(Activations, ConvNormTest,
                         testing::Combine(testing::ValuesIn(kActivations), testing::Values(Dtype::f32, Dtype::f64),
                                          testing::Bool(), testing::Values(1, 2, 3)));

TEST_P(ConvNormTest, EqualsTheSeparateOps) {
  const auto& [activation, dtype, with_residual, count] = GetParam();
  const double eps = 30 * reference::tolerance(dtype);
  for (bool training : {false, true})
    for (bool depthwise : {false, true}) {
      SCOPED_TRACE(testing::Message() << (training ? "training " : "") << (depthwise ? "depthwise" : ""));
      const Block a(dtype, count, activation, training, depthwise), b(dtype, count, activation, training, depthwise);
      const Variable expected = a.separate(with_residual), y = b.fused(with_residual);
      const Array values(expected.value());
      expect_close(y.value(), values, eps, "recorded");

      const Tensor gy = random("gy", y.shape(), dtype);
      expected.backward(gy);
      y.backward(gy);
      const auto ga = a.gradients(), gb = b.gradients();
      for (size_t i = 0; i < ga.size(); ++i) {
        ASSERT_EQ(ga[i].defined(), gb[i].defined()) << i;
        if (ga[i].defined())
          expect_close(gb[i], ga[i].shape(), ga[i].to_vector<double>(), eps, "gradient " + std::to_string(i));
      }
      for (int i = 0; i < count; ++i) {
        const NormParameters &na = a.steps[i].norm, &nb = b.steps[i].norm;
        expect_close(nb.running_mean, na.running_mean.shape(), na.running_mean.to_vector<double>(), eps, "mean");
        expect_close(nb.running_var, na.running_var.shape(), na.running_var.to_vector<double>(), eps, "var");
      }

      NoGrad no_grad;
      const Block fresh(dtype, count, activation, training, depthwise);
      const auto before = fresh.residual.value().to_vector<double>();
      expect_close(fresh.fused(with_residual).value(), values, eps, "without gradients");
      EXPECT_EQ(fresh.residual.value().to_vector<double>(), before);
    }
}

TEST(ConvNorm, LargeImagesPassInBandsOfRows) {
  NoGrad no_grad;
  for (const Dtype dtype : {Dtype::f32, Dtype::f64})
    for (bool depthwise : {false, true})
      for (int64_t padding : {0, 1, 2, 3}) {  // 3: rows that read nothing but padding
        SCOPED_TRACE(testing::Message() << dtype << (depthwise ? " depthwise, " : ", ") << padding);
        Block a(dtype, 3, Activation::relu6, false, depthwise, {2, 12, 201, 190});
        a.steps[1].conv.padding = padding, a.steps[2].conv.padding = Padding(0, 1, 2, 1);
        Dims shape = a.x.shape();
        for (const ConvNorm& s : a.steps) shape = ops::conv2d_shape(shape, s.weight.shape(), s.conv);
        a.residual = Variable(random("residual", shape, dtype));
        const Variable expected = a.separate(true);
        expect_close(a.fused(true).value(), Array(expected.value()), 30 * reference::tolerance(dtype), "bands");
      }
}

TEST(ConvNorm, ComputesNoGradientThatNobodyWants) {
  const Block a(Dtype::f64, 3, Activation::relu, true, false);
  Block b(Dtype::f64, 3, Activation::relu, true, false);
  b.x = Variable(b.x.value());
  for (int i : {0, 1}) {
    ConvNorm& s = b.steps[i];
    s.weight = Variable(s.weight.value());
    s.norm.weight = Variable(s.norm.weight.value()), s.norm.bias = Variable(s.norm.bias.value());
  }
  const Tensor gy = random("gy", a.residual.shape(), Dtype::f64);
  a.fused(true).backward(gy);
  b.fused(true).backward(gy);
  EXPECT_FALSE(b.x.grad().defined() || b.steps[1].weight.grad().defined() || b.steps[0].norm.bias.grad().defined());
  expect_close(b.steps[2].weight.grad(), a.steps[2].weight.shape(), a.steps[2].weight.grad().to_vector<double>(), 1e-12,
               "weight");
  expect_close(b.residual.grad(), gy.shape(), a.residual.grad().to_vector<double>(), 1e-12, "residual");
}

TEST(ConvNorm, ResidualMayBeTheInputItself) {
  Block a(Dtype::f64, 1, Activation::relu, true, false), b(Dtype::f64, 1, Activation::relu, true, false);
  for (Block* block : {&a, &b}) {
    block->x = Variable(random("x16", {2, 12, 7, 6}, Dtype::f64), true);
    block->steps[0].weight = Variable(random("w16", {12, 12, 3, 3}, Dtype::f64), true);
    block->steps[0].norm = {};
    block->residual = block->x;
  }
  const Tensor gy = random("gy", a.x.shape(), Dtype::f64);
  a.separate(true).backward(gy);
  b.fused(true).backward(gy);
  expect_close(b.x.grad(), a.x.shape(), a.x.grad().to_vector<double>(), 1e-10, "x");
}

TEST(ConvNorm, RecomputedInACheckpointToTheSameBits) {
  const Block a(Dtype::f32, 3, Activation::relu6, true, true), b(Dtype::f32, 3, Activation::relu6, true, true);
  const Tensor gy = random("gy", a.residual.shape(), Dtype::f32);
  a.fused(false).backward(gy);
  checkpoint([&b](const std::vector<Variable>& in) { return conv_norm(in[0], b.steps); }, {b.x}).backward(gy);
  const auto ga = a.gradients(), gb = b.gradients();
  for (size_t i = 0; i < ga.size(); ++i) {
    if (!ga[i].defined()) continue;
    EXPECT_EQ(ga[i].to_vector<float>(), gb[i].to_vector<float>()) << i;
  }
  EXPECT_EQ(a.steps[1].norm.running_var.to_vector<float>(), b.steps[1].norm.running_var.to_vector<float>());
}

TEST(ConvNorm, FollowsChangedWeightsAndStatistics) {
  const Block block(Dtype::f32, 2, Activation::relu, false, false);
  NoGrad no_grad;
  block.fused(false);
  const ConvNorm& s = block.steps[0];
  s.weight.value().copy_from(random("other", s.weight.shape(), Dtype::f32));
  s.norm.running_mean.fill(0.25);
  s.norm.bias.value().fill(0.5);
  expect_close(block.fused(false).value(), Array(block.separate(false).value()), 1e-4, "y");
}

TEST(ConvNorm, ManyImagesAtOnceAreThoseOfOneAtATime) {  // to the same bits, though they do not pass together
  const Block block(Dtype::f32, 3, Activation::relu, false, true);
  NoGrad no_grad;
  const Tensor x = random("images", {41, 12, 60, 60}, Dtype::f32);
  const Tensor residual = random("residuals", {41, 16, 30, 30}, Dtype::f32);
  const Variable all = conv_norm(x, block.steps, residual);
  for (int64_t i : {0, 20, 21, 40}) {
    const Variable one = conv_norm(x.narrow(0, i, 1), block.steps, residual.narrow(0, i, 1));
    EXPECT_EQ(all.value().narrow(0, i, 1).to_vector<float>(), one.value().to_vector<float>()) << i;
  }
}

TEST(ConvNorm, WithoutAffineOrRunningStatistics) {
  Block b(Dtype::f64, 2, Activation::relu, false, false);
  NoGrad no_grad;
  for (ConvNorm& s : b.steps) s.norm.weight = {}, s.norm.bias = {};
  expect_close(b.fused(false).value(), Array(b.separate(false).value()), 1e-11, "no affine");
  for (ConvNorm& s : b.steps) s.norm = {};
  expect_close(b.fused(false).value(), Array(b.separate(false).value()), 1e-11, "no statistics");
}

TEST(ConvNorm, TheFirstWeightMayChangeWhereTheInputWantsNoGradient) {
  const Tensor gy = random("gy", {2, 16, 7, 6}, Dtype::f64);
  const auto gradient = [&](bool changed) {
    Block b(Dtype::f64, 1, Activation::relu, true, false);
    b.x = Variable(b.x.value());
    const Variable y = b.fused(false);
    if (changed) b.steps[0].weight.value().fill(0);
    y.backward(gy);
    return b.steps[0].weight.grad().to_vector<double>();
  };
  EXPECT_EQ(gradient(false), gradient(true));
}

TEST(ConvNormErrors, ANormsWeightChangedInPlaceIsNoticed) {
  const Block b(Dtype::f32, 2, Activation::relu, true, false);
  const Variable y = b.fused(true);
  b.steps[0].norm.weight.value().fill(2);
  EXPECT_EQ(error_of([&] { y.backward(random("gy", y.shape(), Dtype::f32)); }),
            "backward: batch_norm: its weight [16] was changed in place after the forward pass (1 writes)");
}

TEST(ConvNormErrors, SayTheRuleAndWhatCame) {
  Block b(Dtype::f32, 1, Activation::none, false, false);
  EXPECT_EQ(error_of([&] { conv_norm(b.x, {}); }), "conv_norm: no steps");
  const Variable wide(zeros({2, 16, 6, 7}));
  EXPECT_EQ(error_of([&] { conv_norm(b.x, b.steps, wide); }),
            "conv_norm: residual must have shape [2,16,7,6], it has [2,16,6,7]");
  b.steps[0].norm.running_mean = zeros({15});
  EXPECT_EQ(error_of([&] { conv_norm(b.x, b.steps); }),
            "conv_norm: running_mean must have shape [16] and be float32, it has [15] and is float32");
}

}  // namespace
