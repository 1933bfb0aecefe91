// Smoothing, peaks, windows: against definitions, on uneven times, plateaus, ties and short videos.
#include "apps/clips/selection.h"

#include <cmath>
#include <random>

#include "tests/errors.h"

namespace ar::apps {
namespace {

std::vector<double> times(int n, double step) {
  std::vector<double> t;
  for (int i = 0; i < n; ++i) t.push_back(i * step);
  return t;
}

double bump(double t, double at, double height, double width = 2) {
  return height * std::exp(-(t - at) * (t - at) / (2 * width * width));
}

std::vector<ClipWindow> select(const std::vector<double>& t, const std::vector<double>& scores, double duration,
                               SelectionOptions options = {}) {
  return select_windows(t, {scores}, {7}, duration, options);
}

TEST(SmoothScores, KeepsConstantsAndTheIntegralOfABump) {
  const auto t = times(200, 0.1);
  const auto flat = smooth_scores(t, std::vector<double>(200, 0.4), 1);
  for (const double s : flat) EXPECT_NEAR(s, 0.4, 1e-12);
  std::vector<double> one(200, 0.0);
  one[100] = 1;
  const auto smooth = smooth_scores(t, one, 1);
  double sum = 0;
  for (const double s : smooth) sum += s;
  EXPECT_NEAR(sum, 1, 1e-3);
  EXPECT_NEAR(smooth[110] / smooth[100], std::exp(-0.5), 1e-6);  // one sigma away
  EXPECT_EQ(smooth_scores(t, one, 0), one);
}

TEST(SmoothScores, UnevenTimesDoNotMoveThePeak) {
  // The same bump sampled densely on its left and sparsely on its right.
  std::vector<double> t, s;
  for (double x = 0; x < 20; x += x < 10 ? 0.02 : 0.5) t.push_back(x), s.push_back(bump(x, 10, 1));
  const auto smooth = smooth_scores(t, s, 1);
  const auto peak = size_t(std::max_element(smooth.begin(), smooth.end()) - smooth.begin());
  EXPECT_NEAR(t[peak], 10, 0.51);
}

TEST(FindPeaks, TakesMiddlesOfPlateausAndEnds) {
  EXPECT_EQ(find_peaks(std::vector<double>{}), (std::vector<size_t>{}));
  EXPECT_EQ(find_peaks(std::vector<double>{3}), (std::vector<size_t>{0}));
  EXPECT_EQ(find_peaks(std::vector<double>{1, 1, 1}), (std::vector<size_t>{1}));
  EXPECT_EQ(find_peaks(std::vector<double>{2, 1, 3, 3, 3, 2, 2, 5}), (std::vector<size_t>{0, 3, 7}));
  EXPECT_EQ(find_peaks(std::vector<double>{1, 2, 2, 3, 1}), (std::vector<size_t>{3}));
}

TEST(SelectWindows, CentresOnTheGreatestPeaksFirst) {
  const auto t = times(600, 0.1);
  std::vector<double> s;
  for (const double x : t) s.push_back(bump(x, 15, 0.5) + bump(x, 40, 0.9));
  const auto windows = select(t, s, 60);
  ASSERT_EQ(windows.size(), 2u);
  EXPECT_NEAR(windows[0].start, 35, 0.06);
  EXPECT_NEAR(windows[0].end, 45, 0.06);
  EXPECT_NEAR(windows[1].start, 10, 0.06);
  EXPECT_GT(windows[0].score, windows[1].score);
  EXPECT_EQ(windows[0].label, 7);
}

TEST(SelectWindows, ShiftsInsideTheVideoAndNeverShortens) {
  const auto t = times(300, 0.1);
  std::vector<double> s;
  for (const double x : t) s.push_back(bump(x, 1, 0.9) + bump(x, 29, 0.8));
  const auto windows = select(t, s, 30);
  ASSERT_EQ(windows.size(), 2u);
  EXPECT_EQ(windows[0].start, 0);
  EXPECT_EQ(windows[0].end, 10);
  EXPECT_NEAR(windows[1].start, 20, 1e-9);
  EXPECT_NEAR(windows[1].end, 30, 1e-9);
}

TEST(SelectWindows, ShortVideosGiveOneWholeClip) {
  for (const double duration : {0.04, 3.0, 10.0}) {
    const auto t = times(std::max(1, int(duration / 0.1)), 0.1);
    std::vector<double> s;
    for (size_t i = 0; i < t.size(); ++i) s.push_back(std::sin(double(i)));
    const auto windows = select(t, s, duration, {.min_score = -2});
    ASSERT_EQ(windows.size(), 1u) << duration;
    EXPECT_EQ(windows[0].start, 0);
    EXPECT_EQ(windows[0].end, duration);
  }
  EXPECT_TRUE(select({}, {}, 0).empty());
}

TEST(SelectWindows, MinGapKeepsClipsApart) {
  const auto t = times(600, 0.1);
  std::vector<double> s;
  for (const double x : t) s.push_back(bump(x, 20, 0.9, 1) + bump(x, 28, 0.8, 1) + bump(x, 33, 0.7, 1));
  const auto starts = [&](double gap) {
    std::vector<int> all;
    for (const ClipWindow& w : select(t, s, 60, {.n_clips = 3, .smooth = 0.2, .min_gap = gap}))
      all.push_back(int(std::lround(w.start)));
    return all;
  };
  EXPECT_EQ(starts(0), (std::vector<int>{15, 28}));
  EXPECT_EQ(starts(4), (std::vector<int>{15}));
  EXPECT_EQ(starts(-10), (std::vector<int>{15, 23, 28}));
}

TEST(SelectWindows, TiesGoToTheEarlierAndMinScoreHolds) {
  const auto t = times(600, 0.1);
  std::vector<double> s(600, 0.0);
  for (int i = 95; i < 105; ++i) s[size_t(i)] = s[size_t(i + 200)] = s[size_t(i + 400)] = 1;
  const auto windows = select(t, s, 60, {.n_clips = 2, .smooth = 0});
  ASSERT_EQ(windows.size(), 2u);
  EXPECT_NEAR(windows[0].peak, 9.9, 1e-9);
  EXPECT_NEAR(windows[1].peak, 29.9, 1e-9);
  EXPECT_TRUE(select(t, s, 60, {.min_score = 1.5}).empty());
}

TEST(SelectWindows, PeaksOfAllClassesCompete) {
  const auto t = times(600, 0.1);
  std::vector<double> a, b;
  for (const double x : t) a.push_back(bump(x, 15, 0.5)), b.push_back(bump(x, 45, 0.9) + bump(x, 16, 0.4));
  const auto windows = select_windows(t, {a, b}, {3, 5}, 60, {});
  ASSERT_EQ(windows.size(), 2u);
  EXPECT_EQ(windows[0].label, 5);
  EXPECT_EQ(windows[1].label, 3);
}

TEST(SelectWindows, RawTopTakesTheTopFrames) {
  const auto t = times(600, 0.1);
  std::vector<double> s;
  for (const double x : t) s.push_back(bump(x, 40, 0.9));
  const auto windows = select(t, s, 60, {.n_clips = 3, .clip_len = 5, .raw_top = true});
  ASSERT_EQ(windows.size(), 3u);
  EXPECT_NEAR(windows[0].peak, 40, 1e-9);
  EXPECT_NEAR(windows[1].peak, 39.9, 1e-9);
  EXPECT_NEAR(windows[2].peak, 40.1, 1e-9);
}

TEST(SelectWindows, RandomCurvesGiveWindowsThatKeepTheRules) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; ++round) {
    const int n = int(random() % 300);
    std::vector<double> t, s;
    for (double x = 0; int(t.size()) < n; x += 0.01 + double(random() % 100) / 500)
      t.push_back(x), s.push_back(double(random() % 8) / 8);
    const double duration = n ? t.back() + 0.04 : 0;
    const SelectionOptions o{.n_clips = int64_t(random() % 5), .clip_len = 1 + double(random() % 10)};
    const auto windows = select(t, s, duration, o);
    EXPECT_LE(int64_t(windows.size()), o.n_clips);
    for (size_t i = 0; i < windows.size(); ++i) {
      EXPECT_GE(windows[i].start, 0);
      EXPECT_LE(windows[i].end, duration + 1e-9);
      EXPECT_NEAR(windows[i].end - windows[i].start, std::min(o.clip_len, duration), 1e-9);
      EXPECT_LE(windows[i].start, windows[i].peak);
      EXPECT_GE(windows[i].end, windows[i].peak);
      for (size_t j = 0; j < i; ++j) {
        EXPECT_GE(windows[j].score, windows[i].score);
        EXPECT_TRUE(windows[i].start >= windows[j].end - 1e-9 || windows[i].end <= windows[j].start + 1e-9);
      }
    }
  }
}

}  // namespace
}  // namespace ar::apps
