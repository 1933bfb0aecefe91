#include "io/sampler.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "io/dataset.h"
#include "tests/errors.h"

namespace ar::io {
namespace {

TEST(SampleRandom, DependsOnTheWholeKey) {
  std::set<uint64_t> firsts;
  for (uint64_t seed : {0u, 1u})
    for (uint64_t epoch : {0u, 1u})
      for (uint64_t position : {0u, 1u, 2u})
        for (RandomStream stream : {RandomStream::augmentation, RandomStream::replacement})
          firsts.insert(SampleRandom({seed, epoch, position}, stream).next64());
  EXPECT_EQ(firsts.size(), 24u);
  SampleRandom a({1, 2, 3}), b({1, 2, 3});
  for (int i = 0; i < 100; ++i) EXPECT_EQ(a.next(), b.next());
}

TEST(SampleRandom, NumbersNeverChange) {
  // Checkpoints count on these: an order of samples is never stored, but computed again.
  SampleRandom random({.seed = 1, .epoch = 2, .position = 3});
  const uint32_t first = random.next();
  EXPECT_EQ(first, philox4x32_10({{0, 0, 3, 0}}, philox4x32_10({{2, 0, 0, 0}}, 1, 0).v[0],
                                 philox4x32_10({{2, 0, 0, 0}}, 1, 0).v[1])
                       .v[0]);
}

TEST(SampleRandom, Uniform) {
  SampleRandom random({.seed = 3});
  std::vector<int64_t> count(7);
  double sum = 0;
  for (int i = 0; i < 70000; ++i) {
    ++count[std::size_t(random.below(7))];
    const double u = random.uniform(-1, 3);
    EXPECT_TRUE(u >= -1 && u < 3);
    sum += u;
  }
  for (int64_t c : count) EXPECT_NEAR(double(c), 10000, 400);
  EXPECT_NEAR(sum / 70000, 1, 0.02);
}

TEST(Sampler, ShuffledVisitsEachOnce) {
  const Sampler s = shuffled(1000, 5);
  auto a = s(0), b = s(1);
  EXPECT_EQ(a, s(0));
  EXPECT_EQ(a, shuffled(1000, 5)(0));
  EXPECT_NE(a, b);
  EXPECT_NE(a, shuffled(1000, 6)(0));
  std::sort(a.begin(), a.end());
  EXPECT_EQ(a, sequential(1000)(3));
  // Every value is equally likely at every place: the mean over epochs of the first index is the middle.
  double sum = 0;
  for (uint64_t epoch = 0; epoch < 2000; ++epoch) sum += double(shuffled(9, 1)(epoch)[0]);
  EXPECT_NEAR(sum / 2000, 4, 0.25);
  EXPECT_TRUE(shuffled(0, 1)(0).empty());
}

TEST(Sampler, WeightedBalancesClasses) {
  std::vector<int64_t> labels(1000, 0);
  for (std::size_t i = 0; i < 50; ++i) labels[i * 20] = 1;
  const Sampler s = weighted(balancing_weights(labels), 20000, 9);
  const auto a = s(0);
  EXPECT_EQ(a, s(0));
  EXPECT_NE(a, s(1));
  EXPECT_EQ(a.size(), 20000u);
  int64_t ones = 0;
  for (int64_t i : a) ones += labels[std::size_t(i)];
  EXPECT_NEAR(double(ones), 10000, 400);
  for (int64_t i : weighted({0, 1, 0, 2, 0}, 1000, 0)(0)) EXPECT_TRUE(i == 1 || i == 3);
  EXPECT_MESSAGE(weighted({1, -1}, 3, 0), "one is -1");
  EXPECT_MESSAGE(weighted({1, std::nan("")}, 3, 0), "one is nan");
  EXPECT_MESSAGE(weighted({0, 0}, 3, 0), "no weight is positive");
}

}  // namespace
}  // namespace ar::io
