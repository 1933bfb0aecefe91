#include "tests/kernels/kernel_test.h"

namespace ar::testing {
namespace {

const Dtype kAll[] = {Dtype::u8, Dtype::i32, Dtype::i64, Dtype::f16, Dtype::bf16, Dtype::f32, Dtype::f64};

class Copy : public KernelTest {};

TEST_P(Copy, EveryTypeToEveryType) {
  for (Dtype from : kAll)
    for (Dtype to : kAll)
      for (Lie in : kInputLies)
        for (Lie out : kOutputLies) {
          SCOPED_TRACE(::testing::Message() << from << " to " << to << " " << int(in) << " " << int(out));
          Array x({2, 3, 4, 5}, from, in);
          x.assign([](int64_t i) { return double(i) * 1.25; });
          std::vector<double> want;
          for (double v : x.values()) want.push_back(is_floating(to) ? v : std::trunc(v));
          const auto got = run_checked([&] { return Array({2, 3, 4, 5}, to, out); }, [&](Array& y) { k().copy(x, y); });
          EXPECT_TRUE(near(got, want, to, is_floating(to) ? 1 : 0));
        }
}

TEST_P(Copy, LargeTranspositions) {
  for (Dtype t : {Dtype::u8, Dtype::f16, Dtype::f32, Dtype::f64})
    for (const Dims& shape : {Dims{2, 3, 57, 61}, Dims{3, 70, 13, 17}, Dims{1, 150, 1, 203}, Dims{2, 18, 3, 20, 9}})
      for (Lie in : {Lie::dense, Lie::channels_last, Lie::narrow})
        for (Lie out : {Lie::dense, Lie::channels_last, Lie::padded}) {
          SCOPED_TRACE(::testing::Message() << t << " " << shape << " " << int(in) << " " << int(out));
          Array x(shape, t, in);
          x.assign([](int64_t i) { return double(i % 251); });
          EXPECT_EQ(run_checked([&] { return Array(shape, t, out); }, [&](Array& y) { k().copy(x, y); }), x.values());
        }
}

TEST_P(Copy, KeepsBitsOfNan) {
  Array x({5}, Dtype::i32);
  x.assign([](int64_t i) { return 0x7fa00000 + double(i); });
  View from = x, to;
  from.dtype = Dtype::f32;
  Array y({5}, Dtype::i32);
  to = y;
  to.dtype = Dtype::f32;
  k().copy(from, to);
  EXPECT_EQ(y.values(), x.values());
}

TEST_P(Copy, FloatsBeyondIntegers) {
  const double inf = std::numeric_limits<double>::infinity();
  Array x({7}, Dtype::f64), bytes({7}, Dtype::u8), ints({7}, Dtype::i32), longs({7}, Dtype::i64);
  const std::vector<double> in = {-1.5, 300, 1e30, -1e30, inf, -inf, std::nan("")};
  x.assign([&](int64_t i) { return in[std::size_t(i)]; });
  k().copy(x, bytes);
  EXPECT_EQ(bytes.values(), (std::vector<double>{0, 255, 255, 0, 255, 0, 0}));
  k().copy(x, ints);
  EXPECT_EQ(ints.values(), (std::vector<double>{-1, 300, 2147483647., -2147483648., 2147483647., -2147483648., 0}));
  k().copy(x, longs);
  EXPECT_EQ(longs.get(2), double(std::numeric_limits<int64_t>::max()));
  EXPECT_EQ(longs.get(3), double(std::numeric_limits<int64_t>::min()));
  EXPECT_EQ(longs.get(6), 0);
}

TEST_P(Copy, Nothing) {
  for (const Dims& shape : {Dims{0}, Dims{3, 0, 2}, Dims{0, 4}}) {
    Array x(shape, Dtype::f32), y(shape, Dtype::f64);
    k().copy(x, y);
    k().fill(y, 1);
    EXPECT_TRUE(y.guards_intact());
  }
  Array x(Dims{}, Dtype::f32), y(Dims{}, Dtype::f32);
  x.set(0, 3);
  k().copy(x, y);
  EXPECT_EQ(y.get(0), 3);
}

TEST_P(Copy, Fill) {
  for (Dtype t : kAll)
    for (Lie out : kOutputLies)
      for (double value : {0.0, 7.0}) {
        SCOPED_TRACE(::testing::Message() << t << " " << int(out));
        EXPECT_EQ(run_checked(
                      [&] {
                        return Array({2, 30, 4, 5}, t, out);
                      },
                      [&](Array& y) { k().fill(y, value); }),
                  std::vector<double>(1200, value));
      }
}

AR_KERNEL_TESTS(Copy);

}  // namespace
}  // namespace ar::testing
