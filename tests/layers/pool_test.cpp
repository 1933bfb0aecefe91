// Pooling against the plain loops.
#include "autograd/pool.h"

#include "autograd/elementwise.h"
#include "autograd/reduce.h"
#include "tensor/backend.h"
#include "tests/layers/reference.h"

using namespace ar;
using reference::Array;
using reference::expect_close;
using reference::random;
using reference::tolerance;

namespace {

struct Case {
  const char* name;
  Dims x;
  Pool2dOptions options;
  int64_t oh, ow;  // as PyTorch's
};

const Case kCases[] = {
    {"two", {2, 19, 6, 8}, {.kernel = 2}, 3, 4},
    {"odd", {1, 3, 5, 7}, {.kernel = 2}, 2, 3},
    {"stem", {2, 16, 9, 11}, {.kernel = 3, .stride = 2, .padding = 1}, 5, 6},
    {"unequal", {1, 5, 7, 9}, {.kernel = {2, 3}, .stride = Pair(1, 2), .padding = {1, 0}}, 8, 4},
    {"ceil", {1, 4, 6, 7}, {.kernel = 3, .stride = 2, .ceil_mode = true}, 3, 3},
    {"ceil_padded", {1, 4, 5, 5}, {.kernel = 2, .stride = 2, .padding = 1, .ceil_mode = true}, 3, 3},
    {"ceil_partial", {1, 4, 4, 4}, {.kernel = 3, .stride = 3, .padding = 1, .ceil_mode = true}, 2, 2},
    {"ceil_small", {1, 2, 2, 2}, {.kernel = 3, .stride = 2, .ceil_mode = true}, 1, 1},
    {"without_padding_counted", {1, 6, 5, 5}, {.kernel = 3, .padding = 1, .count_include_pad = false}, 2, 2},
    {"overlapping", {1, 33, 6, 6}, {.kernel = 3, .stride = 1, .padding = 1}, 6, 6},
    {"whole", {3, 8, 4, 4}, {.kernel = 4}, 1, 1},
    {"one_pixel", {2, 3, 1, 1}, {.kernel = 1}, 1, 1},
    {"one_channel", {2, 1, 4, 4}, {.kernel = 2}, 2, 2},
    {"no_images", {0, 3, 4, 4}, {.kernel = 2}, 2, 2},
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name; }

/// Calls f(n, c, i, j, h, w) for each pixel that lies inside a window.
template <class F>
void for_windows(const Dims& x, const Dims& y, const Pool2dOptions& o, F f) {
  const Pair stride = o.stride.value_or(o.kernel);
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t c = 0; c < y[1]; ++c)
      for (int64_t i = 0; i < y[2]; ++i)
        for (int64_t j = 0; j < y[3]; ++j)
          for (int64_t p = 0; p < o.kernel.h; ++p)
            for (int64_t q = 0; q < o.kernel.w; ++q) {
              const int64_t h = i * stride.h + p * o.dilation.h - o.padding.h;
              const int64_t w = j * stride.w + q * o.dilation.w - o.padding.w;
              if (h >= 0 && h < x[2] && w >= 0 && w < x[3]) f(n, c, i, j, h, w);
            }
}

/// How many pixels the average of window (i,j) divides by. Windows that ceil_mode lets out of the padded input count
/// their part inside.
double divisor(const Dims& x, const Pool2dOptions& o, int64_t i, int64_t j) {
  const Pair stride = o.stride.value_or(o.kernel), pad = o.count_include_pad ? o.padding : Pair(0);
  const int64_t h = i * stride.h - o.padding.h, w = j * stride.w - o.padding.w;
  const int64_t rows = std::min(h + o.kernel.h, x[2] + pad.h) - std::max(h, -pad.h);
  const int64_t columns = std::min(w + o.kernel.w, x[3] + pad.w) - std::max(w, -pad.w);
  return double(rows * columns);
}

class Pool : public testing::TestWithParam<std::tuple<Case, Dtype, Layout>> {
 protected:
  void check(const Variable& y, const Variable& x, const Array& expected, const Tensor& gy, const Array& gx) {
    expect_close(y.value(), expected, tolerance(x.dtype()), "y");
    EXPECT_TRUE(y.value().is_dense(Layout::channels_last));
    y.backward(gy);
    expect_close(x.grad(), gx, tolerance(x.dtype()), "gx");
  }
};
INSTANTIATE_TEST_SUITE_P(Cases, Pool,
                         testing::Combine(testing::ValuesIn(kCases), testing::Values(Dtype::f32, Dtype::f64),
                                          testing::Values(Layout::channels_last, Layout::channels_first)),
                         [](const auto& info) {
                           const bool last = std::get<2>(info.param) == Layout::channels_last;
                           return std::string(std::get<0>(info.param).name) + "_" + name_of(std::get<1>(info.param)) +
                                  (last ? "_channels_last" : "_channels_first");
                         });

TEST_P(Pool, Max) {
  const auto& [c, dtype, layout] = GetParam();
  for (int64_t dilation : {1, 2}) {
    Pool2dOptions o = c.options;
    o.dilation = dilation;
    if (dilation == 2 && (c.x[2] < 2 * o.kernel.h || c.x[3] < 2 * o.kernel.w)) continue;
    const Variable x(random("x", c.x, dtype, layout), true);
    const Variable y = max_pool2d(x, o);
    if (dilation == 1) {
      EXPECT_EQ(y.shape(), (Dims{c.x[0], c.x[1], c.oh, c.ow}));
    }
    const Array xr(x.value());
    Array expected(y.shape(), -std::numeric_limits<double>::infinity()), gx(c.x);
    const Tensor gy = random("gy", y.shape(), dtype, layout);
    for_windows(c.x, y.shape(), o, [&](auto n, auto ch, auto i, auto j, auto h, auto w) {
      expected.at(n, ch, i, j) = std::max(expected.at(n, ch, i, j), xr.at(n, ch, h, w));
    });
    for_windows(c.x, y.shape(), o, [&](auto n, auto ch, auto i, auto j, auto h, auto w) {
      if (xr.at(n, ch, h, w) == expected.at(n, ch, i, j)) gx.at(n, ch, h, w) += Array(gy).at(n, ch, i, j);
    });
    check(y, x, expected, gy, gx);
  }
}

TEST_P(Pool, Average) {
  const auto& [c, dtype, layout] = GetParam();
  const Variable x(random("x", c.x, dtype, layout), true);
  const Variable y = avg_pool2d(x, c.options);
  EXPECT_EQ(y.shape(), (Dims{c.x[0], c.x[1], c.oh, c.ow}));
  const Array xr(x.value());
  Array expected(y.shape()), gx(c.x);
  const Tensor gy = random("gy", y.shape(), dtype, layout);
  const Array g(gy);
  for_windows(c.x, y.shape(), c.options, [&](auto n, auto ch, auto i, auto j, auto h, auto w) {
    const double share = 1 / divisor(c.x, c.options, i, j);
    expected.at(n, ch, i, j) += xr.at(n, ch, h, w) * share;
    gx.at(n, ch, h, w) += g.at(n, ch, i, j) * share;
  });
  check(y, x, expected, gy, gx);
}

TEST_P(Pool, AdaptiveAverage) {
  const auto& [c, dtype, layout] = GetParam();
  for (const Pair& size : {Pair(1), Pair(2, 3), Pair(7)}) {
    const Variable x(random("x", c.x, dtype, layout), true);
    const Variable y = adaptive_avg_pool2d(x, size);
    Array expected({c.x[0], c.x[1], size.h, size.w}), gx(c.x);
    const Tensor gy = random("gy", expected.shape, dtype, layout);
    const Array xr(x.value()), g(gy);
    for (int64_t n = 0; n < c.x[0]; ++n)
      for (int64_t ch = 0; ch < c.x[1]; ++ch)
        for (int64_t i = 0; i < size.h; ++i)
          for (int64_t j = 0; j < size.w; ++j) {
            const int64_t h0 = i * c.x[2] / size.h, h1 = ((i + 1) * c.x[2] + size.h - 1) / size.h;
            const int64_t w0 = j * c.x[3] / size.w, w1 = ((j + 1) * c.x[3] + size.w - 1) / size.w;
            const double share = 1 / double((h1 - h0) * (w1 - w0));
            for (int64_t h = h0; h < h1; ++h)
              for (int64_t w = w0; w < w1; ++w) {
                expected.at(n, ch, i, j) += xr.at(n, ch, h, w) * share;
                gx.at(n, ch, h, w) += g.at(n, ch, i, j) * share;
              }
          }
    check(y, x, expected, gy, gx);
  }
}

TEST(PoolSlots, WriteIntoAChannelRangeOfAWiderTensor) {
  for (Dtype dtype : {Dtype::f32, Dtype::f64}) {
    const Tensor x = random("x", {2, 20, 8, 8}, dtype);
    const auto check = [&](const Tensor& alone, auto into) {
      Dims shape = alone.shape();
      shape[1] = 33;
      const Tensor wide = full(shape, 77, {.dtype = dtype}), slot = wide.narrow(1, 7, 20);
      into(slot);
      EXPECT_EQ(slot.to_vector<double>(), alone.to_vector<double>());
      for (double v : wide.narrow(1, 0, 7).to_vector<double>()) EXPECT_EQ(v, 77);
      for (double v : wide.narrow(1, 27, 6).to_vector<double>()) EXPECT_EQ(v, 77);
    };
    const Pool2dOptions o{.kernel = 3, .stride = 2, .padding = 1};
    const ops::MaxPool2dResult alone = ops::max_pool2d(x, o);
    check(alone.y, [&](const Tensor& slot) {
      EXPECT_EQ(ops::max_pool2d(x, o, slot).indices.to_vector<int32_t>(), alone.indices.to_vector<int32_t>());
    });
    check(ops::avg_pool2d(x, o), [&](const Tensor& slot) { ops::avg_pool2d(x, o, slot); });
    check(ops::adaptive_avg_pool2d(x, 3), [&](const Tensor& slot) { ops::adaptive_avg_pool2d(x, 3, slot); });
  }
}

TEST(MaxPool, TakesTheFirstOfEqualsAndNaN) {
  const Variable x(zeros({1, 1, 2, 4}), true);
  sum(max_pool2d(x, {.kernel = 2})).backward();
  EXPECT_EQ(x.grad().to_vector<float>(), (std::vector<float>{1, 0, 1, 0, 0, 0, 0, 0}));
  const std::vector<float> values{1, std::nanf(""), 3, 4};
  EXPECT_TRUE(std::isnan(max_pool2d(Variable(from_vector(values, {1, 1, 2, 2})), {.kernel = 2}).item()));
}

TEST(MaxPool, WithoutGradientsItIsTheSame) {
  const Variable x(random("x", {2, 20, 9, 8}, Dtype::f32), true);
  const Pool2dOptions o{.kernel = 3, .stride = 2, .padding = 1};
  const Variable recorded = max_pool2d(x, o);
  NoGrad no_grad;
  EXPECT_EQ(max_pool2d(x, o).value().to_vector<float>(), recorded.value().to_vector<float>());
}

TEST(MaxPool, KeepsIndicesOnly) {
  Variable y;
  const int64_t before = memory_stats().live;
  {
    const Variable x(random("x", {4, 32, 32, 32}, Dtype::f32), true);
    y = max_pool2d(x * 1.0, {.kernel = 2});
  }
  const int64_t kept = 4 * 32 * 16 * 16 * (4 + 4), leaf = 4 * 32 * 32 * 32 * 4;
  EXPECT_LE(memory_stats().live - before, kept + leaf + 65536);
}

TEST(PoolErrors, SayTheRuleAndWhatCame) {
  const auto error = [](const Dims& x, const Pool2dOptions& o) {
    return error_of([&] { max_pool2d(Variable(zeros(x)), o); });
  };
  EXPECT_EQ(error({3, 4, 4}, {.kernel = 2}), "max_pool2d: x must have 4 dimensions (N,C,H,W), it has shape [3,4,4]");
  EXPECT_EQ(error({1, 3, 0, 4}, {.kernel = 2}), "max_pool2d: x has no pixels (x [1,3,0,4])");
  EXPECT_EQ(error({1, 3, 4, 4}, {.kernel = 0}), "max_pool2d: kernel must be positive, it is 0 x 0");
  EXPECT_EQ(error({1, 3, 4, 4}, {.kernel = 2, .stride = 0}), "max_pool2d: stride must be positive, it is 0 x 0");
  EXPECT_EQ(error({1, 3, 4, 4}, {.kernel = 2, .dilation = 0}), "max_pool2d: dilation must be positive, it is 0 x 0");
  EXPECT_EQ(error({1, 3, 4, 4}, {.kernel = 2, .padding = 2}),
            "max_pool2d: padding must lie between 0 and half of the window's 2 x 2 pixels, it is 2 x 2");
  EXPECT_EQ(error({1, 3, 2, 4}, {.kernel = 3, .stride = 1}),
            "max_pool2d: the window covers 3 x 3 pixels, more than the padded input's 2 x 4 (x [1,3,2,4])");
  EXPECT_EQ(error_of([] {
              avg_pool2d(Variable(zeros({1, 3, 4, 4})), {.kernel = 2, .dilation = 2});
            }),
            "avg_pool2d: dilation is for max pooling only, it is 2 x 2");
  EXPECT_EQ(error_of([] {
              adaptive_avg_pool2d(Variable(zeros({1, 3, 4, 4})), Pair(0, 1));
            }),
            "adaptive_avg_pool2d: output size must be positive, it is 0 x 1");
  EXPECT_EQ(error_of([] {
              ops::avg_pool2d(zeros({1, 3, 4, 4}), {.kernel = 2}, zeros({1, 3, 4, 4}));
            }),
            "avg_pool2d: out must have shape [1,3,2,2], it has [1,3,4,4]");
  EXPECT_EQ(error_of([] {
              max_pool2d(Variable(zeros({1, 3, 4, 4}, {.dtype = Dtype::i64})), {.kernel = 2});
            }),
            std::string("max_pool2d: no ") + cpu_kernels().name + " kernel for int64");
}

}  // namespace
