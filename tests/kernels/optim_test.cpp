#include "tests/kernels/kernel_test.h"

namespace ar::testing {
namespace {

const Dtype kTypes[] = {Dtype::f32, Dtype::f64};
const Dims kShape{5, 70, 3, 3};

class Optim : public KernelTest {};

TEST_P(Optim, Sgd) {
  for (Dtype t : kTypes)
    for (Lie lie : {Lie::dense, Lie::channels_last})
      for (SgdParams s : {SgdParams{.lr = 0.1}, SgdParams{.lr = 0.1, .weight_decay = 0.01},
                          SgdParams{.lr = 0.1, .momentum = 0.9, .dampening = 0.2, .weight_decay = 0.01},
                          SgdParams{.lr = 0.1, .momentum = 0.9, .nesterov = true}})
        for (bool first : {true, false}) {
          s.first_step = first;
          Array p(kShape, t, lie), g(kShape, t), buffer(kShape, t, lie);  // first: the buffer is NaN and ignored
          p.randomise(1);
          g.randomise(2);
          if (!first) buffer.randomise(3);
          std::vector<double> want_p, want_b;
          for (int64_t i = 0; i < p.numel(); ++i) {
            double d = g.get(i) + s.weight_decay * p.get(i);
            if (s.momentum != 0) {
              const double b = first ? d : s.momentum * buffer.get(i) + (1 - s.dampening) * d;
              want_b.push_back(b);
              d = s.nesterov ? d + s.momentum * b : b;
            }
            want_p.push_back(p.get(i) - s.lr * d);
          }
          Array buffer_after = buffer;
          const auto got = run_checked([&] { return p; },
                                       [&](Array& to) {
                                         Array b = buffer;
                                         k().sgd[t](s, to, g, s.momentum != 0 ? b.view() : View{});
                                         buffer_after.assign([&](int64_t i) { return b.get(i); });
                                         EXPECT_TRUE(b.guards_intact());
                                       });
          EXPECT_TRUE(near(got, want_p, t, 4, 1));
          if (s.momentum != 0) {
            EXPECT_TRUE(near(buffer_after.values(), want_b, t, 4, 1));
          }
        }
}

TEST_P(Optim, Adam) {
  for (Dtype t : kTypes)
    for (Lie lie : {Lie::dense, Lie::channels_last})
      for (bool decoupled : {false, true})
        for (int64_t step : {1, 2, 1000}) {
          const AdamParams a{.lr = 0.01, .weight_decay = 0.1, .decoupled = decoupled, .step = step};
          Array p(kShape, t, lie), g(kShape, t, lie), m0(kShape, t, lie), v0(kShape, t, lie);
          p.randomise(1);
          g.randomise(2);
          m0.randomise(3);
          v0.randomise(4, 0, 1);
          std::vector<double> want_p, want_m, want_v;
          for (int64_t i = 0; i < p.numel(); ++i) {
            double x = p.get(i), d = g.get(i);
            if (decoupled)
              x -= a.lr * a.weight_decay * x;
            else
              d += a.weight_decay * x;
            const double m = a.beta1 * m0.get(i) + (1 - a.beta1) * d, v = a.beta2 * v0.get(i) + (1 - a.beta2) * d * d;
            const double mh = m / (1 - std::pow(a.beta1, double(step))), vh = v / (1 - std::pow(a.beta2, double(step)));
            want_m.push_back(m);
            want_v.push_back(v);
            want_p.push_back(x - a.lr * mh / (std::sqrt(vh) + a.eps));
          }
          Array m = m0, v = v0;
          const auto got = run_checked([&] { return p; },
                                       [&](Array& to) {
                                         m.assign([&](int64_t i) { return m0.get(i); });
                                         v.assign([&](int64_t i) { return v0.get(i); });
                                         k().adam[t](a, to, g, m, v);
                                       });
          EXPECT_TRUE(near(got, want_p, t, 8, 1));
          EXPECT_TRUE(near(m.values(), want_m, t, 8, 1));
          EXPECT_TRUE(near(v.values(), want_v, t, 8, 1));
          EXPECT_TRUE(m.guards_intact() && v.guards_intact());
        }
}

AR_KERNEL_TESTS(Optim);

}  // namespace
}  // namespace ar::testing
