#include "tensor/backend.h"
#include "tensor/ops_frames.h"
#include "tests/errors.h"

namespace ar {
namespace {

Tensor counted(const Dims& shape, const TensorOptions& options) {
  const Tensor x = empty(shape, options);
  std::vector<uint8_t> values(std::size_t(x.numel()));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = uint8_t(i * 31 % 256);
  x.copy_from(from_vector(values, shape));
  return x;
}

TEST(NormalizeFrames, ImagesAndVideosWithoutALayoutCopy) {
  const PixelStats stats;
  for (const Dims& shape : {Dims{2, 3, 6, 10}, Dims{2, 3, 4, 6, 10}})
    for (int64_t row_align : {0, 64}) {
      const Tensor x = counted(shape, {.dtype = Dtype::u8, .row_align = row_align});
      const int64_t before = layout_copies();
      const Tensor y = ops::normalize_frames(x, stats);
      EXPECT_EQ(layout_copies(), before);
      EXPECT_EQ(y.shape(), shape);
      EXPECT_EQ(y.dtype(), Dtype::f32);
      EXPECT_TRUE(y.is_dense(Layout::channels_last));
      const auto bytes = x.to_vector<double>(), got = y.to_vector<double>();
      const int64_t plane = y.numel() / 6;
      for (int64_t i = 0; i < y.numel(); ++i) {
        const std::size_t c = std::size_t(i / plane % 3);
        EXPECT_NEAR(got[std::size_t(i)], (bytes[std::size_t(i)] / 255 - stats.mean[c]) / stats.std[c], 1e-6);
      }
    }
}

TEST(NormalizeFrames, WindowsAreNarrowAndFlip) {
  const Tensor x = counted({3, 3, 2, 9, 11}, {.dtype = Dtype::u8, .row_align = 64});
  const std::vector<FrameWindow> windows{{2, 3, false}, {0, 5, true}, {4, 0, true}};
  const Tensor y = ops::normalize_frames(x, {}, {.dtype = Dtype::f64, .height = 5, .width = 6, .windows = windows});
  for (int64_t b = 0; b < 3; ++b) {
    const FrameWindow& w = windows[std::size_t(b)];
    const Tensor cut = x.narrow(0, b, 1).narrow(3, w.top, 5).narrow(4, w.left, 6);
    const Tensor want = ops::normalize_frames(cut, {}, {.dtype = Dtype::f64});
    for (int64_t column = 0; column < 6; ++column)
      EXPECT_EQ(y.narrow(0, b, 1).narrow(4, column, 1).to_vector<double>(),
                want.narrow(4, w.flip ? 5 - column : column, 1).to_vector<double>());
  }
}

TEST(NormalizeFrames, BadInput) {
  const Tensor x = zeros({2, 3, 4, 5}, {.dtype = Dtype::u8});
  EXPECT_MESSAGE(ops::normalize_frames(x.to(Dtype::f32)), "normalize_frames: x must be uint8, it is float32");
  EXPECT_MESSAGE(ops::normalize_frames(zeros({2, 4, 4, 5}, {.dtype = Dtype::u8})), "(B,3,H,W) or (B,3,T,H,W)");
  EXPECT_MESSAGE(ops::normalize_frames(x, {}, {.height = 5}), "the window of 5 x 5 pixels at (0,0) of sample 0");
  const std::vector<FrameWindow> one(1);
  EXPECT_MESSAGE(ops::normalize_frames(x, {}, {.windows = one}), "2 samples need as many windows, not 1");
  EXPECT_MESSAGE(ops::normalize_frames(x, {.std = {1, 0, 1}}), "deviations must be positive, channel 1 has 0");
  EXPECT_MESSAGE(ops::normalize_frames(x, {}, {.dtype = Dtype::i64}), "kernel for int64");
}

}  // namespace
}  // namespace ar
