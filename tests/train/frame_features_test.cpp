// Features of the frames of a video, with a model that looks at their brightness.
#include "apps/video/frame_features.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>

#include "io/video_index.h"
#include "tests/errors.h"
#include "tests/video/make_video.h"

namespace ar::apps {
namespace {

TEST(FrameViews, MirrorImagesAloneAreLeftOut) {
  const auto flipped = [](const std::vector<FrameWindow>& views) {
    return std::count_if(views.begin(), views.end(), [](const FrameWindow& v) { return v.flip; });
  };
  for (const auto& [count, without] : {std::pair{1, 1}, {2, 1}, {10, 5}}) {
    const auto all = frame_views(count, 20, 30, 10), plain = frame_views(count, 20, 30, 10, false);
    EXPECT_EQ(int(all.size()), count);
    EXPECT_EQ(flipped(all), count / 2);
    EXPECT_EQ(int(plain.size()), without);
    EXPECT_EQ(flipped(plain), 0);
  }
}

struct Nothing : nn::Module {
  Variable forward(const Variable& x) const override { return x; }
  void members(nn::Members&) override {}
};

/// A frame's feature: the red of the pixel in its middle, normalised.
class Brightness : public VideoModel {
 public:
  explicit Brightness(std::function<void()> when_asked) : when_asked_(std::move(when_asked)) {}
  nn::Module& module() override { return nothing_; }
  nn::Backbone& extractor() override { fail("not asked for"); }
  bool frozen() const override { return true; }
  std::string title() const override { return "brightness"; }
  int64_t feature_size() const override { return 1; }
  Variable features(const Variable& clips) const override {
    when_asked_();
    const Tensor& x = clips.value();
    const Tensor result = empty({1, x.size(2), 1});
    for (int64_t t = 0; t < x.size(2); ++t) result[0][t][0].fill(x[0][0][t][x.size(3) / 2][x.size(4) / 2].item());
    return Variable(result);
  }
  ClipScores score(const Variable&, const Tensor&, double) const override { return {}; }
  Variable log_probs(const Variable& features) const override { return features; }
  io::Value architecture() const override { return {}; }
  std::string feature_layer() const override { return ""; }

 private:
  Nothing nothing_;
  std::function<void()> when_asked_;
};

/// Many slices of a video in a container without an index: the file is opened once, so it may vanish meanwhile.
TEST(FrameFeatures, AVideoIsReadByOneReader) {
  constexpr int kFrames = 800, kSide = 48;
  const test::TempDir folder;
  const std::string path = folder / "a.mpg";
  test::make_video(path, {.codec = "mpeg2video",
                          .width = kSide,
                          .height = kSide,
                          .pts = test::steps(kFrames),
                          .draw = [](int i, uint8_t* rgb) { std::memset(rgb, 50 + i / 5, 3 * kSide * kSide); }});
  io::ClipVideo video{.path = path, .name = "a", .label = 0, .index = nullptr};
  video.index = std::make_shared<io::VideoIndex>(io::index_video(path));
  ASSERT_EQ(video.index->frames(), kFrames);
  Brightness model([&] { std::filesystem::remove(path); });
  const VideoModelInfo info{.height = kSide, .width = kSide, .crop = kSide};
  FrameFeatures features(model, info, {});
  FrameJob job{.video = &video, .frames = std::vector<int64_t>(kFrames)};
  std::iota(job.frames.begin(), job.frames.end(), 0);
  int called = 0;
  features.compute({job}, frame_views(1, kSide, kSide, kSide),
                   [&](size_t, const Tensor& values, const std::string& reason) {
                     ++called;
                     ASSERT_EQ(reason, "");
                     ASSERT_EQ(values.shape(), Dims({1, kFrames, 1}));
                     for (int64_t i = 0; i < kFrames; ++i) {
                       const double grey = 255 * (values[0][i][0].item() * info.pixels.std[0] + info.pixels.mean[0]);
                       ASSERT_NEAR(grey, double(50 + i / 5), 4) << i;
                     }
                   });
  EXPECT_EQ(called, 1);
}

}  // namespace
}  // namespace ar::apps
