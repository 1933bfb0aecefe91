// Softmax, log-softmax, picking by targets, and local response normalisation.
#include "tests/kernels/kernel_test.h"

namespace ar::testing {
namespace {

const Dtype kTypes[] = {Dtype::f32, Dtype::f64};
const Lie kLies[] = {Lie::dense, Lie::channels_last, Lie::narrow, Lie::padded, Lie::transposed};

/// Index of element j of the line through i along dim.
int64_t along(const Dims& shape, int dim, int64_t i, int64_t j) {
  int64_t inner = 1;
  for (int d = dim + 1; d < shape.size(); ++d) inner *= shape[d];
  return (i / inner / shape[dim] * shape[dim] + j) * inner + i % inner;
}

/// d sum(gy * f(x)) / dx by central differences.
std::vector<double> differences(const Array& x, const Array& gy,
                                const std::function<std::vector<double>(const Array&)>& f) {
  std::vector<double> g;
  const double h = 1e-6;
  for (int64_t i = 0; i < x.numel(); ++i) {
    double d = 0;
    for (int sign : {1, -1}) {
      Array moved = x;
      moved.set(i, x.get(i) + sign * h);
      const auto y = f(moved);
      for (int64_t j = 0; j < gy.numel(); ++j) d += sign * gy.get(j) * y[std::size_t(j)];
    }
    g.push_back(d / (2 * h));
  }
  return g;
}

class Loss : public KernelTest {};

TEST_P(Loss, Softmax) {
  for (const Dims& shape : {Dims{5, 101}, Dims{2, 7, 3, 18}, Dims{1, 1}, Dims{0, 5}, Dims{130, 40}})
    for (int dim = 0; dim < shape.size(); ++dim)
      for (bool log : {false, true})
        for (Dtype t : kTypes)
          for (Lie lie : kLies) {
            SCOPED_TRACE(::testing::Message() << shape << " dim " << dim << (log ? " log " : " ") << t << int(lie));
            if (shape[dim] == 0) continue;
            Array x(shape, t, lie), gy(shape, t, Lie::padded);
            x.randomise(1, -30, 30);
            gy.randomise(2);
            std::vector<double> want, gx;
            for (int64_t i = 0; i < x.numel(); ++i) {
              double top = -1e300, sum = 0;
              for (int64_t j = 0; j < shape[dim]; ++j) top = std::max(top, x.get(along(shape, dim, i, j)));
              for (int64_t j = 0; j < shape[dim]; ++j) sum += std::exp(x.get(along(shape, dim, i, j)) - top);
              want.push_back(log ? x.get(i) - top - std::log(sum) : std::exp(x.get(i) - top) / sum);
            }
            EXPECT_TRUE(near(
                run_checked([&] { return Array(shape, t, lie); }, [&](Array& y) { k().softmax[t](dim, log, x, y); }),
                want, t, 64, log ? 1 : 0));
            Array y(shape, t, lie);
            y.assign([&](int64_t i) { return want[std::size_t(i)]; });
            for (int64_t i = 0; i < x.numel(); ++i) {
              double sum = 0;
              for (int64_t j = 0; j < shape[dim]; ++j) {
                const int64_t a = along(shape, dim, i, j);
                sum += gy.get(a) * (log ? 1 : y.get(a));
              }
              gx.push_back(log ? gy.get(i) - std::exp(y.get(i)) * sum : y.get(i) * (gy.get(i) - sum));
            }
            EXPECT_TRUE(near(run_checked([&] { return Array(shape, t, lie); },
                                         [&](Array& to) { k().softmax_backward[t](dim, log, y, gy, to); }),
                             gx, t, 64, 2));
          }
}

TEST_P(Loss, SoftmaxSpecialValues) {
  const double inf = std::numeric_limits<double>::infinity();
  Array x({3, 20}, Dtype::f32), y({3, 20}, Dtype::f32);
  x.assign([&](int64_t i) { return i < 20 ? (i == 3 ? 1e30 : i == 4 ? -inf : 0) : i < 40 ? 1000 : std::nan(""); });
  k().softmax.f32(1, false, x, y);
  for (int64_t i = 0; i < 20; ++i) {
    EXPECT_EQ(y.get(i), i == 3 ? 1 : 0);
    EXPECT_NEAR(y.get(20 + i), 0.05, 1e-8);
    EXPECT_TRUE(std::isnan(y.get(40 + i)));
  }
}

TEST_P(Loss, SoftmaxGradientAgreesWithDifferences) {
  for (bool log : {false, true}) {
    Array x({3, 7}, Dtype::f64), gy({3, 7}, Dtype::f64), y({3, 7}, Dtype::f64), gx({3, 7}, Dtype::f64);
    x.randomise(1);
    gy.randomise(2);
    auto forward = [&](const Array& at) {
      k().softmax.f64(1, log, at, y);
      return y.values();
    };
    const auto want = differences(x, gy, forward);
    forward(x);
    k().softmax_backward.f64(1, log, y, gy, gx);
    for (int64_t i = 0; i < gx.numel(); ++i) EXPECT_NEAR(gx.get(i), want[std::size_t(i)], 1e-8);
  }
}

TEST_P(Loss, Pick) {
  for (Dtype t : kTypes)
    for (Lie lie : kLies)
      for (const auto& [shape, rest] : {std::pair{Dims{6, 11}, Dims{6}}, {Dims{2, 5, 3, 4}, Dims{2, 3, 4}}}) {
        Array x(shape, t, lie), target(rest, Dtype::i64), gy(rest, t), gx0(shape, t, lie);
        x.randomise(1);
        gy.randomise(2);
        gx0.randomise(3);
        target.assign([&](int64_t i) { return i % 4 == 1 ? -100 : double(i * 7 % shape[1]); });
        std::vector<double> want, gx = gx0.values();
        const int64_t inner = rest.product() / shape[0];
        for (int64_t i = 0; i < target.numel(); ++i) {
          const int64_t from = (i / inner * shape[1] + int64_t(target.get(i))) * inner + i % inner;
          const bool counts = target.get(i) >= 0;
          want.push_back(counts ? x.get(from) : 0);
          if (counts) gx[std::size_t(from)] += gy.get(i);
        }
        EXPECT_TRUE(near(run_checked([&] { return Array(rest, t); }, [&](Array& y) { k().pick[t](x, target, y); }),
                         want, t, 0));
        EXPECT_TRUE(near(run_checked([&] { return gx0; }, [&](Array& to) { k().pick_backward[t](gy, target, to); }), gx,
                         t, 1, 1));
      }
}

TEST_P(Loss, LocalResponseNormalisation) {
  for (const Dims& shape : {Dims{2, 40, 3, 5}, Dims{1, 7, 2, 2}, Dims{1, 96, 9, 9}, Dims{0, 4, 1, 1}})
    for (LrnParams p : {LrnParams{}, LrnParams{5, 0.3, 0.75, 2}, LrnParams{4, 0.5, 0.6, 1}, LrnParams{1, 1, 1, 1}})
      for (Dtype t : kTypes)
        for (Lie lie : {Lie::dense, Lie::channels_last, Lie::narrow}) {
          SCOPED_TRACE(::testing::Message() << shape << " size " << p.size << " " << t << " " << int(lie));
          Array x(shape, t, lie), gy(shape, t, lie);
          x.randomise(1);
          gy.randomise(2);
          auto s = [&](int64_t i) {
            const int64_t c = i / (shape[2] * shape[3]) % shape[1];
            double sum = 0;
            for (int64_t j = c - p.size / 2; j < c - p.size / 2 + p.size; ++j)
              if (j >= 0 && j < shape[1]) sum += std::pow(x.get(along(shape, 1, i, j)), 2);
            return p.k + p.alpha / double(p.size) * sum;
          };
          std::vector<double> want, gx(std::size_t(x.numel()));
          for (int64_t i = 0; i < x.numel(); ++i) {
            const int64_t c = i / (shape[2] * shape[3]) % shape[1];
            const double n = s(i), power = std::pow(n, -p.beta);
            want.push_back(x.get(i) * power);
            gx[std::size_t(i)] += gy.get(i) * power;
            for (int64_t j = c - p.size / 2; j < c - p.size / 2 + p.size; ++j) {
              if (j < 0 || j >= shape[1]) continue;
              const int64_t at = along(shape, 1, i, j);
              gx[std::size_t(at)] -=
                  2 * p.alpha * p.beta / double(p.size) * x.get(at) * gy.get(i) * x.get(i) * power / n;
            }
          }
          EXPECT_TRUE(near(run_checked([&] { return Array(shape, t, lie); }, [&](Array& y) { k().lrn[t](p, x, y); }),
                           want, t, 8));
          EXPECT_TRUE(near(
              run_checked([&] { return Array(shape, t, lie); }, [&](Array& to) { k().lrn_backward[t](p, x, gy, to); }),
              gx, t, 16, 2));
        }
}

TEST_P(Loss, LrnGradientAgreesWithDifferences) {
  const LrnParams p{5, 0.4, 0.75, 1.5};
  Array x({1, 9, 1, 2}, Dtype::f64), gy({1, 9, 1, 2}, Dtype::f64), y({1, 9, 1, 2}, Dtype::f64), gx = y;
  x.randomise(1);
  gy.randomise(2);
  const auto want = differences(x, gy, [&](const Array& at) {
    k().lrn.f64(p, at, y);
    return y.values();
  });
  k().lrn_backward.f64(p, x, gy, gx);
  for (int64_t i = 0; i < gx.numel(); ++i) EXPECT_NEAR(gx.get(i), want[std::size_t(i)], 1e-8);
}

AR_KERNEL_TESTS(Loss);

}  // namespace
}  // namespace ar::testing
