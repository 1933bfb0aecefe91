#include "tests/kernels/kernel_test.h"

namespace ar::testing {
namespace {

class Frames : public KernelTest {};

constexpr double kScale[] = {1 / (255 * 0.229), 1 / (255 * 0.224), 1 / (255 * 0.225)};
constexpr double kShift[] = {-0.485 / 0.229, -0.456 / 0.224, -0.406 / 0.225};

/// An output as kernels may expect it: (B,3,T,H,W) with pixels side by side and a gap behind each row.
struct Output {
  Array memory;
  View view;
  Output(const Dims& s, Dtype t) : memory({s[0], s[2], s[3], s[4] * 3}, t, Lie::padded) {
    const View& m = memory;
    view = {.data = m.data,
            .dtype = t,
            .rank = 5,
            .shape = {s[0], 3, s[2], s[3], s[4]},
            .strides = {m.strides[0], 1, m.strides[1], m.strides[2], 3}};
  }
};

TEST_P(Frames, CutMirroredAndNormalised) {
  for (const auto& [in, height, width] : {std::tuple<Dims, int64_t, int64_t>{{2, 3, 1, 5, 7}, 5, 7},
                                          {{3, 3, 2, 9, 30}, 4, 13},
                                          {{1, 3, 4, 3, 300}, 2, 290},
                                          {{2, 3, 1, 1, 1}, 1, 1},
                                          {{2, 3, 3, 4, 65}, 3, 64}})
    for (Dtype t : {Dtype::f16, Dtype::bf16, Dtype::f32, Dtype::f64})
      for (Lie lie : {Lie::dense, Lie::channels_last, Lie::padded, Lie::transposed, Lie::backwards, Lie::expanded})
        for (bool windows : {false, true}) {
          SCOPED_TRACE(::testing::Message() << in << " " << t << " " << int(lie) << windows);
          Array x(in, Dtype::u8, lie);
          x.assign([](int64_t i) { return double(i * 37 % 256); });
          const Dims out{in[0], 3, in[2], height, width};
          std::vector<FrameWindow> w(x.view().shape[0]);
          for (std::size_t b = 0; b < w.size() && windows; ++b)
            w[b] = {.top = b == 1 ? in[3] - height : 0, .left = in[4] - width, .flip = b != 2};
          const FrameTransform f{.scale = {kScale[0], kScale[1], kScale[2]},
                                 .shift = {kShift[0], kShift[1], kShift[2]},
                                 .windows = windows ? w.data() : nullptr};
          std::vector<double> want;  // in the order of the output's memory
          for (int64_t b = 0; b < out[0]; ++b)
            for (int64_t time = 0; time < out[2]; ++time)
              for (int64_t h = 0; h < height; ++h)
                for (int64_t column = 0; column < width; ++column)
                  for (int64_t c = 0; c < 3; ++c) {
                    const FrameWindow& at = w[std::size_t(b)];
                    const int64_t from = at.left + (at.flip ? width - 1 - column : column);
                    const double v = x.get((((b * 3 + c) * in[2] + time) * in[3] + at.top + h) * in[4] + from);
                    want.push_back(v * kScale[c] + kShift[c]);
                  }
          std::vector<double> first;
          for (int threads : {1, 3}) {
            set_num_threads(threads);
            Output y(out, t);
            k().normalize_frames[t](x, f, y.view);
            EXPECT_TRUE(y.memory.guards_intact());
            EXPECT_TRUE(near(y.memory.values(), want, t, 4, 1));
            if (!first.empty()) {
              EXPECT_EQ(y.memory.values(), first);
            }
            first = y.memory.values();
          }
        }
}

TEST_P(Frames, Nothing) {
  Array x({0, 3, 2, 4, 4}, Dtype::u8);
  Output y({0, 3, 2, 4, 4}, Dtype::f32);
  k().normalize_frames.f32(x, {.scale = {1, 1, 1}, .shift = {}}, y.view);
  EXPECT_TRUE(y.memory.guards_intact());
}

AR_KERNEL_TESTS(Frames);

}  // namespace
}  // namespace ar::testing
