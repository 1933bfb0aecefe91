#include "tests/kernels/kernel_test.h"

namespace ar::testing {
namespace {

const Lie kLies[] = {Lie::dense, Lie::channels_last, Lie::narrow, Lie::padded};

struct PoolCase {
  Dims x;  // (N,C,H,W)
  PoolParams p;
  bool ceil = false;
};
const PoolCase kCases[] = {
    {{2, 19, 7, 9}, {.kernel_h = 3, .kernel_w = 3, .stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1}},
    {{1, 70, 6, 5}, {.kernel_h = 2, .kernel_w = 3, .stride_h = 2, .stride_w = 1, .pad_h = 0, .pad_w = 1}},
    {{3, 3, 8, 8}, {.kernel_h = 3, .kernel_w = 3, .stride_h = 2, .stride_w = 2}, true},
    {{2, 5, 9, 8}, {.kernel_h = 2, .kernel_w = 2, .stride_h = 3, .stride_w = 3, .count_include_pad = false}},
    {{1, 300, 4, 4}, {.kernel_h = 4, .kernel_w = 4, .stride_h = 4, .stride_w = 4}},
    {{2, 4, 5, 5},
     {.kernel_h = 3, .kernel_w = 3, .stride_h = 2, .stride_w = 2, .pad_h = 1, .pad_w = 1, .count_include_pad = false},
     true},
};
int64_t outputs(int64_t size, int64_t kernel, int64_t stride, int64_t pad, int64_t dilation, bool ceil) {
  const int64_t span = size + 2 * pad - dilation * (kernel - 1) - 1;
  int64_t n = (span + (ceil ? stride - 1 : 0)) / stride + 1;
  if (ceil && (n - 1) * stride >= size + pad) --n;
  return n;
}
Dims pooled(const PoolCase& c) {
  return {c.x[0], c.x[1], outputs(c.x[2], c.p.kernel_h, c.p.stride_h, c.p.pad_h, c.p.dilation_h, c.ceil),
          outputs(c.x[3], c.p.kernel_w, c.p.stride_w, c.p.pad_w, c.p.dilation_w, c.ceil)};
}

/// f(plane, oh, ow, output index) for each output.
template <class F>
void each_output(const Dims& y, F f) {
  for (int64_t plane = 0, i = 0; plane < y[0] * y[1]; ++plane)
    for (int64_t h = 0; h < y[2]; ++h)
      for (int64_t w = 0; w < y[3]; ++w) f(plane, h, w, i++);
}

class Pool : public KernelTest {};

TEST_P(Pool, Max) {
  for (PoolCase c : kCases)
    for (int64_t dilation : {1, 2})
      for (Dtype t : activation_types(k()))
        for (Lie lie : kLies) {
          c.p.dilation_h = dilation;
          if (c.x[2] < 5 && dilation > 1) continue;
          const Dims shape = pooled(c);
          SCOPED_TRACE(::testing::Message() << c.x << " to " << shape << " " << t << " " << int(lie));
          Array x(c.x, t, lie);
          x.randomise(1).assign([&](int64_t i) { return i == 40 ? std::nan("") : std::round(x.get(i) * 4); });  // ties
          std::vector<double> want, where;
          each_output(shape, [&](int64_t plane, int64_t oh, int64_t ow, int64_t) {
            double best = -std::numeric_limits<double>::infinity();
            int64_t at = -1;
            for (int64_t i = 0; i < c.p.kernel_h; ++i)
              for (int64_t j = 0; j < c.p.kernel_w; ++j) {
                const int64_t h = oh * c.p.stride_h - c.p.pad_h + i * c.p.dilation_h;
                const int64_t w = ow * c.p.stride_w - c.p.pad_w + j * c.p.dilation_w;
                if (h < 0 || w < 0 || h >= c.x[2] || w >= c.x[3]) continue;
                const double v = x.get((plane * c.x[2] + h) * c.x[3] + w);
                if (at < 0 || v > best || std::isnan(v)) best = v, at = h * c.x[3] + w;
              }
            want.push_back(best);
            where.push_back(double(at));
          });
          Array indices(shape, Dtype::i32, lie);
          const auto got = run_checked([&] { return Array(shape, t, lie); },
                                       [&](Array& y) { k().max_pool2d[t](c.p, x, y, indices); });
          EXPECT_TRUE(near(got, want, t, 0));
          EXPECT_EQ(indices.values(), where);
          EXPECT_TRUE(indices.guards_intact());
          const auto alone = run_checked([&] { return Array(shape, t, lie); },
                                         [&](Array& y) { k().max_pool2d[t](c.p, x, y, View{}); });
          EXPECT_TRUE(near(alone, want, t, 0)) << "without indices";

          Array gy(shape, t, lie);
          gy.randomise(2);
          std::vector<double> gx(std::size_t(c.x.product()));
          each_output(shape, [&](int64_t plane, int64_t, int64_t, int64_t i) {
            gx[std::size_t(plane * c.x[2] * c.x[3]) + std::size_t(where[std::size_t(i)])] += gy.get(i);
          });
          const auto back = run_checked([&] { return Array(c.x, t, lie); },
                                        [&](Array& to) { k().max_pool2d_backward[t](c.p, gy, indices, to); });
          EXPECT_TRUE(near(back, gx, t, 4, 2));
        }
}

TEST_P(Pool, MaxOfMinusInfinity) {
  Array x({1, 2, 2, 2}, Dtype::f32), y({1, 2, 1, 1}, Dtype::f32), indices({1, 2, 1, 1}, Dtype::i32);
  x.assign([](int64_t) { return -std::numeric_limits<double>::infinity(); });
  k().max_pool2d.f32({.kernel_h = 2, .kernel_w = 2}, x, y, indices);
  EXPECT_EQ(y.values(), std::vector<double>(2, -std::numeric_limits<double>::infinity()));
  EXPECT_EQ(indices.values(), (std::vector<double>{0, 0}));
}

/// weights[o] lists (input pixel of the plane, weight) of output o: forward and gradient follow.
template <class Forward, class Backward>
void check_linear(const std::vector<Dtype>& types, const Dims& x_shape, const Dims& y_shape,
                  const std::function<std::vector<std::pair<int64_t, double>>(int64_t, int64_t)>& weights,
                  Forward forward, Backward backward) {
  for (Dtype t : types)
    for (Lie lie : kLies) {
      SCOPED_TRACE(::testing::Message() << x_shape << " to " << y_shape << " " << t << " " << int(lie));
      Array x(x_shape, t, lie), gy(y_shape, t, lie);
      x.randomise(1);
      gy.randomise(2);
      std::vector<double> y, gx(std::size_t(x.numel()));
      each_output(y_shape, [&](int64_t plane, int64_t h, int64_t w, int64_t o) {
        y.push_back(0);
        for (auto [pixel, weight] : weights(h, w)) {
          const int64_t i = plane * x_shape[2] * x_shape[3] + pixel;
          y.back() += weight * x.get(i);
          gx[std::size_t(i)] += weight * gy.get(o);
        }
      });
      EXPECT_TRUE(
          near(run_checked([&] { return Array(y_shape, t, lie); }, [&](Array& to) { forward(t, x.view(), to.view()); }),
               y, t, 4, 2));
      EXPECT_TRUE(near(
          run_checked([&] { return Array(x_shape, t, lie); }, [&](Array& to) { backward(t, gy.view(), to.view()); }),
          gx, t, 4, 2));
    }
}

TEST_P(Pool, Average) {
  for (const PoolCase& c : kCases) {
    const PoolParams& p = c.p;
    auto weights = [&](int64_t oh, int64_t ow) {
      std::vector<std::pair<int64_t, double>> list;
      int64_t padded = 0;
      for (int64_t i = 0; i < p.kernel_h; ++i)
        for (int64_t j = 0; j < p.kernel_w; ++j) {
          const int64_t h = oh * p.stride_h - p.pad_h + i, w = ow * p.stride_w - p.pad_w + j;
          padded += h < c.x[2] + p.pad_h && w < c.x[3] + p.pad_w;
          if (h >= 0 && w >= 0 && h < c.x[2] && w < c.x[3]) list.push_back({h * c.x[3] + w, 0});
        }
      for (auto& e : list) e.second = 1.0 / double(p.count_include_pad ? padded : int64_t(list.size()));
      return list;
    };
    check_linear(
        activation_types(k()), c.x, pooled(c), weights,
        [&](Dtype t, const View& x, const View& y) { k().avg_pool2d[t](p, x, y); },
        [&](Dtype t, const View& gy, const View& gx) { k().avg_pool2d_backward[t](p, gy, gx); });
  }
}

TEST_P(Pool, AdaptiveAverage) {
  for (const Dims& x : {Dims{2, 19, 7, 9}, Dims{1, 300, 5, 4}, Dims{3, 4, 13, 2}})
    for (auto [oh, ow] : {std::pair{1, 1}, {2, 3}, {7, 9}, {6, 6}, {3, 1}, {10, 4}}) {
      const int64_t rows = oh, columns = ow;
      auto weights = [&](int64_t i, int64_t j) {
        std::vector<std::pair<int64_t, double>> list;
        const int64_t h0 = i * x[2] / rows, h1 = ((i + 1) * x[2] + rows - 1) / rows;
        const int64_t w0 = j * x[3] / columns, w1 = ((j + 1) * x[3] + columns - 1) / columns;
        for (int64_t h = h0; h < h1; ++h)
          for (int64_t w = w0; w < w1; ++w) list.push_back({h * x[3] + w, 1.0 / double((h1 - h0) * (w1 - w0))});
        return list;
      };
      check_linear(
          activation_types(k()), x, {x[0], x[1], rows, columns}, weights,
          [&](Dtype t, const View& from, const View& to) { k().adaptive_avg_pool2d[t](from, to); },
          [&](Dtype t, const View& from, const View& to) { k().adaptive_avg_pool2d_backward[t](from, to); });
    }
}

TEST_P(Pool, Nothing) {
  Array x({0, 3, 4, 4}, Dtype::f32), y({0, 3, 2, 2}, Dtype::f32), indices({0, 3, 2, 2}, Dtype::i32);
  const PoolParams p{.kernel_h = 2, .kernel_w = 2, .stride_h = 2, .stride_w = 2};
  k().max_pool2d.f32(p, x, y, indices);
  k().max_pool2d_backward.f32(p, y, indices, x);
  k().avg_pool2d.f32(p, x, y);
  k().avg_pool2d_backward.f32(p, y, x);
  k().adaptive_avg_pool2d.f32(x, y);
  k().adaptive_avg_pool2d_backward.f32(y, x);
  EXPECT_TRUE(x.guards_intact() && y.guards_intact());
}

AR_KERNEL_TESTS(Pool);

}  // namespace
}  // namespace ar::testing
