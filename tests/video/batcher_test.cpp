// Decoding ahead into a ring of batches: which frames come, in which batch, and that memory is used again.
#include "io/video_batcher.h"

#include <set>

#include "tests/errors.h"
#include "tests/video/make_video.h"

namespace ar {
namespace {

using io::FrameBatcher;

struct Sampled {
  std::vector<int> numbers;
  std::vector<double> seconds;
  std::set<const void*> buffers;
};

Sampled read_all(const std::string& path, io::BatcherOptions options) {
  options.height = 48;
  options.width = 64;
  FrameBatcher batcher(path, options);
  Sampled all;
  while (const auto batch = batcher.next()) {
    EXPECT_EQ(batch->frames.size(0), int64_t(batch->times.size()));
    all.buffers.insert(batch->frames.data<uint8_t>());
    for (size_t i = 0; i < batch->times.size(); ++i) {
      all.numbers.push_back(test::burnt_number(batch->frames[int64_t(i)]));
      all.seconds.push_back(batch->times[i].seconds);
    }
  }
  EXPECT_TRUE(batcher.stats().at_end);
  EXPECT_FALSE(batcher.next());
  return all;
}

TEST(FrameBatcher, TakesEveryNthFrameInFewBuffers) {
  const test::TempDir dir;
  test::make_video(dir / "a.mp4", {.pts = test::steps(100)});
  const Sampled all = read_all(dir / "a.mp4", {.batch_size = 4, .every = 3, .ring = 2});
  ASSERT_EQ(all.numbers.size(), 34u);
  for (int i = 0; i < 34; ++i) {
    EXPECT_EQ(all.numbers[size_t(i)], 3 * i);
    EXPECT_NEAR(all.seconds[size_t(i)], 3 * i * 0.04, 1e-9);
  }
  EXPECT_LE(all.buffers.size(), 3u);
}

TEST(FrameBatcher, TakesFramesAtARate) {
  const test::TempDir dir;
  test::make_video(dir / "a.mp4", {.time_base_num = 1001, .time_base_den = 30000, .pts = test::steps(90)});
  const Sampled all = read_all(dir / "a.mp4", {.batch_size = 64, .fps = 5});
  ASSERT_EQ(all.numbers.size(), 15u);  // the last frame is shown at 2.97 s
  for (int i = 0; i < 15; ++i) {
    EXPECT_GE(all.seconds[size_t(i)], i * 0.2 - 1e-3);
    EXPECT_LT(all.seconds[size_t(i)], i * 0.2 + 0.034);
  }
}

TEST(FrameBatcher, MayEndAtAnyMoment) {
  const test::TempDir dir;
  test::make_video(dir / "a.mp4", {.pts = test::steps(100)});
  for (int batches = 0; batches < 4; ++batches) {
    FrameBatcher batcher(dir / "a.mp4", {.batch_size = 2, .height = 16, .width = 16});
    for (int i = 0; i < batches; ++i) EXPECT_TRUE(batcher.next());
  }
}

TEST(FrameBatcher, ErrorsOfItsThreadReachTheCaller) {
  const test::TempDir dir;
  EXPECT_MESSAGE(FrameBatcher(dir / "none.mp4", {.height = 8, .width = 8}), "none.mp4: cannot be read");
  test::make_video(dir / "a.mp4", {.pts = test::steps(10),
                                   .muxer_options = {{"encryption_scheme", "cenc-aes-ctr"},
                                                     {"encryption_key", "00112233445566778899aabbccddeeff"},
                                                     {"encryption_kid", "00112233445566778899aabbccddeeff"}}});
  FrameBatcher batcher(dir / "a.mp4", {.height = 8, .width = 8});
  EXPECT_MESSAGE(batcher.next(), "a.mp4: is encrypted");
}

}  // namespace
}  // namespace ar
