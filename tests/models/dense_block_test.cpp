// The fused ops of DenseNet against the same network of plain ops.
#include "autograd/dense_block.h"

#include <gtest/gtest.h>

#include "autograd/autograd.h"
#include "tensor/backend.h"
#include "tests/errors.h"

namespace ar {
namespace {

constexpr TensorOptions kF64{.dtype = Dtype::f64};

Variable parameter(const Dims& shape) { return Variable(randn(shape, kF64), true); }

NormParameters make_norm(int64_t channels) {
  const Tensor weight = rand({channels}, kF64), var = rand({channels}, kF64);
  uniform_(weight, 0.5, 1.5);
  uniform_(var, 0.5, 1.5);
  return {Variable(weight, true), parameter({channels}), randn({channels}, kF64), var};
}

NormParameters clone(const NormParameters& n) {
  return {Variable(n.weight.value().clone(), true), Variable(n.bias.value().clone(), true), n.running_mean.clone(),
          n.running_var.clone()};
}

DenseLayerParameters make_layer(int64_t in, int64_t middle, int64_t growth) {
  return {make_norm(in), parameter({middle, in, 1, 1}), make_norm(middle), parameter({growth, middle, 3, 3})};
}

DenseLayerParameters clone(const DenseLayerParameters& l) {
  return {clone(l.norm1), Variable(l.conv1.value().clone(), true), clone(l.norm2),
          Variable(l.conv2.value().clone(), true)};
}

Variable norm_relu(const Variable& x, const NormParameters& n, const BatchNormOptions& o) {
  return relu(batch_norm(x, n.running_mean, n.running_var, n.weight, n.bias, o));
}

Variable plain_block(Variable x, const std::vector<DenseLayerParameters>& layers, const BatchNormOptions& o) {
  for (const DenseLayerParameters& l : layers) {
    const Variable middle = conv2d(norm_relu(x, l.norm1, o), l.conv1);
    x = cat({x, conv2d(norm_relu(middle, l.norm2, o), l.conv2, {}, {.padding = 1})}, 1);
  }
  return x;
}

void expect_near(const Tensor& a, const Tensor& b, const char* what) {
  ASSERT_TRUE(a.defined() && b.defined()) << what;
  ASSERT_EQ(a.shape(), b.shape()) << what;
  const std::vector<double> x = a.to_vector<double>(), y = b.to_vector<double>();
  double most = 1e-3;
  for (double v : y) most = std::max(most, std::abs(v));
  for (size_t i = 0; i < x.size(); ++i) ASSERT_NEAR(x[i], y[i], 1e-10 * most) << what << " at " << i;
}

void expect_same_norm(const NormParameters& a, const NormParameters& b) {
  expect_near(a.running_mean, b.running_mean, "running_mean");
  expect_near(a.running_var, b.running_var, "running_var");
  expect_near(a.weight.grad(), b.weight.grad(), "norm weight gradient");
  expect_near(a.bias.grad(), b.bias.grad(), "norm bias gradient");
}

class DenseBlock : public testing::TestWithParam<bool> {
 protected:
  BatchNormOptions options() const { return {.training = GetParam()}; }
};
INSTANTIATE_TEST_SUITE_P(, DenseBlock, testing::Bool(),
                         [](const auto& i) { return i.param ? "training" : "evaluation"; });

TEST_P(DenseBlock, GivesTheSameAsPlainOps) {
  manual_seed(1);
  const std::vector<DenseLayerParameters> layers{make_layer(5, 12, 4), make_layer(9, 12, 4), make_layer(13, 12, 4)};
  std::vector<DenseLayerParameters> same;
  for (const auto& l : layers) same.push_back(clone(l));
  const Variable x(randn({3, 5, 7, 6}, kF64), true), x2(x.value().clone(), true);
  const Variable y = dense_block(x, layers, options()).features, y2 = plain_block(x2, same, options());
  expect_near(y.value(), y2.value(), "features");
  const Tensor g = randn(y.shape(), kF64);
  y.backward(g);
  y2.backward(g);
  expect_near(x.grad(), x2.grad(), "x gradient");
  for (size_t i = 0; i < layers.size(); ++i) {
    expect_same_norm(layers[i].norm1, same[i].norm1);
    expect_same_norm(layers[i].norm2, same[i].norm2);
    expect_near(layers[i].conv1.grad(), same[i].conv1.grad(), "conv1 gradient");
    expect_near(layers[i].conv2.grad(), same[i].conv2.grad(), "conv2 gradient");
  }
}

TEST_P(DenseBlock, TransitionGivesTheSameAsPlainOps) {
  manual_seed(2);
  for (const Dims& shape : {Dims{2, 6, 8, 8}, Dims{2, 6, 7, 5}}) {
    const NormParameters norm = make_norm(6), norm2 = clone(norm);
    const Variable conv = parameter({3, 6, 1, 1}), conv2(conv.value().clone(), true);
    const Variable x(randn(shape, kF64), true), x2(x.value().clone(), true);
    const Variable y = dense_transition(x, {}, norm, conv, options());
    const Variable y2 = avg_pool2d(conv2d(norm_relu(x2, norm2, options()), conv2), {.kernel = 2});
    expect_near(y.value(), y2.value(), "result");
    const Tensor g = randn(y.shape(), kF64);
    y.backward(g);
    y2.backward(g);
    expect_near(x.grad(), x2.grad(), "x gradient");
    expect_near(conv.grad(), conv2.grad(), "conv gradient");
    expect_same_norm(norm, norm2);
  }
}

TEST_P(DenseBlock, StemGivesTheSameAsPlainOps) {
  manual_seed(3);
  const Pool2dOptions pool{.kernel = 3, .stride = 2, .padding = 1};
  const NormParameters norm = make_norm(6), norm2 = clone(norm);
  const Variable x(randn({2, 6, 9, 8}, kF64), true), x2(x.value().clone(), true);
  const Variable y = norm_relu_max_pool2d(x, norm, options(), pool);
  const Variable y2 = max_pool2d(norm_relu(x2, norm2, options()), pool);
  expect_near(y.value(), y2.value(), "result");
  const Tensor g = randn(y.shape(), kF64);
  y.backward(g);
  y2.backward(g);
  expect_near(x.grad(), x2.grad(), "x gradient");
  expect_same_norm(norm, norm2);
}

TEST(DenseBlockStatistics, WithoutRunningOnesTheBatchServes) {
  manual_seed(6);
  std::vector<DenseLayerParameters> layers{make_layer(5, 12, 4), make_layer(9, 12, 4)};
  for (DenseLayerParameters& l : layers)
    for (NormParameters* n : {&l.norm1, &l.norm2}) n->running_mean = n->running_var = {};
  const Variable x(randn({3, 5, 7, 6}, kF64), true), x2(x.value().clone(), true), weight = layers[0].norm1.weight;
  const Variable y = dense_block(x, layers, {}).features, y2 = plain_block(x2, layers, {});
  expect_near(y.value(), y2.value(), "features");
  const Tensor g = randn(y.shape(), kF64);
  y.backward(g);
  const Tensor gw = weight.grad();
  weight.zero_grad();
  y2.backward(g);
  expect_near(x.grad(), x2.grad(), "x gradient");
  expect_near(gw, weight.grad(), "norm weight gradient");
  const NoGrad no_grad;
  expect_near(dense_block(x, layers, {}).features.value(), y2.value(), "features without gradients");
}

TEST(DenseBlockInference, FoldsTheNormsAndGivesTheSame) {
  manual_seed(4);
  const std::vector<DenseLayerParameters> layers{make_layer(5, 12, 4), make_layer(9, 12, 4)};
  const Variable x(randn({2, 5, 6, 6}, kF64));
  const Variable recorded = dense_block(x, layers, {}).features;
  const NoGrad no_grad;
  expect_near(dense_block(x, layers, {}).features.value(), recorded.value(), "features");
}

TEST(DenseBlockInference, WritesBehindTheGivenChannels) {
  manual_seed(5);
  const std::vector<DenseLayerParameters> layers{make_layer(5, 12, 4)};
  const Tensor buffer = empty({2, 9, 6, 6}, kF64), x = buffer.narrow(1, 0, 5);
  x.copy_from(randn({2, 5, 6, 6}, kF64));
  const Variable apart = dense_block(Variable(x.clone()), layers, {}).features;
  const Variable y = dense_block(Variable(x), layers, {}, buffer).features;
  EXPECT_TRUE(y.value().shares_memory_with(buffer));
  expect_near(y.value(), apart.value(), "features");
}

TEST(DenseBlockErrors, ANormsWeightChangedInPlaceIsNoticed) {
  const std::vector<DenseLayerParameters> layers{make_layer(5, 12, 4)};
  const NormParameters norm = make_norm(5);
  const Variable x(randn({2, 5, 6, 6}, kF64), true), conv = parameter({3, 5, 1, 1});
  const BatchNormOptions training{.training = true};
  const auto error = [](const Variable& y, const NormParameters& changed) {
    changed.weight.value().fill(2);
    return error_of([&] { sum(y).backward(); });
  };
  const std::string five =
      "backward: batch_norm: its weight [5] was changed in place after the forward pass (1 writes)";
  EXPECT_EQ(error(dense_block(x, layers, training).features, layers[0].norm1), five);
  EXPECT_EQ(error(dense_block(x, layers, training).features, layers[0].norm2),
            "backward: batch_norm: its weight [12] was changed in place after the forward pass (1 writes)");
  EXPECT_EQ(error(dense_transition(x, {}, norm, conv, training), norm), five);
  EXPECT_EQ(error(norm_relu_max_pool2d(x, norm, training, {.kernel = 2}), norm), five);
}

TEST(DenseBlockErrors, NameTheMisfit) {
  const std::vector<DenseLayerParameters> layers{make_layer(5, 12, 4)};
  EXPECT_EQ(error_of([&] {
              dense_block(Variable(zeros({2, 6, 4, 4}, kF64)), layers, {});
            }),
            "dense_block: a layer's conv1 [12,5,1,1] meets 6 channels");
  EXPECT_EQ(error_of([&] {
              dense_block(Variable(zeros({2, 6, 4}, kF64)), layers, {});
            }),
            "dense_block: x must be (N,C,H,W), it is [2,6,4]");
  EXPECT_EQ(error_of([&] {
              dense_block(Variable(zeros({2, 5, 4, 4}, kF64)), layers, {}, zeros({2, 8, 4, 4}, kF64));
            }),
            "dense_block: the buffer must be [2,9,4,4] float64 channels_last, it is [2,8,4,4] float64");
}

}  // namespace
}  // namespace ar
