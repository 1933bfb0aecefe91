#include "tests/kernels/kernel_test.h"

namespace ar::testing {
namespace {

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

class Lstm : public KernelTest {};

struct Cells {
  std::vector<double> gates, c, h;
};
Cells reference(const Array& sums, const Array& c0, const Array& h0, const std::vector<int>& active) {
  const int64_t B = c0.shape()[0], H = c0.shape()[1];
  Cells r;
  r.gates = sums.values();
  r.c = c0.values();
  r.h = h0.values();
  for (int64_t b = 0; b < B; ++b)
    for (int64_t j = 0; j < H; ++j) {
      double* const g = &r.gates[std::size_t(b * 4 * H + j)];
      for (int k : {0, 1, 3}) g[k * H] = sigmoid(g[k * H]);
      g[2 * H] = std::tanh(g[2 * H]);
      if (!active[std::size_t(b)]) continue;
      double& c = r.c[std::size_t(b * H + j)];
      c = g[H] * c + g[0] * g[2 * H];
      r.h[std::size_t(b * H + j)] = g[3 * H] * std::tanh(c);
    }
  return r;
}

TEST_P(Lstm, CellAndGradient) {
  for (const auto& [B, H] : {std::pair<int64_t, int64_t>{3, 5}, {1, 256}, {7, 67}, {33, 130}, {0, 4}})
    for (bool masked : {false, true})
      for (Dtype t : {Dtype::f32, Dtype::f64}) {
        SCOPED_TRACE(::testing::Message() << B << "x" << H << (masked ? " masked " : " ") << t);
        const Dims cells{B, H}, wide{B, 4 * H};
        Array sums(wide, t, Lie::padded), c0(cells, t, Lie::padded), h0(cells, t);
        sums.randomise(1);
        c0.randomise(2);
        h0.randomise(3);
        std::vector<int> active(std::size_t(B), 1);
        Array mask({B}, Dtype::i64);
        for (int64_t b = 0; b < B; ++b) {
          if (masked && b % 3 == 2) active[std::size_t(b)] = 0;
          mask.set(b, active[std::size_t(b)]);
        }
        const View no_mask;
        const View& m = masked ? mask.view() : no_mask;
        const Cells want = reference(sums, c0, h0, active);
        Array gates = sums, h(cells, t);
        const auto c = run_checked([&] { return Array(cells, t, Lie::padded); },
                                   [&](Array& to) {
                                     gates.assign([&](int64_t i) { return sums.get(i); });
                                     k().lstm_cell[t](gates, c0, h0, m, to, h);
                                   });
        EXPECT_TRUE(near(c, want.c, t, 8, 1));
        EXPECT_TRUE(near(h.values(), want.h, t, 8, 1));
        EXPECT_TRUE(near(gates.values(), want.gates, t, 8));
        EXPECT_TRUE(gates.guards_intact() && h.guards_intact());

        Array c1(cells, t), gh(cells, t, Lie::padded), gc(cells, t), gc_prev(cells, t), gh_prev(cells, t);
        c1.assign([&](int64_t i) { return c[std::size_t(i)]; });
        gh.randomise(4);
        gc.randomise(5);
        std::vector<double> g_gates, g_c, g_h;
        for (int64_t i = 0; i < B * 4 * H; ++i) {
          const int64_t b = i / (4 * H), kind = i / H % 4, j = b * H + i % H, base = b * 4 * H + i % H;
          const double gi = gates.get(base), gf = gates.get(base + H), gg = gates.get(base + 2 * H),
                       go = gates.get(base + 3 * H), tc = std::tanh(c1.get(j)),
                       dc = gc.get(j) + gh.get(j) * go * (1 - tc * tc);
          const double each[] = {dc * gg * gi * (1 - gi), dc * c0.get(j) * gf * (1 - gf), dc * gi * (1 - gg * gg),
                                 gh.get(j) * tc * go * (1 - go)};
          g_gates.push_back(active[std::size_t(b)] ? each[kind] : 0);
        }
        for (int64_t j = 0; j < B * H; ++j) {
          const int64_t base = j / H * 4 * H + j % H;
          const double tc = std::tanh(c1.get(j));
          const bool runs = active[std::size_t(j / H)];
          g_c.push_back(runs ? gates.get(base + H) * (gc.get(j) + gh.get(j) * gates.get(base + 3 * H) * (1 - tc * tc))
                             : gc.get(j));
          g_h.push_back(runs ? 0 : gh.get(j));
        }
        const auto back =
            run_checked([&] { return Array(wide, t, Lie::padded); },
                        [&](Array& to) { k().lstm_cell_backward[t](gates, c0, c1, m, gh, gc, to, gc_prev, gh_prev); });
        EXPECT_TRUE(near(back, g_gates, t, 16, 1));
        EXPECT_TRUE(near(gc_prev.values(), g_c, t, 16, 1));
        EXPECT_TRUE(near(gh_prev.values(), g_h, t, 0));
      }
}

TEST_P(Lstm, GradientAgreesWithDifferences) {
  const int64_t B = 2, H = 3;
  Array sums({B, 4 * H}, Dtype::f64), c0({B, H}, Dtype::f64), h0({B, H}, Dtype::f64), c({B, H}, Dtype::f64), h = c;
  Array gh = c, gc = c, gsums({B, 4 * H}, Dtype::f64), gc0 = c, gh0 = c;
  sums.randomise(1);
  c0.randomise(2);
  h0.randomise(3);
  gh.randomise(4);
  gc.randomise(5);
  auto loss = [&] {
    Array gates = sums;
    k().lstm_cell.f64(gates, c0, h0, View{}, c, h);
    double l = 0;
    for (int64_t i = 0; i < B * H; ++i) l += gh.get(i) * h.get(i) + gc.get(i) * c.get(i);
    return l;
  };
  Array gates = sums;
  k().lstm_cell.f64(gates, c0, h0, View{}, c, h);
  k().lstm_cell_backward.f64(gates, c0, c, View{}, gh, gc, gsums, gc0, gh0);
  for (auto [value, gradient] : {std::pair{&sums, &gsums}, {&c0, &gc0}})
    for (int64_t i = 0; i < value->numel(); ++i) {
      const double at = value->get(i), step = 1e-6;
      value->set(i, at + step);
      const double up = loss();
      value->set(i, at - step);
      const double down = loss();
      value->set(i, at);
      EXPECT_NEAR(gradient->get(i), (up - down) / (2 * step), 1e-8);
    }
}

AR_KERNEL_TESTS(Lstm);

}  // namespace
}  // namespace ar::testing
