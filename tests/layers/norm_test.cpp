// Batch norm and local response norm against their equations.
#include "autograd/norm.h"

#include "autograd/checkpoint.h"
#include "autograd/reduce.h"
#include "tensor/backend.h"
#include "tensor/batch_norm_math.h"
#include "tensor/ops_norm.h"
#include "tests/layers/reference.h"

using namespace ar;
using reference::Array;
using reference::expect_close;
using reference::random;
using reference::tolerance;
using Vector = std::vector<double>;

namespace {

struct Moments {
  Vector mean, var;
  int64_t count;
};

Moments moments(const Array& x) {
  Moments m{reference::channel_sums(x), Vector(x.shape[1]), int64_t(x.v.size()) / x.shape[1]};
  for (double& v : m.mean) v /= double(m.count);
  reference::map_channels(x, [&](int64_t c, double v) {
    m.var[c] += (v - m.mean[c]) * (v - m.mean[c]) / double(m.count);
    return v;
  });
  return m;
}

struct Norm {
  Array y, gx;
  Vector gweight, gbias;
};

/// Batch norm with the given statistics and activation; `of_batch`: they are x's own, so gradients flow through them.
Norm norm(const Array& x, const Array& gy, const Moments& m, bool of_batch, const Vector& weight, const Vector& bias,
          double eps, Activation activation) {
  const size_t channels = weight.size();
  Norm r{x, gy, Vector(channels), Vector(channels)};
  const auto normed = [&](int64_t c, double v) { return (v - m.mean[c]) / std::sqrt(m.var[c] + eps); };
  r.y = reference::map_channels(x, [&](int64_t c, double v) {
    const double y = normed(c, v) * weight[c] + bias[c];
    if (activation == Activation::none) return y;
    if (activation == Activation::leaky_relu && y < 0) return 0.01 * y;
    return std::min(std::max(y, 0.0), activation == Activation::relu6 ? 6.0 : std::numeric_limits<double>::infinity());
  });
  size_t i = 0;
  const Array d = reference::map_channels(gy, [&](int64_t, double v) {
    const double y = r.y.v[i++];
    if (activation == Activation::leaky_relu) return y > 0 ? v : 0.01 * v;
    return activation == Activation::none || (y > 0 && (activation == Activation::relu || y < 6)) ? v : 0;
  });
  r.gbias = reference::channel_sums(d);
  i = 0;
  reference::map_channels(d, [&](int64_t c, double v) { return r.gweight[c] += v * normed(c, x.v[i++]); });
  i = 0;
  r.gx = reference::map_channels(d, [&](int64_t c, double v) {
    const double h = normed(c, x.v[i++]), through_statistics = (r.gbias[c] + h * r.gweight[c]) / double(m.count);
    return weight[c] / std::sqrt(m.var[c] + eps) * (v - (of_batch ? through_statistics : 0));
  });
  return r;
}

class BatchNorm : public testing::TestWithParam<std::tuple<Dims, Dtype, Activation>> {};
INSTANTIATE_TEST_SUITE_P(
    Shapes, BatchNorm,
    testing::Combine(testing::Values(Dims{6, 5}, Dims{3, 4, 7}, Dims{2, 5, 3, 4}, Dims{4, 37, 6, 5},
                                     Dims{2, 3, 2, 3, 4}, Dims{1, 3, 5, 1}, Dims{2, 1, 3, 3}),
                     testing::Values(Dtype::f32, Dtype::f64),
                     testing::Values(Activation::none, Activation::relu, Activation::relu6, Activation::leaky_relu)));

TEST_P(BatchNorm, TrainingAndEvaluation) {
  const auto& [shape, dtype, activation] = GetParam();
  const double eps = 10 * tolerance(dtype);
  for (Layout layout : {Layout::channels_last, Layout::channels_first})
    for (bool training : {true, false})
      for (bool affine : {true, false}) {
        const Dims c{shape[1]};
        const Variable x(random("x", shape, dtype, layout, 4, 1), true);
        const Variable weight(random("weight", c, dtype, layout, 0.5, 3), true);
        const Variable bias(random("bias", c, dtype, layout, 1, 1), true);
        const Tensor mean = random("mean", c, dtype), var = random("var", c, dtype, layout, 0.5, 1);
        Moments running{mean.to_vector<double>(), var.to_vector<double>(), x.numel() / shape[1]};
        const Moments batch = moments(Array(x.value()));
        const Tensor gy = random("gy", shape, dtype, layout);
        const Norm expected = norm(Array(x.value()), Array(gy), training ? batch : running, training,
                                   affine ? weight.value().to_vector<double>() : Vector(shape[1], 1),
                                   affine ? bias.value().to_vector<double>() : Vector(shape[1], 0), 1e-3, activation);

        const BatchNormOptions options{training, 0.3, 1e-3, activation};
        const Variable y =
            affine ? batch_norm(x, mean, var, weight, bias, options) : batch_norm(x, mean, var, {}, {}, options);
        expect_close(y.value(), expected.y, eps, "y");
        EXPECT_EQ(y.value().strides(), x.value().strides());
        y.backward(gy);
        expect_close(x.grad(), expected.gx, eps, "gx");
        if (affine) {
          expect_close(weight.grad(), c, expected.gweight, eps, "gweight");
          expect_close(bias.grad(), c, expected.gbias, eps, "gbias");
        }
        if (training)
          for (int i = 0; i < shape[1]; ++i) {
            running.mean[i] = 0.7 * running.mean[i] + 0.3 * batch.mean[i];
            running.var[i] = 0.7 * running.var[i] + 0.3 * batch.var[i] * batch.count / (batch.count - 1);
          }
        expect_close(mean, c, running.mean, eps, "running_mean");
        expect_close(var, c, running.var, eps, "running_var");
      }
}

TEST_P(BatchNorm, WithoutGradients) {
  const auto& [shape, dtype, activation] = GetParam();
  const Dims c{shape[1]};
  const Variable x(random("x", shape, dtype, Layout::channels_last, 4, 1));
  const Tensor mean = random("mean", c, dtype), var = full(c, 1.5, {.dtype = dtype});
  const Moments running{mean.to_vector<double>(), var.to_vector<double>(), 1};
  const Norm expected = norm(Array(x.value()), Array(x.value()), running, false, Vector(shape[1], 1),
                             Vector(shape[1], 0), 1e-5, activation);
  NoGrad no_grad;
  expect_close(batch_norm(x, mean, var, {}, {}, {.activation = activation}).value(), expected.y, 10 * tolerance(dtype),
               "y");
}

TEST(BatchNormStatistics, WithoutRunningOnesTheBatchServes) {
  const Variable x(random("x", {4, 3, 2, 2}, Dtype::f64));
  const Array expected = norm(Array(x.value()), Array(x.value()), moments(Array(x.value())), true, {1, 1, 1}, {0, 0, 0},
                              1e-5, Activation::none)
                             .y;
  expect_close(batch_norm(x, {}, {}, {}, {}, {.training = true}).value(), expected, 1e-12, "training");
  expect_close(batch_norm(x, {}, {}, {}, {}, {.training = false}).value(), expected, 1e-12, "evaluation");
}

// Values near 1000 with a spread of 0.1: in f32, E[x^2] - E[x]^2 alone holds no digit of the variance.
TEST(BatchNormStatistics, SurviveAMeanFarFromZero) {
  const Variable x(random("x", {8, 3, 9, 9}, Dtype::f32, Layout::channels_last, 0.1, 1000), true);
  const Variable weight(random("w", {3}, Dtype::f32, Layout::channels_last, 0.5, 1), true), bias(zeros({3}), true);
  const Tensor mean = zeros({3}), var = ones({3}), gy = random("gy", x.shape(), Dtype::f32);
  const Moments batch = moments(Array(x.value()));
  const Norm expected = norm(Array(x.value()), Array(gy), batch, true, weight.value().to_vector<double>(), {0, 0, 0},
                             1e-5, Activation::relu);
  const Variable y =
      batch_norm(x, mean, var, weight, bias, {.training = true, .momentum = 1, .activation = Activation::relu});
  expect_close(y.value(), expected.y, 1e-4, "y");
  y.backward(gy);
  expect_close(x.grad(), expected.gx, 1e-3, "gx");
  expect_close(weight.grad(), {3}, expected.gweight, 1e-3, "gweight");
  expect_close(mean, {3}, batch.mean, 1e-6, "running_mean");
  Vector unbiased = batch.var;
  for (double& v : unbiased) v *= double(batch.count) / double(batch.count - 1);
  expect_close(var, {3}, unbiased, 1e-4, "running_var");
}

TEST(BatchNormStatistics, MoveOnceUnderRecomputation) {
  const Variable x(random("x", {4, 3, 2, 2}, Dtype::f64), true);
  const auto run = [&](bool recompute) {
    const Tensor mean = zeros({3}, {.dtype = Dtype::f64}), var = ones({3}, {.dtype = Dtype::f64});
    const auto f = [&](const std::vector<Variable>& v) {
      return batch_norm(v[0], mean, var, {}, {}, {.training = true});
    };
    const Variable y = recompute ? checkpoint(f, {x}) : f({x});
    y.backward(random("gy", x.shape(), Dtype::f64));
    return std::pair(mean.to_vector<double>(), var.to_vector<double>());
  };
  EXPECT_EQ(run(true), run(false));
}

TEST(BatchNormStatistics, OfTheCallersMemoryAreReadAnew) {
  const NoGrad no_grad;
  const Tensor ones_ = ones({2});
  const Variable x(full({1, 2, 2, 2}, 3.0));
  for (int which : {0, 1, 2, 3}) {  // weight, bias, mean, variance
    std::vector<float> memory{1, 1};
    Tensor vectors[4] = {ones_, zeros({2}), zeros({2}), ones_};
    vectors[which] = from_blob(memory.data(), {2});
    const auto y = [&] {
      return batch_norm(x, vectors[2], vectors[3], Variable(vectors[0]), Variable(vectors[1]), {.training = false})
          .value()
          .at({0, 0, 0, 0});
    };
    const double first = y();
    memory = {4, 4};
    EXPECT_GT(std::abs(y() - first), 0.5) << which;
  }
}

TEST(BatchNormEdges, AnEmptyBatchPassesThrough) {
  const Variable x(zeros({0, 3, 2, 2}), true), weight(ones({3}), true), bias(zeros({3}), true);
  const Tensor mean = zeros({3}), var = ones({3});
  const Variable y = batch_norm(x, mean, var, weight, bias, {.training = true});
  EXPECT_EQ(y.shape(), x.shape());
  y.backward(zeros({0, 3, 2, 2}));
  EXPECT_EQ(weight.grad().to_vector<float>(), std::vector<float>(3, 0));
  EXPECT_EQ(var.to_vector<float>(), std::vector<float>(3, 1));
}

TEST(BatchNormEdges, NaNComesThrough) {
  const Tensor t = random("x", {2, 2, 2, 2}, Dtype::f32);
  t.narrow(1, 1, 1).fill(std::nan(""));
  const Tensor y = batch_norm(Variable(t), {}, {}, {}, {}, {.training = true, .activation = Activation::relu}).value();
  EXPECT_FALSE(std::isnan(y.at({0, 0, 0, 0})));
  EXPECT_TRUE(std::isnan(y.at({0, 1, 0, 0})));
}

TEST(BatchNormMemory, KeepsTheInputOnly) {
  const Variable x(random("x", {8, 32, 16, 16}, Dtype::f32), true);
  const int64_t image = x.numel() * 4, before = memory_stats().live;
  const Variable y = batch_norm(x, {}, {}, {}, {}, {.training = true, .activation = Activation::relu});
  EXPECT_LT(memory_stats().live - before, image + image / 8);  // y itself, and vectors
}

TEST(BatchNormErrors, SayTheRuleAndWhatCame) {
  const Tensor v3 = ones({3}), v2 = ones({2});
  const auto error = [](const Tensor& x, const Tensor& mean, const Tensor& var, const Tensor& weight = {},
                        const BatchNormOptions& options = {}) {
    return error_of(
        [&] { batch_norm(Variable(x), mean, var, weight.defined() ? Variable(weight) : Variable(), {}, options); });
  };
  EXPECT_EQ(error(zeros({3}), v3, v3),
            "batch_norm: x must be (N,C), (N,C,L), (N,C,H,W) or (N,C,T,H,W), it has shape [3]");
  EXPECT_EQ(error(zeros({4, 3, 2}), v2, v3), "batch_norm: running_mean must have shape [3], it has [2] (x [4,3,2])");
  EXPECT_EQ(error(zeros({4, 3, 2}), v3, v3, v2), "batch_norm: weight must have shape [3], it has [2] (x [4,3,2])");
  EXPECT_EQ(error(zeros({4, 3, 2}), v3, {}),
            "batch_norm: running_mean and running_var come together, running_var is missing");
  EXPECT_EQ(error(zeros({4, 3, 2}), v3, ones({3}, {.dtype = Dtype::f64})),
            "batch_norm: running_var must be float32, it is float64");
  EXPECT_EQ(error(zeros({4, 3}, {.dtype = Dtype::i64}), {}, {}), "batch_norm: x must be floating, it is int64");
  EXPECT_EQ(error(zeros({1, 3, 1, 1}), v3, v3, {}, {.training = true}),
            "batch_norm: training needs more than one value per channel, x is [1,3,1,1]");
  const Variable x(random("x", {4, 3}, Dtype::f32), true);
  const Variable y = sum(batch_norm(x, {}, {}, {}, {}, {.training = true}));
  x.value().fill(1);
  EXPECT_EQ(error_of([&] { y.backward(); }),
            "backward: batch_norm: its input [4,3] was changed in place after the forward pass (1 writes)");
}

TEST(BatchNormErrors, AWeightChangedInPlaceIsNoticed) {
  const Variable x(random("x", {4, 3}, Dtype::f32), true), weight(ones({3}), true), bias(zeros({3}), true);
  const Variable y = sum(batch_norm(x, {}, {}, weight, bias, {.training = true}));
  bias.value().fill(1);  // which no gradient needs
  weight.value().fill(2);
  EXPECT_EQ(error_of([&] { y.backward(); }),
            "backward: batch_norm: its weight [3] was changed in place after the forward pass (1 writes)");
}

TEST(NormReluPool2, PoolsTheNormedImage) {
  for (Dtype dtype : {Dtype::f32, Dtype::f64})
    for (const Dims& shape : {Dims{2, 19, 6, 8}, Dims{2, 4, 5, 7}, Dims{1, 3, 2, 2}}) {
      const Tensor x = random("x", shape, dtype), scale = random("s", {shape[1]}, dtype),
                   shift = random("h", {shape[1]}, dtype);
      const auto s = scale.to_vector<double>(), h = shift.to_vector<double>();
      const Array r =
          reference::map_channels(Array(x), [&](int64_t c, double v) { return std::max(v * s[c] + h[c], 0.0); });
      Array y({shape[0], shape[1], shape[2] / 2, shape[3] / 2}), gx(shape);
      const Tensor gy = random("gy", y.shape, dtype), before = random("before", shape, dtype);
      Vector sum_d(shape[1]), sum_dx(shape[1]);
      gx = Array(before);
      for (int n = 0; n < shape[0]; ++n)
        for (int c = 0; c < shape[1]; ++c)
          for (int i = 0; i < y.shape[2] * 2; ++i)
            for (int j = 0; j < y.shape[3] * 2; ++j) {
              y.at(n, c, i / 2, j / 2) += r.at(n, c, i, j) / 4;
              const double d = r.at(n, c, i, j) > 0 ? Array(gy).at(n, c, i / 2, j / 2) / 4 : 0;
              gx.at(n, c, i, j) += d * s[c];
              sum_d[c] += d;
              sum_dx[c] += d * Array(x).at(n, c, i, j);
            }
      expect_close(ops::norm_relu_pool2(x, scale, shift), y, tolerance(dtype), "y");
      const Tensor d_sums = zeros({shape[1]}, {.dtype = Dtype::f64}), dx_sums = zeros_like(d_sums);
      const Tensor out = before.clone();
      ops::norm_relu_pool2_backward(gy, {x, scale, shift, Activation::relu, 0, d_sums, dx_sums}, out, true);
      const Vector got_d = d_sums.to_vector<double>(), got_dx = dx_sums.to_vector<double>();
      expect_close(out, gx, tolerance(dtype), "gx");
      for (int c = 0; c < shape[1]; ++c) {
        EXPECT_NEAR(got_d[c], sum_d[c], 100 * tolerance(dtype));
        EXPECT_NEAR(got_dx[c], sum_dx[c], 100 * tolerance(dtype));
      }
    }
}

// The window around channel c is c - size/2 .. c + (size-1)/2.
class Lrn : public testing::TestWithParam<Dtype> {};
INSTANTIATE_TEST_SUITE_P(Dtypes, Lrn, testing::Values(Dtype::f32, Dtype::f64),
                         [](const auto& info) { return name_of(info.param); });

TEST_P(Lrn, ValuesAndGradients) {
  const Dtype dtype = GetParam();
  for (int64_t size : {1, 2, 4, 5, 9})
    for (double beta : {0.75, 0.5})
      for (Layout layout : {Layout::channels_last, Layout::channels_first}) {
        const LrnParams p{.size = size, .alpha = 0.3, .beta = beta, .k = 2};
        const Dims shape{2, 7, 3, 2};
        const Variable x(random("x", shape, dtype, layout, 3), true);
        const Tensor gy = random("gy", shape, dtype);
        const Array xr(x.value()), g(gy);
        Array y(shape), gx(shape);
        for (int n = 0; n < 2; ++n)
          for (int h = 0; h < 3; ++h)
            for (int w = 0; w < 2; ++w)
              for (int64_t c = 0; c < 7; ++c) {
                const int64_t from = std::max<int64_t>(c - size / 2, 0);
                const int64_t to = std::min<int64_t>(c + (size - 1) / 2, 6);
                double squares = 0;
                for (int64_t o = from; o <= to; ++o) squares += xr.at(n, o, h, w) * xr.at(n, o, h, w);
                const double d = p.k + p.alpha / double(size) * squares, v = xr.at(n, c, h, w);
                y.at(n, c, h, w) = v * std::pow(d, -beta);
                gx.at(n, c, h, w) += g.at(n, c, h, w) * std::pow(d, -beta);
                for (int64_t o = from; o <= to; ++o)
                  gx.at(n, o, h, w) -= g.at(n, c, h, w) * v * beta * std::pow(d, -beta - 1) * p.alpha / double(size) *
                                       2 * xr.at(n, o, h, w);
              }
        const Variable out = local_response_norm(x, p);
        expect_close(out.value(), y, tolerance(dtype), "y");
        out.backward(gy);
        expect_close(x.grad(), gx, tolerance(dtype), "gx");
      }
}

TEST(LrnErrors, SayTheRuleAndWhatCame) {
  EXPECT_EQ(error_of([] {
              local_response_norm(Variable(zeros({2, 3, 4})), {});
            }),
            "local_response_norm: x must have 4 dimensions (N,C,H,W), it has shape [2,3,4]");
  EXPECT_EQ(error_of([] {
              local_response_norm(Variable(zeros({2, 3, 4, 4})), {.size = 0});
            }),
            "local_response_norm: size must be at least 1, it is 0");
}

}  // namespace
