// The matrix product of every instruction set against three loops.
#include <random>

#include "tests/kernels/kernel_test.h"

namespace ar::testing {
namespace {

class Gemm : public KernelTest {};
AR_KERNEL_TESTS(Gemm);

TEST_P(Gemm, AgainstThreeLoops) {
  struct Sizes {
    int64_t b, m, k, n;
  };
  const Lie lies[] = {Lie::dense, Lie::transposed, Lie::padded, Lie::backwards, Lie::channels_last};
  int turn = 0;
  for (const Sizes s :
       {Sizes{1, 1, 1, 1}, Sizes{1, 1, 300, 70}, Sizes{2, 3, 5, 7}, Sizes{1, 14, 32, 32}, Sizes{3, 15, 33, 31},
        Sizes{1, 64, 17, 100}, Sizes{1, 100, 256, 40}, Sizes{5, 30, 20, 16}, Sizes{2, 29, 1, 65}, Sizes{1, 33, 40, 1},
        Sizes{1, 1, 40, 33}, Sizes{2, 4, 0, 4}, Sizes{0, 4, 4, 4}, Sizes{2, 0, 4, 4}, Sizes{2, 4, 4, 0},
        Sizes{1, 20, 1500, 200}, Sizes{1, 130, 520, 34}})
    for (Dtype t : {Dtype::f32, Dtype::f64})
      for (Lie la : lies)
        for (Lie lb : lies) {
          const Lie lc = lies[turn++ % 5];
          const bool accumulate = turn % 2;
          SCOPED_TRACE(::testing::Message()
                       << s.b << " of " << s.m << "x" << s.k << "x" << s.n << " " << name_of(t) << " lies " << int(la)
                       << int(lb) << int(lc) << " accumulate " << accumulate);
          std::mt19937 gen{unsigned(turn)};
          auto eighths = [&](int64_t) { return double(int(gen() % 17) - 8) / 8; };
          Array a({s.b, s.m, s.k}, t, la), b({s.b, s.k, s.n}, t, lb);
          a.assign(eighths), b.assign(eighths);
          std::vector<double> want;
          for (int64_t i = 0; i < s.b; ++i)
            for (int64_t r = 0; r < s.m; ++r)
              for (int64_t c = 0; c < s.n; ++c) {
                double v = accumulate ? 0.5 : 0;
                for (int64_t k = 0; k < s.k; ++k) v += a.get((i * s.m + r) * s.k + k) * b.get((i * s.k + k) * s.n + c);
                want.push_back(v);
              }
          const auto got = run_checked(
              [&] {
                Array c({s.b, s.m, s.n}, t, lc);
                if (accumulate) c.assign([](int64_t) { return 0.5; });
                return c;
              },
              [&](Array& c) { k().gemm[t](a, b, c, accumulate); });
          EXPECT_TRUE(near(got, want, t, 0));
        }
}

}  // namespace
}  // namespace ar::testing
