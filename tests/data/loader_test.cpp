#include "io/loader.h"

#include <algorithm>
#include <chrono>
#include <mutex>
#include <set>
#include <thread>

#include "tests/errors.h"

namespace ar::io {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

/// Samples whose bytes follow from index and key; some are slow, some cannot be read.
class Made : public Dataset {
 public:
  explicit Made(int64_t size, int delay_us = 0) : size_(size), delay_us_(delay_us) {}
  std::set<int64_t> unreadable;
  int64_t broken = -1;  // throws what is no Error

  int64_t size() const override { return size_; }
  Dims sample_shape() const override { return {3, 4, 5}; }
  int64_t row_align() const override { return 64; }
  int64_t label(int64_t index) const override { return index % 3; }
  std::string name(int64_t index) const override { return "sample " + std::to_string(index); }
  FrameWindow window(int64_t index, const SampleKey& key) const override {
    return {.top = index, .left = SampleRandom(key).below(100), .flip = index % 2 == 0};
  }
  void fill(int64_t index, const SampleKey& key, const Tensor& slot) const override {
    if (index == broken) throw std::length_error("out of order");
    SampleRandom random(key);
    if (delay_us_) {
      // Differs from run to run, unlike what is written.
      const auto now = std::chrono::steady_clock::now().time_since_epoch().count();
      std::this_thread::sleep_for(std::chrono::microseconds(uint64_t(now) * 2654435761u % uint64_t(delay_us_)));
    }
    if (unreadable.contains(index)) fail(name(index), ": cannot be read");
    for (int64_t h = 0; h < 4; ++h)
      for (int64_t i = 0; i < 15; ++i)
        slot.mutable_data<uint8_t>()[h * slot.stride(1) + i] = uint8_t(random.below(200) + index % 50);
  }

 private:
  int64_t size_;
  int delay_us_;
};

/// All that an epoch delivers, as bytes.
std::vector<int64_t> transcript(Loader& loader, uint64_t epoch, int64_t skip = 0) {
  std::vector<int64_t> all;
  loader.start(epoch, skip);
  while (const std::optional<Batch> b = loader.next()) {
    all.push_back(b->number);
    all.push_back(b->replaced);
    for (const std::vector<int64_t>& part :
         {b->indices, b->targets.to_vector<int64_t>(), b->inputs.to_vector<int64_t>()})
      all.insert(all.end(), part.begin(), part.end());
    for (const FrameWindow& w : b->windows) all.insert(all.end(), {w.top, w.left, w.flip});
  }
  return all;
}

TEST(Loader, SequenceDependsOnTheSeedAlone) {
  const auto slow = std::make_shared<Made>(53, 400), fast = std::make_shared<Made>(53);
  slow->unreadable = fast->unreadable = {3, 17, 40};
  const auto make = [](std::shared_ptr<const Dataset> d, int workers, int64_t ahead, uint64_t seed) {
    return Loader(std::move(d), shuffled(53, seed),
                  {.batch_size = 8, .workers = workers, .ahead = ahead, .seed = seed});
  };
  Loader alone = make(fast, 0, 1, 7);
  const auto first = transcript(alone, 0), second = transcript(alone, 1);
  EXPECT_NE(first, second);
  EXPECT_EQ(alone.bad().size(), 3u);
  for (int workers : {1, 2, 5})
    for (int64_t ahead : {1, 4}) {
      Loader loader = make(slow, workers, ahead, 7);
      EXPECT_EQ(transcript(loader, 0), first) << workers;
      EXPECT_EQ(transcript(loader, 1), second) << workers;
      EXPECT_EQ(transcript(loader, 0), first) << workers;
      ASSERT_EQ(loader.bad().size(), 3u);
      for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(loader.bad()[i].index, alone.bad()[i].index);
    }
  Loader other = make(fast, 2, 2, 8);
  EXPECT_NE(transcript(other, 0), first);
}

TEST(Loader, EntersAnEpochAnywhere) {
  const auto data = std::make_shared<Made>(30);
  Loader whole(data, shuffled(30, 1), {.batch_size = 4, .workers = 2});
  for (int workers : {0, 3}) {
    Loader loader(data, shuffled(30, 1), {.batch_size = 4, .workers = workers});
    for (int64_t skip = 0; skip <= 8; ++skip) {
      whole.start(5);
      for (int64_t i = 0; i < skip; ++i) ASSERT_TRUE(whole.next());
      loader.start(5, skip);
      EXPECT_EQ(loader.batches(), 8);
      for (;;) {
        const auto a = whole.next(), b = loader.next();
        ASSERT_EQ(a.has_value(), b.has_value());
        if (!a) break;
        EXPECT_EQ(a->number, b->number);
        EXPECT_EQ(a->indices, b->indices);
        EXPECT_EQ(a->inputs.to_vector<int64_t>(), b->inputs.to_vector<int64_t>());
      }
    }
    EXPECT_MESSAGE(loader.start(0, 9), "cannot skip 9 of 8 batches");
  }
}

TEST(Loader, LastBatch) {
  const auto data = std::make_shared<Made>(10);
  for (int workers : {0, 2}) {
    Loader kept(data, sequential(10), {.batch_size = 4, .workers = workers});
    kept.start(0);
    EXPECT_EQ(kept.next()->inputs.shape(), (Dims{4, 3, 4, 5}));
    EXPECT_EQ(kept.next()->size(), 4);
    const auto last = kept.next();
    EXPECT_EQ(last->inputs.shape(), (Dims{2, 3, 4, 5}));
    EXPECT_EQ(last->indices, (std::vector<int64_t>{8, 9}));
    EXPECT_EQ(last->targets.to_vector<int64_t>(), (std::vector<int64_t>{2, 0}));
    EXPECT_FALSE(kept.next());
    EXPECT_FALSE(kept.next());
    Loader dropped(data, sequential(10), {.batch_size = 4, .workers = workers, .drop_last = true});
    dropped.start(0);
    EXPECT_EQ(dropped.batches(), 2);
    EXPECT_TRUE(dropped.next());
    EXPECT_TRUE(dropped.next());
    EXPECT_FALSE(dropped.next());
  }
}

TEST(Loader, ABatchKeepsItsSlot) {
  const auto data = std::make_shared<Made>(40);
  std::optional<Batch> kept;
  std::vector<int64_t> bytes;
  {
    Loader loader(data, sequential(40), {.batch_size = 4, .workers = 2, .ahead = 1});
    loader.start(0);
    kept = loader.next();
    bytes = kept->inputs.to_vector<int64_t>();
    for (int i = 0; i < 9; ++i) EXPECT_TRUE(loader.next());
    EXPECT_FALSE(loader.next());
    EXPECT_EQ(kept->inputs.to_vector<int64_t>(), bytes);
    loader.start(0);
    auto a = loader.next();
    EXPECT_ERROR(loader.next(), HasSubstr("all 2 batches are held by the caller"));
    a.reset();
    EXPECT_EQ(loader.next()->number, 1);
    EXPECT_EQ(kept->inputs.to_vector<int64_t>(), bytes);
  }
  EXPECT_EQ(kept->inputs.to_vector<int64_t>(), bytes);
}

TEST(Loader, UnreadableSamplesAreReplacedByTheirLabelAndReportedOnce) {
  const auto data = std::make_shared<Made>(30);
  data->unreadable = {4, 5, 20};
  for (int workers : {0, 2}) {
    std::vector<std::string> reasons;
    Loader loader(data, sequential(30), {.batch_size = 6, .workers = workers, .on_bad = [&](const BadSample& b) {
                                           reasons.push_back(b.reason);
                                         }});
    for (uint64_t epoch = 0; epoch < 5; ++epoch) {
      loader.start(epoch);
      int64_t replaced = 0, n = 0;
      while (const auto b = loader.next()) {
        EXPECT_EQ(b->size(), 6);
        replaced += b->replaced;
        const auto targets = b->targets.to_vector<int64_t>();
        for (std::size_t i = 0; i < 6; ++i, ++n) {
          EXPECT_EQ(targets[i], n % 3);
          EXPECT_EQ(b->indices[i] % 3, n % 3);
          EXPECT_FALSE(data->unreadable.contains(b->indices[i]));
          if (!data->unreadable.contains(n)) {
            EXPECT_EQ(b->indices[i], n);
          }
        }
      }
      EXPECT_EQ(replaced, 3);
    }
    std::sort(reasons.begin(), reasons.end());
    EXPECT_EQ(reasons, (std::vector<std::string>{"sample 20: cannot be read", "sample 4: cannot be read",
                                                 "sample 5: cannot be read"}));
    EXPECT_EQ(loader.bad().size(), 3u);
  }
}

TEST(Loader, TooManyUnreadableSamples) {
  for (int workers : {0, 2}) {
    const auto one_label = std::make_shared<Made>(30);
    for (int64_t i = 1; i < 30; i += 3) one_label->unreadable.insert(i);
    Loader loader(one_label, sequential(30), {.batch_size = 6, .workers = workers});
    loader.start(0);
    EXPECT_ERROR(loader.next(), AllOf(HasSubstr("sample 1: cannot be read"), HasSubstr("no other of 10 samples")));
    EXPECT_FALSE(loader.next());

    const auto most = std::make_shared<Made>(300);
    for (int64_t i = 0; i < 300; ++i)
      if (i % 12 > 3) most->unreadable.insert(i);
    Loader half(most, sequential(300), {.batch_size = 6, .workers = workers});
    half.start(0);
    EXPECT_ERROR(([&] {
                   while (half.next()) {
                   }
                 }()),
                 HasSubstr("of the first 30 samples could not be read"));
    EXPECT_FALSE(half.next());
  }
}

TEST(Loader, OtherErrorsReachTheCallerAtTheirBatch) {
  const auto data = std::make_shared<Made>(30, 100);
  data->broken = 13;
  for (int workers : {0, 3}) {
    Loader loader(data, sequential(30), {.batch_size = 6, .workers = workers});
    loader.start(0);
    EXPECT_TRUE(loader.next());
    EXPECT_TRUE(loader.next());
    EXPECT_THROW(loader.next(), std::length_error);
    EXPECT_FALSE(loader.next());
    loader.start(0, 3);
    EXPECT_EQ(loader.next()->number, 3);
  }
}

TEST(Loader, StopsPromptly) {
  const auto data = std::make_shared<Made>(100000, 2000);
  for (int workers : {0, 1, 4}) {
    std::atomic<bool> stop = false;
    Loader loader(data, shuffled(100000, 0), {.batch_size = 64, .workers = workers, .stop = &stop});
    { const Loader never_started(data, shuffled(100000, 0), {.workers = workers}); }
    loader.start(0);
    loader.stop();
    EXPECT_FALSE(loader.next());
    loader.start(0);
    EXPECT_TRUE(loader.next());
    std::thread handler([&] {
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      stop = true;
    });
    const auto begin = std::chrono::steady_clock::now();
    while (loader.next()) {
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
    handler.join();
    EXPECT_FALSE(loader.next());
    stop = false;
    loader.start(1);
    EXPECT_TRUE(loader.next());
    if (workers) {
      EXPECT_GT(loader.wait_seconds(), 0);
    }
  }  // and destruction in the middle of an epoch
}

TEST(Loader, BadOptions) {
  const auto data = std::make_shared<Made>(10);
  EXPECT_MESSAGE(Loader(data, sequential(10), {.batch_size = 0}), "batch size must be positive, it is 0");
  EXPECT_MESSAGE(Loader(data, sequential(10), {.workers = -1}), "workers must be 0..1024, not -1");
  EXPECT_MESSAGE(Loader(data, sequential(10), {.ahead = 0}), "at least one batch must be prepared ahead");
  EXPECT_MESSAGE(Loader(nullptr, sequential(10), {}), "needs a data set");
  Loader loader(data, sequential(11), {});
  EXPECT_MESSAGE(loader.start(0), "the sampler gave index 10, the data set has 10 samples");
  Loader empty(std::make_shared<Made>(0), sequential(0), {});
  empty.start(0);
  EXPECT_FALSE(empty.next());
}

}  // namespace
}  // namespace ar::io
