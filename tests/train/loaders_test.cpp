// Batches of an epoch, and the schedule that counts them.
#include "apps/train/loaders.h"

#include <gtest/gtest.h>

#include "apps/train/optimizer.h"

namespace ar::apps {
namespace {

class Blanks : public io::Dataset {
 public:
  explicit Blanks(int64_t size) : size_(size) {}
  int64_t size() const override { return size_; }
  Dims sample_shape() const override { return {3, 2, 2}; }
  int64_t label(int64_t) const override { return 0; }
  std::string name(int64_t index) const override { return "sample " + std::to_string(index); }
  void fill(int64_t, const io::SampleKey&, const Tensor& slot) const override { slot.fill(0); }

 private:
  int64_t size_;
};

std::vector<int64_t> sizes_of(io::Loader& loader) {
  std::vector<int64_t> sizes;
  loader.start(0);
  while (const auto batch = loader.next()) sizes.push_back(batch->size());
  return sizes;
}

TEST(TrainLoaders, OneSampleIsNoLastBatchToTrainOn) {
  const struct {
    int64_t samples;
    std::vector<int64_t> training, validation;
  } cases[] = {{8, {4, 4}, {4, 4}}, {9, {4, 4}, {4, 4, 1}}, {10, {4, 4, 2}, {4, 4, 2}}, {1, {1}, {1}}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.samples);
    const TrainOptions options{.batch_size = 4, .data_loader_workers = 0};
    const auto set = std::make_shared<Blanks>(c.samples);
    TrainLoaders loaders(options, Device{}, set, io::sequential(c.samples), set);
    EXPECT_EQ(sizes_of(loaders.training), c.training);
    EXPECT_EQ(sizes_of(*loaders.validation), c.validation);
    EXPECT_EQ(training_batches(options, c.samples), int64_t(c.training.size()));
  }
  EXPECT_EQ(training_batches({.batch_size = 1}, 3), 3);
}

TEST(MakeScheduler, CountsTheBatchesThatAreTrainedOn) {
  optim::SGD sgd({Variable(zeros({1}), true)}, {.lr = 1});
  const auto schedule = make_scheduler({.batch_size = 4, .epochs = 2, .scheduler = "Cosine"}, sgd, 9);
  for (int step = 0; step < 4; ++step) {
    EXPECT_GT(schedule->last_lr()[0], 0.1) << step;
    schedule->step();
  }
  EXPECT_NEAR(schedule->last_lr()[0], 0, 1e-12);
}

TEST(MakeScheduler, NothingIsScheduledWithoutAnEpoch) {
  for (const char* name : {"None", "OneCycle", "Step", "Cosine"}) {
    optim::SGD sgd({Variable(zeros({1}), true)}, {.lr = 1});
    EXPECT_EQ(make_scheduler({.epochs = 0, .scheduler = name}, sgd, 9)->last_lr(), std::vector{1.0}) << name;
  }
}

}  // namespace
}  // namespace ar::apps
