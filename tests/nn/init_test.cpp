// Initial values: the distributions' parameters, and orthogonality.
#include "nn/init.h"

#include "nn/attention.h"
#include "nn/layers.h"
#include "nn/lstm.h"
#include "tests/nn/nn_test.h"

namespace ar {
namespace {

namespace init = nn::init;

struct Moments {
  double mean = 0, std = 0, largest = 0;
};
Moments moments(const Tensor& t) {
  Moments m;
  for (double v : t.to_vector<double>()) m.mean += v, m.std += v * v, m.largest = std::max(m.largest, std::abs(v));
  m.mean /= double(t.numel());
  m.std = std::sqrt(m.std / double(t.numel()) - m.mean * m.mean);
  return m;
}

/// Mean and standard deviation within four of their own.
void expect_moments(const Tensor& t, double std) {
  const Moments m = moments(t);
  const double chance = 4 * std / std::sqrt(double(t.numel()));
  EXPECT_NEAR(m.mean, 0, chance);
  EXPECT_NEAR(m.std, std, chance);
}
void expect_uniform(const Tensor& t, double bound) {
  expect_moments(t, bound / std::sqrt(3.0));
  const double largest = moments(t).largest;
  EXPECT_LE(largest, bound);
  EXPECT_GT(largest, bound * (1 - 10.0 / double(t.numel())));
}
void expect_normal(const Tensor& t, double std) {
  expect_moments(t, std);
  EXPECT_GT(moments(t).largest, std * 3);
}

TEST(Init, FansAndGains) {
  const init::Fans f = init::fans({8, 4, 3, 5});
  EXPECT_EQ(f.in, 60);
  EXPECT_EQ(f.out, 120);
  EXPECT_ERROR(init::fans({8}), "init: fan in and out need at least 2 dimensions, the tensor is [8]");
  using enum init::Nonlinearity;
  EXPECT_EQ(init::gain(linear), 1);
  EXPECT_EQ(init::gain(sigmoid), 1);
  EXPECT_DOUBLE_EQ(init::gain(tanh), 5.0 / 3);
  EXPECT_DOUBLE_EQ(init::gain(relu), std::sqrt(2.0));
  EXPECT_DOUBLE_EQ(init::gain(leaky_relu, 0.2), std::sqrt(2 / 1.04));
  EXPECT_DOUBLE_EQ(init::gain(selu), 0.75);
}

TEST(Init, Distributions) {
  const Tensor t = empty({64, 16, 3, 3});
  Generator g(5);
  init::kaiming_uniform_(t, {}, g);
  expect_uniform(t, std::sqrt(2.0) * std::sqrt(3.0 / 144));
  init::kaiming_uniform_(t, {.a = std::sqrt(5.0)}, g);
  expect_uniform(t, 1 / std::sqrt(144.0));
  init::kaiming_normal_(t, {.mode = init::Fan::out, .nonlinearity = init::Nonlinearity::relu}, g);
  expect_normal(t, std::sqrt(2.0 / 576));
  init::xavier_uniform_(t, 2, g);
  expect_uniform(t, 2 * std::sqrt(6.0 / (144 + 576)));
  init::xavier_normal_(t, 1, g);
  expect_normal(t, std::sqrt(2.0 / (144 + 576)));
  init::constant_(t, 3);
  EXPECT_EQ(t.at({5, 4, 1, 2}), 3);
}

TEST(Init, TheSeedDecides) {
  const Tensor a = empty({4, 5}), b = empty({4, 5});
  Generator g(9), h(9);
  init::orthogonal_(a, 1, g), init::orthogonal_(b, 1, h);
  EXPECT_EQ(a.to_vector<float>(), b.to_vector<float>());
  init::orthogonal_(b, 1, h);
  EXPECT_NE(a.to_vector<float>(), b.to_vector<float>());
}

TEST(Init, Orthogonal) {
  for (const Dims& shape : {Dims{6, 4}, Dims{4, 6}, Dims{5, 5}, Dims{3, 2, 2, 2}, Dims{1, 1}}) {
    const Tensor t = empty(shape, {.dtype = Dtype::f64});
    init::orthogonal_(t, 3);
    const int64_t rows = shape[0], columns = t.numel() / rows, thin = std::min(rows, columns);
    const std::vector<double> v = t.to_vector<double>();
    const auto at = [&](int64_t i, int64_t j) {  // element j of vector i, of the shorter side
      return rows <= columns ? v[size_t(i * columns + j)] : v[size_t(j * columns + i)];
    };
    for (int64_t i = 0; i < thin; ++i)
      for (int64_t k = 0; k < thin; ++k) {
        double dot = 0;
        for (int64_t j = 0; j < std::max(rows, columns); ++j) dot += at(i, j) * at(k, j);
        EXPECT_NEAR(dot, i == k ? 9 : 0, 1e-12) << shape;
      }
  }
  init::orthogonal_(empty({0, 3}));
  EXPECT_ERROR(init::orthogonal_(empty({3})), "orthogonal_: at least 2 dimensions are needed, the tensor is [3]");
}

TEST(Init, LayersStartAsPyTorchs) {
  manual_seed(3);
  const nn::Linear linear({.in = 100, .out = 500});
  expect_uniform(linear.weight.value(), 0.1);
  expect_uniform(linear.bias.value(), 0.1);
  const nn::Conv2d conv({.in = 16, .out = 512, .kernel = 5, .groups = 4});
  expect_uniform(conv.weight.value(), 0.1);
  expect_uniform(conv.bias.value(), 0.1);
  const nn::LSTM lstm({.input_size = 10, .hidden_size = 100});
  for (const Variable& p : lstm.parameters()) expect_uniform(p.value(), 0.1);
  const nn::MultiheadAttention attention({.embed_dim = 100, .num_heads = 4});
  expect_uniform(attention.in_proj_weight.value(), std::sqrt(6.0 / 400));
  expect_uniform(attention.out_proj.weight.value(), 0.1);
  EXPECT_EQ(moments(attention.in_proj_bias.value()).largest, 0);
  EXPECT_EQ(moments(attention.out_proj.bias.value()).largest, 0);
}

}  // namespace
}  // namespace ar
