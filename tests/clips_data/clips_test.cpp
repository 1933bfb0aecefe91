// Clips: which frames, exactly those, whatever the video; and no copy of pixels on their way to the network.
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "autograd/autograd.h"
#include "io/clips.h"
#include "io/loader.h"
#include "io/video_reader.h"
#include "io/video_scan.h"
#include "nn/models/lrcn.h"
#include "tensor/backend.h"
#include "tensor/ops_frames.h"
#include "tests/errors.h"
#include "tests/video/make_video.h"

namespace ar::io {
namespace {

using test::make_video;
using test::steps;
using test::TempDir;
using testing::ElementsAre;

TEST(Clips, Positions) {
  const ClipShape clip{.frames = 4, .step = 2};
  EXPECT_EQ(clip.span(), 7);
  EXPECT_THAT(clip_frames(clip, 3, 100), ElementsAre(3, 5, 7, 9));
  EXPECT_THAT(clip_frames(clip, 0, 3), ElementsAre(0, 2, 1, 0));
  EXPECT_THAT(clip_frames(clip, 0, 1), ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(uniform_starts(clip, 1, 17), ElementsAre(5));
  EXPECT_THAT(uniform_starts(clip, 3, 17), ElementsAre(0, 5, 10));
  EXPECT_THAT(uniform_starts(clip, 3, 5), ElementsAre(0, 0, 0));
  EXPECT_THAT(strided_starts(clip, 8, 24), ElementsAre(0, 8, 16, 17));
  EXPECT_THAT(strided_starts(clip, 8, 23), ElementsAre(0, 8, 16));  // the last one ends with the video
  EXPECT_THAT(strided_starts(clip, 8, 7), ElementsAre(0));
  EXPECT_THAT(strided_starts(clip, 8, 2), ElementsAre(0));
}

/// Two videos with numbered frames of 64 x 48.
class ClipFiles : public testing::Test {
 protected:
  void SetUp() override {
    make_video(folder / "long.mp4", {.width = 64, .height = 48, .pts = steps(60), .muxer_options = {}, .draw = {}});
    make_video(folder / "short.mp4", {.width = 64, .height = 48, .pts = steps(5), .muxer_options = {}, .draw = {}});
  }
  ClipVideo video(const std::string& name, int64_t label = 0) const {
    return {.path = folder / name,
            .name = name,
            .label = label,
            .index = std::make_shared<VideoIndex>(index_video(folder / name))};
  }
  static std::vector<int> numbers(const Tensor& clip) {
    std::vector<int> result;
    for (int64_t t = 0; t < clip.size(1); ++t) result.push_back(test::burnt_number(clip.select(1, t)));
    return result;
  }
  TempDir folder;
};

TEST_F(ClipFiles, ExactlyTheFramesThatWereAskedFor) {
  const ClipVideo v = video("long.mp4");
  const Tensor clip = clip_batch(1, 5, 48, 64)[0];
  read_frames(v.path, *v.index, {58, 3, 3, 31, 0}, clip);
  EXPECT_THAT(numbers(clip), ElementsAre(58, 3, 3, 31, 0));
}

TEST_F(ClipFiles, AShortVideoBeginsAnew) {
  const ClipDataset clips({video("short.mp4")},
                          {.clip = {.frames = 7}, .per_video = 1, .height = 48, .width = 64, .crop = 48});
  const Tensor batch = clip_batch(1, 7, 48, 64);
  clips.fill(0, {}, batch[0]);
  EXPECT_THAT(numbers(batch[0]), ElementsAre(0, 1, 2, 3, 4, 0, 1));
}

TEST_F(ClipFiles, RandomClipsFollowTheKeyAndStayWithinTheVideo) {
  const ClipDataset clips({video("long.mp4")}, {.clip = {.frames = 4, .step = 3},
                                                .per_video = 2,
                                                .random = true,
                                                .mirror = true,
                                                .height = 48,
                                                .width = 64,
                                                .crop = 40});
  EXPECT_EQ(clips.size(), 2);
  const Tensor clip = clip_batch(1, 4, 48, 64)[0];
  std::vector<int> starts;
  int mirrored = 0;
  for (uint64_t i = 0; i < 12; ++i) {
    clips.fill(0, {.seed = 1, .epoch = i}, clip);
    const std::vector<int> n = numbers(clip);
    EXPECT_THAT(n, ElementsAre(n[0], n[0] + 3, n[0] + 6, n[0] + 9));
    starts.push_back(n[0]);
    const FrameWindow window = clips.window(0, {.seed = 1, .epoch = i});
    EXPECT_LE(window.top, 8);
    EXPECT_LE(window.left, 24);
    mirrored += window.flip;
    clips.fill(0, {.seed = 1, .epoch = i}, clip);
    EXPECT_EQ(numbers(clip), n);
  }
  EXPECT_GT(std::set<int>(starts.begin(), starts.end()).size(), 5u);
  EXPECT_GT(mirrored, 1);
  EXPECT_LT(mirrored, 11);
}

TEST_F(ClipFiles, ColoursOfAllFramesOfAClipChangeAlike) {
  const ClipOptions options{.clip = {.frames = 7}, .per_video = 1, .height = 48, .width = 64, .crop = 48};
  ClipOptions jitter = options;
  jitter.color_jitter = 0.4;
  const Tensor plain = clip_batch(1, 7, 48, 64)[0], one = clip_batch(1, 7, 48, 64)[0],
               other = clip_batch(1, 7, 48, 64)[0];
  const auto frame = [](const Tensor& clip, int64_t t) { return clip.select(1, t).to_vector<uint8_t>(); };
  ClipDataset({video("short.mp4")}, options).fill(0, {.seed = 1}, plain);
  ClipDataset({video("short.mp4")}, jitter).fill(0, {.seed = 1}, one);
  ClipDataset({video("short.mp4")}, jitter).fill(0, {.seed = 2}, other);
  EXPECT_NE(frame(one, 0), frame(plain, 0));
  EXPECT_NE(frame(one, 0), frame(other, 0));
  EXPECT_EQ(frame(one, 5), frame(one, 0));  // the video begins anew there
  EXPECT_EQ(frame(one, 6), frame(one, 1));
}

TEST_F(ClipFiles, AStepFromTheFilesToTheGradientsCopiesNoLayout) {
  const auto clips = std::make_shared<ClipDataset>(std::vector{video("long.mp4", 0), video("short.mp4", 1)},
                                                   ClipOptions{.clip = {.frames = 4},
                                                               .per_video = 2,
                                                               .random = true,
                                                               .mirror = true,
                                                               .height = 48,
                                                               .width = 64,
                                                               .crop = 32});
  Loader loader(clips, sequential(clips->size()), {.batch_size = 4, .workers = 2});
  const nn::LRCN net({.feature_extractor = "tiny_darknet", .classes = 2, .rnn_units = 8});
  loader.start(0);
  const auto batch = loader.next();
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->inputs.stride(3) % 64, 0);  // rows with room for the scaler: it writes into the batch itself
  const int64_t before = layout_copies();
  net.loss(ops::normalize_frames(batch->inputs, {}, {.height = 32, .width = 32, .windows = batch->windows}),
           batch->targets)
      .backward();
  EXPECT_EQ(layout_copies(), before);
}

TEST_F(ClipFiles, UnreadableVideosAreReplacedAndTheBatchKeepsItsSize) {
  ClipVideo gone = video("short.mp4");
  gone.path = folder / "gone.mp4";
  const auto clips = std::make_shared<ClipDataset>(
      std::vector{gone, video("long.mp4")},
      ClipOptions{.clip = {.frames = 4}, .per_video = 1, .height = 48, .width = 64, .crop = 32});
  Loader loader(clips, sequential(2), {.batch_size = 2, .workers = 0});
  loader.start(0);
  const auto batch = loader.next();
  ASSERT_TRUE(batch);
  EXPECT_EQ(batch->size(), 2);
  EXPECT_EQ(batch->replaced, 1);
  EXPECT_EQ(loader.bad().size(), 1u);
}

TEST_F(ClipFiles, SensibleOptionsOnly) {
  const auto make = [&](const ClipOptions& options) { ClipDataset({video("long.mp4")}, options); };
  EXPECT_MESSAGE(make({.clip = {.frames = 0}}), "0 frames");
  EXPECT_MESSAGE(make({.height = 100, .width = 200, .crop = 101}), "101 x 101");
  EXPECT_MESSAGE(make({.per_video = 0}), "0 of each video");
}

TEST_F(ClipFiles, TheIndexIsRememberedUntilAFileChanges) {
  std::ofstream(folder / "text.mp4") << "this is no video";
  const std::vector<std::string> paths{"long.mp4", "text.mp4", "gone.mp4"};
  const VideoScanOptions options{.cache = folder / "index.safetensors"};
  const VideoScan first = scan_videos(folder.path(), paths, options),
                  again = scan_videos(folder.path(), paths, options);
  EXPECT_EQ(first.reused, 0);
  EXPECT_EQ(again.reused, 2);  // one is not there
  for (const VideoScan* scan : {&first, &again}) {
    EXPECT_EQ(scan->videos[0].index.frames(), 60);
    EXPECT_EQ(scan->videos[0].bad, "");
    EXPECT_NE(scan->videos[1].bad, "");
    EXPECT_NE(scan->videos[2].bad, "");
  }
  EXPECT_EQ(first.videos[0].index.pts, again.videos[0].index.pts);
  EXPECT_EQ(first.videos[0].index.key_frames, again.videos[0].index.key_frames);
  EXPECT_EQ(first.videos[0].index.facts.start_pts, again.videos[0].index.facts.start_pts);
  EXPECT_EQ(first.videos[0].index.facts.time_base, again.videos[0].index.facts.time_base);
  make_video(folder / "long.mp4", {.width = 64, .height = 48, .pts = steps(30), .muxer_options = {}, .draw = {}});
  EXPECT_EQ(scan_videos(folder.path(), paths, options).videos[0].index.frames(), 30);
  std::ofstream(folder / "index.safetensors") << "damaged";
  EXPECT_EQ(scan_videos(folder.path(), paths, options).reused, 0);
}

}  // namespace
}  // namespace ar::io
