#include "tensor/philox.h"
#include "tests/kernels/kernel_test.h"

namespace ar::testing {
namespace {

// Known answers published with Random123 (Salmon et al. 2011).
TEST(Philox, KnownAnswers) {
  const uint32_t ones = ~0u;
  const Philox4 a = philox4x32_10({{0, 0, 0, 0}}, 0, 0), b = philox4x32_10({{ones, ones, ones, ones}}, ones, ones);
  const uint32_t wa[] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  const uint32_t wb[] = {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(a.v[i], wa[i]);
    EXPECT_EQ(b.v[i], wb[i]);
  }
}

uint32_t number(PhiloxState s, int64_t i) {
  const uint64_t at = s.offset + uint64_t(i);
  return philox_block(s.seed, at / 4).v[at % 4];
}

class Random : public KernelTest {};
const PhiloxState kStates[] = {{0, 0}, {7, 0}, {0x123456789abcdef0, 5}, {1, (uint64_t(1) << 34) - 3}, {2, 63}};

TEST_P(Random, Uniform) {
  for (PhiloxState s : kStates)
    for (Dtype t : {Dtype::f32, Dtype::f64})
      for (Lie out : kOutputLies) {
        SCOPED_TRACE(::testing::Message() << t << " " << int(out) << " seed " << s.seed);
        std::vector<double> want;
        for (int64_t i = 0; i < 3 * 5 * 7 * 11; ++i) want.push_back(-1 + 3 * (number(s, i) * 0x1p-32));
        const auto got = run_checked(
            [&] {
              return Array({3, 5, 7, 11}, t, out);
            },
            [&](Array& y) { k().uniform[t](-1, 2, s, y); });
        EXPECT_TRUE(near(got, want, t, 1, 1));
        for (double v : got) EXPECT_TRUE(v >= -1 && v < 2);
      }
}

TEST_P(Random, Normal) {
  for (PhiloxState s : kStates)
    for (Dtype t : {Dtype::f32, Dtype::f64})
      for (Lie out : kOutputLies) {
        SCOPED_TRACE(::testing::Message() << t << " " << int(out) << " seed " << s.seed);
        std::vector<double> want;
        for (int64_t i = 0; i < 3 * 5 * 7 * 11; ++i) {
          const int64_t odd = int64_t((s.offset + uint64_t(i)) & 1);
          const PhiloxNormals z = philox_normals(number(s, i - odd), number(s, i - odd + 1));
          want.push_back(1 + 2 * (odd ? z.odd : z.even));
        }
        const auto got = run_checked(
            [&] {
              return Array({3, 5, 7, 11}, t, out);
            },
            [&](Array& y) { k().normal[t](1, 2, s, y); });
        EXPECT_TRUE(near(got, want, t, 2, 1));
      }
}

TEST_P(Random, NormalMoments) {
  const int64_t n = 1 << 20;
  Array y({n}, Dtype::f64);
  k().normal.f64(0, 1, {3, 1}, y);
  double m[5] = {};
  int64_t beyond = 0;
  for (double v : y.values()) {
    for (int p = 1; p <= 4; ++p) m[p] += std::pow(v, p) / double(n);
    beyond += std::abs(v) > 1.959963985;
  }
  EXPECT_NEAR(m[1], 0, 0.005);
  EXPECT_NEAR(m[2], 1, 0.007);
  EXPECT_NEAR(m[3], 0, 0.02);
  EXPECT_NEAR(m[4], 3, 0.05);
  EXPECT_NEAR(double(beyond) / double(n), 0.05, 0.001);
}

TEST_P(Random, Dropout) {
  for (PhiloxState s : kStates)
    for (Dtype t : {Dtype::f16, Dtype::bf16, Dtype::f32, Dtype::f64})
      for (Lie lie : kOutputLies) {
        SCOPED_TRACE(::testing::Message() << t << " " << int(lie) << " seed " << s.seed);
        Array x({3, 5, 7, 11}, t, lie);
        x.randomise(1, 1, 2);
        std::vector<double> want;
        for (int64_t i = 0; i < x.numel(); ++i) want.push_back(number(s, i) * 0x1p-32 >= 0.25 ? x.get(i) / 0.75 : 0);
        const auto got = run_checked(
            [&] {
              return Array({3, 5, 7, 11}, t, Lie::channels_last);
            },
            [&](Array& y) { k().dropout[t](0.25, s, x, y); });
        EXPECT_TRUE(near(got, want, t, 2));
        Array in_place = x;
        k().dropout[t](0.25, s, in_place, in_place);
        EXPECT_EQ(in_place.values(), got);
      }
}

AR_KERNEL_TESTS(Random);

}  // namespace
}  // namespace ar::testing
