// Memory that steps of training take again and again.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <thread>
#include <vector>

#include "tensor/backend.h"
#include "tensor/tensor.h"

using namespace ar;

namespace {

Tensor block(int64_t bytes) { return empty({bytes / 4}); }

TEST(Memory, FreedBlocksAreTakenAgain) {
  empty_cache();
  for (int64_t bytes : {100 << 10, 3 << 20, 5 << 20, 9 << 20}) {
    const void* first = block(bytes).data<float>();
    EXPECT_EQ(block(bytes).data<float>(), first) << bytes;
  }
  empty_cache();
  EXPECT_EQ(memory_stats().cached, 0);
}

TEST(Memory, ABigBlockIsCutAndJoinedAgain) {
  empty_cache();
  const float* whole = block(64 << 20).data<float>();
  {
    Tensor a = block(20 << 20), b = block(20 << 20), c = block(20 << 20);
    EXPECT_EQ(a.data<float>(), whole);
    a = {}, c = {}, b = {};  // in the end the one between them
  }
  EXPECT_EQ(block(64 << 20).data<float>(), whole);
}

// Half of what four segments held: something of the system's may lie between two of them.
TEST(Memory, BlocksFreedAcrossSegmentsMakeRoomForALargeOne) {
  empty_cache();
  { const std::vector<Tensor> layers{block(16 << 20), block(16 << 20), block(16 << 20), block(16 << 20)}; }
  const int64_t cached = memory_stats().cached;
  EXPECT_GE(cached, 64 << 20);
  const Tensor large = block(32 << 20);
  EXPECT_LE(memory_stats().cached, cached - (32 << 20));
}

TEST(Memory, FreePartsOfASegmentInUseAreGivenBack) {
  empty_cache();
  const int64_t live = memory_stats().live;
  Tensor parts[4];
  for (Tensor& part : parts) part = block(1 << 20), part.fill(1);
  parts[0] = parts[2] = {};
  EXPECT_GE(memory_stats().cached, 2 << 20);
  empty_cache();
  EXPECT_EQ(memory_stats().cached, 0);
  const Tensor again = block(1 << 20);
  again.fill(2);
  for (int i : {1, 3})
    EXPECT_EQ(std::count(parts[i].data<float>(), parts[i].data<float>() + parts[i].numel(), 1.0f), parts[i].numel());
  EXPECT_LE(memory_stats().live - live, (3 << 20) + (64 << 10));
}

TEST(Memory, ItIsBoundedByTheMostInUse) {
  empty_cache();
  const int64_t before = memory_stats().live;
  for (int64_t mb = 1; mb <= 40; ++mb) block(mb << 20).fill(0);
  EXPECT_EQ(memory_stats().live, before);
  EXPECT_LE(memory_stats().cached, ((before + (40 << 20)) * 9 / 8) + (34 << 20));
}

TEST(Memory, TooMuchIsAnError) { EXPECT_THROW(empty({int64_t{1} << 60}), Error); }

/// Blocks of random sizes and lives in several threads: each still holds what was written when it goes.
TEST(Memory, BlocksDoNotOverlap) {
  const auto work = [](unsigned seed, int* wrong) {
    std::mt19937 gen(seed);
    std::vector<Tensor> held(40);
    for (int i = 0; i < 1500; ++i) {
      Tensor& slot = held[gen() % held.size()];
      if (slot.defined()) {
        const float* v = slot.data<float>();
        *wrong += std::count(v, v + slot.numel(), v[0]) != slot.numel();
      }
      const int64_t size = 1 + gen() % (gen() % 4 ? 30'000 : 300'000);
      slot = empty({size});
      slot.fill(double(gen() % 1000));
      if (i % 400 == 399) empty_cache();
    }
  };
  int wrong[3] = {};
  std::vector<std::thread> threads;
  for (unsigned t = 0; t < 3; ++t) threads.emplace_back(work, t, &wrong[t]);
  for (auto& t : threads) t.join();
  for (int w : wrong) EXPECT_EQ(w, 0);
}

}  // namespace
