#include "tests/activation.h"
#include "tests/kernels/kernel_test.h"

namespace ar::testing {
namespace {

const Dims kShapes[] = {{3, 37, 5, 4}, {130, 20}, {2, 19, 70}, {2, 3, 2, 3, 4}, {0, 4, 2, 2}, {2, 1100, 17, 1}};

int64_t channel_of(const Dims& shape, int64_t i) {
  int64_t inner = 1;
  for (int d = 2; d < shape.size(); ++d) inner *= shape[d];
  return i / inner % shape[1];
}
/// One number per channel, as scales, shifts and biases are.
Array per_channel(int64_t channels, Dtype t, unsigned seed) {
  return Array({channels}, parameter_dtype(t)).randomise(seed, -1.5, 1.5);
}

class Channels : public KernelTest {
 protected:
  /// f(shape, dtype, how inputs and outputs lie) for everything.
  template <class F>
  void each_case(F f) {
    for (const Dims& shape : kShapes)
      for (Dtype t : activation_types(k()))
        for (Lie in : {Lie::dense, Lie::channels_last, Lie::narrow, Lie::transposed, Lie::expanded})
          for (Lie out : {Lie::channels_last, Lie::narrow, Lie::dense}) {
            SCOPED_TRACE(::testing::Message() << shape << " " << t << " " << int(in) << " " << int(out));
            if (shape[1] < 1000 || (in == Lie::narrow && out == Lie::narrow)) f(shape, t, in, out);
          }
  }
};

/// Sums agree with f64 ones, are added to what was there, and repeat exactly.
void expect_sums(const std::vector<double>& got, const std::vector<double>& want, Dtype t) {
  EXPECT_TRUE(near(got, want, parameter_dtype(t), 64, 20));
}

TEST_P(Channels, Sums) {
  each_case([&](const Dims& shape, Dtype t, Lie in, Lie) {
    Array x(shape, t, in);
    x.randomise(1);
    std::vector<double> sum(std::size_t(shape[1]), 3.0), square(std::size_t(shape[1]), 4.0);
    const std::vector<double> sum0 = sum, square0 = square;
    for (int64_t i = 0; i < x.numel(); ++i) {
      sum[std::size_t(channel_of(shape, i))] += x.get(i);
      square[std::size_t(channel_of(shape, i))] += x.get(i) * x.get(i);
    }
    for (int threads : {1, 2, 3}) {
      set_num_threads(threads);
      auto a = sum0, b = square0, again = sum0, alone = square0;
      k().channel_sums[t](x, a.data(), b.data());
      k().channel_sums[t](x, again.data(), nullptr);
      k().channel_sums[t](x, nullptr, alone.data());
      expect_sums(a, sum, t);
      expect_sums(b, square, t);
      EXPECT_EQ(a, again);
      EXPECT_EQ(b, alone);
    }
  });
}

TEST_P(Channels, SumsOfManyPixels) {
  const Dims shape{3, 40, 61, 59};
  Array x(shape, Dtype::f32, Lie::narrow);
  x.randomise(1, 0.9, 1.1);
  std::vector<double> want(40), got(40);
  for (int64_t i = 0; i < x.numel(); ++i) want[std::size_t(channel_of(shape, i))] += x.get(i);
  k().channel_sums.f32(x, got.data(), nullptr);
  for (std::size_t c = 0; c < 40; ++c) EXPECT_NEAR(got[c], want[c], 2e-7 * want[c]);
}

constexpr double kSlope = 0.25;

TEST_P(Channels, Affine) {
  each_case([&](const Dims& shape, Dtype t, Lie in, Lie out) {
    for (Activation act : kActivations) {
      Array x(shape, t, in), scale = per_channel(shape[1], t, 2), shift = per_channel(shape[1], t, 3);
      Array residual(shape, t, Lie::narrow);
      x.randomise(1, -8, 8);
      residual.randomise(4);
      std::vector<double> want, added;
      for (int64_t i = 0; i < x.numel(); ++i) {
        const int64_t c = channel_of(shape, i);
        const double v = x.get(i) * scale.get(c) + shift.get(c);
        want.push_back(activated(act, v, kSlope));
        added.push_back(activated(act, v + residual.get(i), kSlope));
      }
      auto run = [&](const View& from, const View& to, const View& more = {}) {
        k().channel_affine[t](from, scale.view().data, shift.view().data, more, act, kSlope, to);
      };
      EXPECT_TRUE(near(run_checked([&] { return Array(shape, t, out); }, [&](Array& y) { run(x, y, residual); }), added,
                       t, 2, 10))
          << "with a residual";
      EXPECT_TRUE(
          near(run_checked([&] { return Array(shape, t, out); }, [&](Array& y) { run(x, y); }), want, t, 2, 10));
      if (in == Lie::expanded) continue;
      EXPECT_TRUE(near(run_checked([&] { return x; }, [&](Array& y) { run(y, y); }), want, t, 2, 10)) << "in place";
    }
  });
}

TEST_P(Channels, AffineKeepsNan) {
  Array x({2, 20}, Dtype::f32), y({2, 20}, Dtype::f32), one({20}, Dtype::f32);
  one.assign([](int64_t) { return 1; });
  for (Activation act : kActivations) {
    y.assign([](int64_t) { return 0; });
    k().channel_affine.f32(x, one.view().data, one.view().data, {}, act, kSlope, y);
    for (double v : y.values()) EXPECT_TRUE(std::isnan(v));
  }
}

TEST_P(Channels, AffineAdd) {
  each_case([&](const Dims& shape, Dtype t, Lie in, Lie out) {
    Array x(shape, t, in), y0(shape, t, out), a = per_channel(shape[1], t, 2), b = per_channel(shape[1], t, 3);
    x.randomise(1);
    y0.randomise(4);
    std::vector<double> want;
    for (int64_t i = 0; i < x.numel(); ++i)
      want.push_back(y0.get(i) + a.get(channel_of(shape, i)) + b.get(channel_of(shape, i)) * x.get(i));
    const auto got = run_checked([&] { return y0; },
                                 [&](Array& y) { k().channel_affine_add[t](x, a.view().data, b.view().data, y); });
    EXPECT_TRUE(near(got, want, t, 2, 4));
  });
}

/// f(activation, accumulate) for each variant of the gate.
template <class F>
void each_gate(F f) {
  for (Activation act : kActivations)
    for (bool accumulate : {false, true}) f(act, accumulate);
}

TEST_P(Channels, Gate) {
  each_case([&](const Dims& shape, Dtype t, Lie in, Lie out) {
    each_gate([&](Activation act, bool accumulate) {
      Array g(shape, t, in), x(shape, t, Lie::narrow), gx0(shape, t, out);
      Array scale = per_channel(shape[1], t, 2), shift = per_channel(shape[1], t, 3),
            center = per_channel(shape[1], t, 6);
      g.randomise(1);
      x.randomise(4, -8, 8);
      if (accumulate) gx0.randomise(5);
      std::vector<double> want, sum_d(std::size_t(shape[1]), 1.0), sum_dx(std::size_t(shape[1]), 2.0);
      const auto d0 = sum_d, dx0 = sum_dx;
      for (int64_t i = 0; i < x.numel(); ++i) {
        const int64_t ch = channel_of(shape, i);
        const double d = g.get(i) * activation_slope(act, x.get(i) * scale.get(ch) + shift.get(ch), kSlope);
        want.push_back(d * scale.get(ch) + (accumulate ? gx0.get(i) : 0));
        sum_d[std::size_t(ch)] += d;
        sum_dx[std::size_t(ch)] += d * (x.get(i) - (accumulate ? center.get(ch) : 0));
      }
      const auto got = run_checked([&] { return gx0; },
                                   [&](Array& gx) {
                                     auto d = d0, dx = dx0;
                                     ConvGate gate{x.view(), scale.view().data, shift.view().data, act,
                                                   kSlope,   d.data(),          dx.data(),         nullptr};
                                     if (accumulate) gate.center = center.view().data;
                                     k().channel_gate[t](g, gx, accumulate, gate);
                                     expect_sums(d, sum_d, t);
                                     expect_sums(dx, sum_dx, t);
                                   });
      EXPECT_TRUE(near(got, want, t, 2, 4));
      if (accumulate || in == Lie::expanded) return;
      const auto in_place = run_checked([&] { return g; },
                                        [&](Array& gx) {
                                          k().channel_gate[t](gx, gx, false,
                                                              {x.view(), scale.view().data, shift.view().data, act,
                                                               kSlope, nullptr, nullptr, nullptr});
                                        });
      EXPECT_TRUE(near(in_place, want, t, 2, 4)) << "in place";
    });
  });
}

TEST_P(Channels, NormReluPool2) {
  for (const Dims& shape : {Dims{2, 37, 6, 4}, Dims{3, 70, 5, 7}, Dims{1, 3, 1, 4}})
    for (Dtype t : activation_types(k()))
      for (Lie lie : {Lie::dense, Lie::channels_last, Lie::narrow}) {
        SCOPED_TRACE(::testing::Message() << shape << " " << t << " " << int(lie));
        const Dims pooled{shape[0], shape[1], shape[2] / 2, shape[3] / 2};
        Array x(shape, t, lie), scale = per_channel(shape[1], t, 2), shift = per_channel(shape[1], t, 3);
        x.randomise(1);
        auto source = [&](int64_t i, int tap) {  // of pooled element i
          const int64_t w = i % pooled[3], h = i / pooled[3] % pooled[2], plane = i / pooled[3] / pooled[2];
          return (plane * shape[2] + 2 * h + tap / 2) * shape[3] + 2 * w + tap % 2;
        };
        auto norm = [&](int64_t i) {
          return x.get(i) * scale.get(channel_of(shape, i)) + shift.get(channel_of(shape, i));
        };
        std::vector<double> want;
        for (int64_t i = 0; i < pooled.product(); ++i) {
          want.push_back(0);
          for (int tap = 0; tap < 4; ++tap) want.back() += std::max(norm(source(i, tap)), 0.0) / 4;
        }
        const auto got =
            run_checked([&] { return Array(pooled, t, lie); },
                        [&](Array& y) { k().norm_relu_pool2[t](x, scale.view().data, shift.view().data, y); });
        EXPECT_TRUE(near(got, want, t, 4, 1));

        each_gate([&](Activation act, bool accumulate) {
          Array gy(pooled, t, lie), gx0(shape, t, lie);
          gy.randomise(4);
          if (accumulate) gx0.randomise(5);
          std::vector<double> gx(x.values().size()), sum_d(std::size_t(shape[1]), 0.0), sum_dx = sum_d;
          for (int64_t i = 0; accumulate && i < x.numel(); ++i) gx[std::size_t(i)] = gx0.get(i);
          for (int64_t i = 0; i < pooled.product(); ++i)
            for (int tap = 0; tap < 4; ++tap) {
              const int64_t s = source(i, tap), ch = channel_of(shape, s);
              const double d = gy.get(i) / 4 * activation_slope(act, norm(s), kSlope);
              gx[std::size_t(s)] += d * scale.get(ch);
              sum_d[std::size_t(ch)] += d;
              sum_dx[std::size_t(ch)] += d * x.get(s);
            }
          const auto back = run_checked(
              [&] { return gx0; },
              [&](Array& to) {
                std::vector<double> d(sum_d.size()), dx(sum_d.size());
                k().norm_relu_pool2_backward[t](
                    gy, to, accumulate,
                    {x.view(), scale.view().data, shift.view().data, act, kSlope, d.data(), dx.data(), nullptr});
                expect_sums(d, sum_d, t);
                expect_sums(dx, sum_dx, t);
              });
          EXPECT_TRUE(near(back, gx, t, 4, 2));
        });
      }
}

AR_KERNEL_TESTS(Channels);

}  // namespace
}  // namespace ar::testing
