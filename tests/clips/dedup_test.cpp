// Near duplicates among clips.
#include "apps/clips/dedup.h"

#include <cmath>

#include "tests/errors.h"
#include "tests/video/make_video.h"

namespace ar::apps {
namespace {

TEST(SimilarGroups, AreConnectedComponents) {
  const auto at = [](double angle) { return std::vector<float>{float(std::cos(angle)), float(std::sin(angle))}; };
  // 0.2 rad: cosine 0.98. 0, 2 and 4 are linked in a chain whose ends differ by 0.4 rad.
  const std::vector<std::vector<float>> features = {at(0), at(2), at(0.2), at(3), at(0.4), at(2.1)};
  EXPECT_EQ(similar_groups(features, 0.97), (std::vector<std::vector<size_t>>{{0, 2, 4}, {1, 5}}));
  EXPECT_TRUE(similar_groups(features, 0.999).empty());
  EXPECT_TRUE(similar_groups({}, 0.97).empty());
}

TEST(ClipFeature, IsTheMeanOverFramesOfTheWholeClip) {
  const test::TempDir dir;
  test::make_video(dir / "a.mp4", {.pts = test::steps(100)});
  std::vector<int> seen;
  FrameEmbedder e{.image_size = 64};
  e.embed = [&](const Tensor& frames) {
    const Tensor rows = empty({frames.size(0), 2}, {.layout = Layout::channels_first});
    auto* out = rows.mutable_data<float>();
    for (int64_t i = 0; i < frames.size(0); ++i, out += 2) {
      seen.push_back(test::burnt_number(frames[i]));
      out[0] = 3, out[1] = 4;
    }
    return rows;
  };
  const auto feature = clip_feature(dir / "a.mp4", e);
  ASSERT_EQ(seen.size(), 25u);
  for (int i = 0; i < 25; ++i) EXPECT_EQ(seen[size_t(i)], 4 * i + 2);
  EXPECT_NEAR(feature[0], 0.6, 1e-6);
  EXPECT_NEAR(feature[1], 0.8, 1e-6);
  seen.clear();
  test::make_video(dir / "b.mp4", {.pts = test::steps(3)});
  clip_feature(dir / "b.mp4", e);
  EXPECT_EQ(seen, (std::vector<int>{0, 1, 2}));
}

}  // namespace
}  // namespace ar::apps
