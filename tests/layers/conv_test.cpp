// Convolution against the plain loops: values, gradients, layouts, fusions, slots in wider tensors, packed weights.
#include "autograd/conv.h"

#include "autograd/elementwise.h"
#include "autograd/reduce.h"
#include "tensor/backend.h"
#include "tests/activation.h"
#include "tests/layers/reference.h"

using namespace ar;
using reference::Array;
using reference::expect_close;
using reference::random;
using reference::tolerance;

namespace {

struct Case {
  const char* name;
  Dims x, weight;
  Conv2dOptions options = {};
};

const Case kCases[] = {
    {"pointwise", {2, 5, 4, 3}, {7, 5, 1, 1}},
    {"pointwise_wide", {2, 64, 7, 7}, {48, 64, 1, 1}},
    {"pointwise_stride_2", {2, 8, 5, 6}, {9, 8, 1, 1}, {.stride = 2}},
    {"three", {2, 16, 9, 10}, {32, 16, 3, 3}, {.padding = 1}},
    {"three_odd_channels", {1, 3, 6, 5}, {5, 3, 3, 3}, {.padding = 1}},
    {"three_stride_2", {2, 6, 9, 8}, {10, 6, 3, 3}, {.stride = 2, .padding = 1}},
    {"three_valid", {1, 4, 5, 5}, {3, 4, 3, 3}},
    {"stem", {1, 3, 17, 19}, {16, 3, 7, 7}, {.stride = 2, .padding = 3}},
    {"asymmetric_padding", {1, 4, 5, 6}, {6, 4, 3, 2}, {.padding = {1, 0, 2, 1}}},
    {"unequal_everything", {2, 3, 11, 9}, {4, 3, 2, 3}, {.stride = {3, 2}, .padding = {1, 2}, .dilation = {2, 1}}},
    {"dilation", {1, 4, 9, 9}, {5, 4, 3, 3}, {.padding = 2, .dilation = 2}},
    {"groups", {2, 6, 5, 5}, {9, 2, 3, 3}, {.padding = 1, .groups = 3}},
    {"depthwise", {2, 19, 6, 7}, {19, 1, 3, 3}, {.padding = 1, .groups = 19}},
    {"depthwise_stride_2", {1, 32, 7, 7}, {32, 1, 3, 3}, {.stride = 2, .padding = 1, .groups = 32}},
    {"depthwise_multiplier", {1, 4, 5, 5}, {8, 1, 3, 3}, {.padding = 1, .groups = 4}},
    {"one_channel", {2, 1, 6, 6}, {4, 1, 3, 3}, {.padding = 1}},
    {"one_output", {2, 5, 6, 6}, {1, 5, 3, 3}, {.padding = 1}},
    {"one_pixel", {3, 4, 1, 1}, {6, 4, 1, 1}},
    {"one_pixel_padded", {3, 4, 1, 1}, {6, 4, 3, 3}, {.padding = 1}},
    {"whole_image", {2, 8, 4, 5}, {6, 8, 4, 5}},
    {"wide_row", {1, 2, 3, 61}, {3, 2, 3, 3}, {.padding = 1}},
    {"stride_beyond_kernel", {1, 3, 8, 8}, {4, 3, 2, 2}, {.stride = 3}},
    {"no_images", {0, 3, 5, 5}, {4, 3, 3, 3}, {.padding = 1}},
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

class Conv : public testing::TestWithParam<std::tuple<Case, Dtype>> {};

TEST_P(Conv, ValuesAndGradientsInAllLayouts) {
  const auto& [c, dtype] = GetParam();
  for (Layout x_layout : {Layout::channels_last, Layout::channels_first})
    for (Layout w_layout : {Layout::channels_first, Layout::channels_last}) {
      const Variable x(random("x", c.x, dtype, x_layout), true);
      const Variable w(random("w", c.weight, dtype, w_layout), true);
      const Variable b(random("b", {c.weight[0]}, dtype), true);
      const Array xr(x.value()), wr(w.value());
      const Array expected = reference::conv2d(xr, wr, b.value().to_vector<double>(), c.options);

      const Variable y = conv2d(x, w, b, c.options);
      const double eps = tolerance(dtype);
      expect_close(y.value(), expected, eps, "y");
      EXPECT_TRUE(y.value().is_dense(Layout::channels_last));

      const Tensor gy = random("gy", y.shape(), dtype, x_layout);
      y.backward(gy);
      Array gx(c.x), gw(c.weight);
      reference::conv2d_backward(xr, wr, Array(gy), c.options, gx, gw);
      expect_close(x.grad(), gx, eps, "gx");
      expect_close(w.grad(), gw, eps, "gw");
      expect_close(b.grad(), {c.weight[0]}, reference::channel_sums(Array(gy)), eps, "gb");
      EXPECT_EQ(w.grad().strides(), w.value().strides());
    }
}

TEST_P(Conv, NoGradGivesTheSame) {
  const auto& [c, dtype] = GetParam();
  const Variable x(random("x", c.x, dtype)), w(random("w", c.weight, dtype), true);
  const Variable recorded = conv2d(x, w, {}, c.options);
  NoGrad no_grad;
  EXPECT_EQ(conv2d(x, w, {}, c.options).value().to_vector<double>(), recorded.value().to_vector<double>());
}

INSTANTIATE_TEST_SUITE_P(Cases, Conv,
                         testing::Combine(testing::ValuesIn(kCases), testing::Values(Dtype::f32, Dtype::f64)),
                         [](const auto& info) {
                           return std::string(std::get<0>(info.param).name) + "_" + name_of(std::get<1>(info.param));
                         });

class ConvFusion : public testing::TestWithParam<Dtype> {
 protected:
  Dtype dtype = GetParam();
  double eps = tolerance(dtype);
  Conv2dOptions options{.padding = 1};
  Tensor x = random("x", {2, 20, 6, 7}, dtype), w = random("w", {24, 20, 3, 3}, dtype);
  std::vector<double> values(const Tensor& t) { return t.to_vector<double>(); }
};
INSTANTIATE_TEST_SUITE_P(Dtypes, ConvFusion, testing::Values(Dtype::f32, Dtype::f64),
                         [](const auto& info) { return name_of(info.param); });

/// activation(x * scale + shift)
Array normed(const Array& x, const Tensor& scale, const Tensor& shift, Activation activation) {
  const auto s = scale.to_vector<double>(), h = shift.to_vector<double>();
  return reference::map_channels(x, [&](int64_t c, double v) { return activated(activation, v * s[c] + h[c], 0.1); });
}

TEST_P(ConvFusion, ReaderNormsBeforeThePadding) {
  const Tensor scale = random("scale", {20}, dtype), shift = random("shift", {20}, dtype);
  for (Activation activation : kActivations)
    for (int64_t k : {1, 3}) {
      const Tensor wk = k == 3 ? w : random("w1", {24, 20, 1, 1}, dtype);
      const Conv2dOptions o{.padding = k / 2};
      const Array expected = reference::conv2d(normed(Array(x), scale, shift, activation), Array(wk), {}, o);
      expect_close(ops::conv2d(x, wk, o, {scale, shift, activation, 0.1}), expected, eps, "y");

      const Tensor gy = random("gy", expected.shape, dtype);
      Array gx(x.shape()), gw(wk.shape());
      reference::conv2d_backward(normed(Array(x), scale, shift, activation), Array(wk), Array(gy), o, gx, gw);
      expect_close(ops::conv2d_backward_weight(x, gy, wk, o, {scale, shift, activation, 0.1}), gw, eps, "gw");
    }
}

TEST_P(ConvFusion, EpilogueScalesAddsActivatesAndSums) {
  const Tensor scale = random("scale", {24}, dtype), shift = random("shift", {24}, dtype);
  const Tensor before = random("before", {2, 24, 6, 7}, dtype);
  for (Activation activation : kActivations) {
    Array expected = normed(reference::conv2d(Array(x), Array(w), {}, options), scale, shift, Activation::none);
    for (size_t i = 0; i < expected.v.size(); ++i) {
      double& v = expected.v[i];
      v = activated(activation, v + Array(before).v[i], 0.1);
    }
    const Tensor out = before.clone();
    const Tensor sums = full({24}, 1, {.dtype = Dtype::f64}), sums_sq = full({24}, 2, {.dtype = Dtype::f64});
    const ops::Epilogue epilogue{scale, shift, out, activation, 0.1, sums, sums_sq};
    const Tensor y = ops::conv2d(x, w, options, {}, epilogue, out);
    EXPECT_TRUE(y.shares_memory_with(out));
    expect_close(y, expected, eps, "y");
    const auto sum = values(sums), sum_sq = values(sums_sq);
    std::vector<double> wanted = reference::channel_sums(expected);
    Array squares = expected;
    for (double& v : squares.v) v *= v;
    std::vector<double> wanted_sq = reference::channel_sums(squares);
    for (int c = 0; c < 24; ++c) {
      EXPECT_NEAR(sum[c], wanted[c] + 1, 100 * eps);
      EXPECT_NEAR(sum_sq[c], wanted_sq[c] + 2, 100 * eps * (1 + wanted_sq[c]));
    }
  }
}

TEST_P(ConvFusion, WritesIntoAChannelRangeOfAWiderTensor) {
  const Tensor wide = full({2, 40, 6, 7}, 77, {.dtype = dtype});
  const Tensor slot = wide.narrow(1, 9, 24);
  ops::conv2d(x, w, options, {}, {}, slot);
  expect_close(slot, reference::conv2d(Array(x), Array(w), {}, options), eps, "slot");
  for (double v : values(wide.narrow(1, 0, 9))) EXPECT_EQ(v, 77);
  for (double v : values(wide.narrow(1, 33, 7))) EXPECT_EQ(v, 77);

  // And reads from one, in both directions.
  const Tensor gy = random("gy", slot.shape(), dtype);
  const Tensor wide_gx = full({2, 33, 6, 7}, 77, {.dtype = dtype}), wide_x = full({2, 33, 6, 7}, 55, {.dtype = dtype});
  wide_x.narrow(1, 5, 20).copy_from(x);
  slot.copy_from(gy);
  Array gx(x.shape()), gw(w.shape());
  reference::conv2d_backward(Array(x), Array(w), Array(gy), options, gx, gw);
  ops::conv2d_backward_data(slot, w, x.shape(), options, {}, wide_gx.narrow(1, 5, 20));
  expect_close(wide_gx.narrow(1, 5, 20), gx, eps, "gx");
  for (double v : values(wide_gx.narrow(1, 0, 5))) EXPECT_EQ(v, 77);
  for (double v : values(wide_gx.narrow(1, 25, 8))) EXPECT_EQ(v, 77);
  expect_close(ops::conv2d_backward_weight(wide_x.narrow(1, 5, 20), slot, w, options), gw, eps, "gw");
}

TEST_P(ConvFusion, GradientsAccumulate) {
  const Tensor gy = random("gy", {2, 24, 6, 7}, dtype);
  Array gx(random("before", x.shape(), dtype)), gw(random("before", w.shape(), dtype));
  const Tensor out_x = random("before", x.shape(), dtype), out_w = random("before", w.shape(), dtype);
  reference::conv2d_backward(Array(x), Array(w), Array(gy), options, gx, gw);
  expect_close(ops::conv2d_backward_data(gy, w, x.shape(), options, {}, out_x, true), gx, eps, "gx");
  expect_close(ops::conv2d_backward_weight(x, gy, w, options, {}, out_w, true), gw, eps, "gw");
}

TEST_P(ConvFusion, GateIsTheGradientOfNormAndActivation) {
  const Tensor scale = random("scale", {20}, dtype), shift = random("shift", {20}, dtype);
  const Tensor gy = random("gy", {2, 24, 6, 7}, dtype), before = random("before", x.shape(), dtype);
  const auto s = values(scale), h = values(shift);
  for (Activation activation : kActivations) {
    Array g(x.shape()), gw(w.shape()), expected = Array(before);
    reference::conv2d_backward(Array(x), Array(w), Array(gy), options, g, gw);
    std::vector<double> sum_d(20), sum_dx(20);
    const Array xr(x);
    size_t i = 0;
    const Array d = reference::map_channels(g, [&](int64_t c, double v) {
      const double xv = xr.v[i], dv = v * activation_slope(activation, xv * s[c] + h[c], 0.1);
      expected.v[i++] += dv * s[c];
      sum_d[c] += dv;
      sum_dx[c] += dv * xv;
      return dv;
    });
    const Tensor d_sums = zeros({20}, {.dtype = Dtype::f64}), dx_sums = zeros({20}, {.dtype = Dtype::f64});
    const Tensor out = before.clone();
    ops::conv2d_backward_data(gy, w, x.shape(), options, {x, scale, shift, activation, 0.1, d_sums, dx_sums}, out,
                              true);
    expect_close(out, expected, eps, "gx");
    const auto got_d = values(d_sums), got_dx = values(dx_sums);
    for (int c = 0; c < 20; ++c) {
      EXPECT_NEAR(got_d[c], sum_d[c], 1000 * eps);
      EXPECT_NEAR(got_dx[c], sum_dx[c], 1000 * eps);
    }
  }
}

TEST_P(ConvFusion, PackedWeightsFollowTheWeights) {
  NoGrad no_grad;
  const Variable input(x), weight(w);
  const auto first = values(conv2d(input, weight, {}, options).value());
  EXPECT_EQ(values(conv2d(input, weight, {}, options).value()), first);
  w.copy_from(random("other", w.shape(), dtype));
  expect_close(conv2d(input, weight, {}, options).value(), reference::conv2d(Array(x), Array(w), {}, options), eps,
               "after a change in place");
  // Views of the same memory are other weights.
  for (int64_t start : {0, 8, 16}) {
    const Tensor part = w.narrow(0, start, 8);
    expect_close(conv2d(input, Variable(part), {}, options).value(),
                 reference::conv2d(Array(x), Array(part), {}, options), eps, "a view");
  }
}

TEST(ConvMemory, InferencePacksOnceAndTrainingKeepsNothing) {
  const Variable x(random("x", {1, 256, 4, 4}, Dtype::f32)), w(random("w", {256, 256, 3, 3}, Dtype::f32), true);
  conv2d(x, w, {}, {.padding = 1});
  const int64_t before = memory_stats().live;
  conv2d(x, w, {}, {.padding = 1});
  EXPECT_EQ(memory_stats().live, before);
  NoGrad no_grad;
  conv2d(x, w, {}, {.padding = 1});
  const int64_t packed = memory_stats().live;
  conv2d(x, w, {}, {.padding = 1});
  EXPECT_EQ(memory_stats().live, packed);
}

TEST(ConvMemory, WeightsOfTheCallersAreReadAnew) {
  NoGrad no_grad;
  std::vector<float> memory(40 * 30 * 9, 1);
  const Variable x(random("x", {1, 30, 6, 6}, Dtype::f32)), w(from_blob(memory.data(), {40, 30, 3, 3}));
  conv2d(x, w);
  std::fill(memory.begin(), memory.end(), 0.f);
  EXPECT_EQ(conv2d(x, w).value().to_vector<double>(), std::vector<double>(40 * 4 * 4, 0));
}

TEST(ConvLayout, ChannelsLastMakesNoCopiesAndOthersOne) {
  const Variable w(random("w", {8, 6, 3, 3}, Dtype::f32), true);
  const auto step = [&](Layout layout) {
    const Variable x(random("x", {2, 6, 5, 5}, Dtype::f32, layout), true);
    const int64_t before = layout_copies();
    conv2d(x, w, {}, {.padding = 1}).backward(random("gy", {2, 8, 5, 5}, Dtype::f32));
    return layout_copies() - before;
  };
  EXPECT_EQ(step(Layout::channels_last), 0);
  EXPECT_EQ(step(Layout::channels_first), 1);
}

TEST(ConvGraph, GradientsOfFrozenWeightsAreLeftOut) {
  const Variable x(random("x", {1, 3, 4, 4}, Dtype::f64), true), w(random("w", {2, 3, 3, 3}, Dtype::f64));
  sum(conv2d(x, w)).backward();
  EXPECT_TRUE(x.grad().defined());
  EXPECT_FALSE(w.grad().defined());
}

TEST(ConvGraph, AWeightChangedInPlaceIsNoticed) {
  const Variable x(random("x", {1, 3, 4, 4}, Dtype::f64), true), w(random("w", {2, 3, 3, 3}, Dtype::f64), true);
  const Variable y = sum(conv2d(x, w));
  w.value().fill(0);
  EXPECT_EQ(error_of([&] { y.backward(); }),
            "backward: conv2d: its weight [2,3,3,3] was changed in place after the forward pass (1 writes)");
}

TEST(ConvGraph, TheGradientOfTheWeightNeedsNotItsValues) {
  const Variable x(random("x", {1, 3, 4, 4}, Dtype::f64)), w(random("w", {2, 3, 3, 3}, Dtype::f64), true);
  const auto gradient = [&](bool changed) {
    w.zero_grad();
    const Variable y = sum(conv2d(x, w));
    if (changed) w.value().fill(0);
    y.backward();
    return w.grad().to_vector<double>();
  };
  EXPECT_EQ(gradient(false), gradient(true));
}

TEST(ConvGraph, BitIdenticalRepetition) {
  const auto run = [] {
    const Variable x(random("x", {3, 32, 14, 14}, Dtype::f32), true), w(random("w", {32, 32, 3, 3}, Dtype::f32), true);
    const Variable y = conv2d(x, w, {}, {.padding = 1});
    y.backward(random("gy", y.shape(), Dtype::f32));
    return std::tuple(y.value().to_vector<float>(), x.grad().to_vector<float>(), w.grad().to_vector<float>());
  };
  EXPECT_EQ(run(), run());
}

TEST(ConvErrors, SayTheRuleAndWhatCame) {
  const auto error = [](const Dims& x, const Dims& w, const Conv2dOptions& options = {}) {
    return error_of([&] { conv2d(Variable(zeros(x)), Variable(zeros(w)), {}, options); });
  };
  EXPECT_EQ(error({2, 5, 9, 7}, {4, 6, 3, 3}),
            "conv2d: weight expects 6 input channels, x has 5 (x [2,5,9,7], weight [4,6,3,3])");
  EXPECT_EQ(error({2, 6, 9, 7}, {4, 6, 3, 3}, {.groups = 2}),
            "conv2d: weight expects 12 input channels, x has 6 (x [2,6,9,7], weight [4,6,3,3])");
  EXPECT_EQ(error({5, 9, 7}, {4, 5, 3, 3}), "conv2d: x must have 4 dimensions (N,C,H,W), it has shape [5,9,7]");
  EXPECT_EQ(error({2, 5, 9, 7}, {4, 5}),
            "conv2d: weight must have 4 dimensions (O,C/groups,KH,KW), it has shape [4,5]");
  EXPECT_EQ(error({2, 5, 9, 7}, {4, 5, 3, 3}, {.stride = {0, 1}}), "conv2d: stride must be positive, it is 0 x 1");
  EXPECT_EQ(error({2, 5, 9, 7}, {4, 5, 3, 3}, {.dilation = 0}), "conv2d: dilation must be positive, it is 0 x 0");
  EXPECT_EQ(error({2, 5, 9, 7}, {4, 5, 3, 3}, {.padding = -1}),
            "conv2d: padding must not be negative, it is -1, -1, -1, -1 (top, left, bottom, right)");
  EXPECT_EQ(error({2, 6, 9, 7}, {4, 2, 3, 3}, {.groups = 3}),
            "conv2d: groups must divide 4 output channels, groups is 3 (weight [4,2,3,3])");
  EXPECT_EQ(error({2, 6, 9, 7}, {4, 2, 3, 3}, {.groups = 0}),
            "conv2d: groups must divide 4 output channels, groups is 0 (weight [4,2,3,3])");
  EXPECT_EQ(error({1, 5, 2, 9}, {4, 5, 3, 3}, {.padding = {0, 1}, .dilation = 2}),
            "conv2d: the kernel covers 5 x 5 pixels, more than the padded input's 2 x 11 (x [1,5,2,9], weight "
            "[4,5,3,3])");
  EXPECT_EQ(error({1, 5, 0, 9}, {4, 5, 1, 1}, {.padding = 1}), "conv2d: x has no pixels (x [1,5,0,9])");
  EXPECT_EQ(error({1, 5, 4, 9}, {0, 5, 1, 1}), "conv2d: weight [0,5,1,1] is empty");

  const Variable x(zeros({1, 2, 4, 4})), w(zeros({3, 2, 1, 1}));
  EXPECT_EQ(error_of([&] { conv2d(x, w, Variable(zeros({2}))); }), "conv2d: bias must have shape [3], it has [2]");
  EXPECT_EQ(error_of([&] {
              conv2d(x, Variable(zeros({3, 2, 1, 1}, {.dtype = Dtype::f64})));
            }),
            "conv2d: weight must be float32, it is float64");
  EXPECT_EQ(error_of([&] {
              conv2d(Variable(zeros({1, 2, 4, 4}, {.dtype = Dtype::i64})),
                     Variable(zeros({3, 2, 1, 1}, {.dtype = Dtype::i64})));
            }),
            std::string("conv2d: no ") + cpu_kernels().name + " kernel for int64");
  EXPECT_EQ(error_of([&] { ops::conv2d(x.value(), w.value(), {}, {}, {.residual = x.value()}); }),
            "conv2d: residual must have shape [1,3,4,4], it has [1,2,4,4]");
  EXPECT_EQ(error_of([&] {
              ops::conv2d(x.value(), w.value(), {}, {}, {}, zeros({1, 3, 4, 5}));
            }),
            "conv2d: out must have shape [1,3,4,4], it has [1,3,4,5]");
  EXPECT_EQ(error_of([&] {
              ops::conv2d(x.value(), w.value(), {}, {}, {}, zeros({1, 3, 4, 4}, {.layout = Layout::channels_first}));
            }),
            "conv2d: out must have channels side by side, its strides are [48,16,4,1]");
  EXPECT_EQ(error_of([&] {
              ops::conv2d_backward_data(zeros({1, 3, 4, 5}), w.value(), {1, 2, 4, 4});
            }),
            "conv2d_backward_data: gradient must have shape [1,3,4,4], it has [1,3,4,5]");
}

}  // namespace
