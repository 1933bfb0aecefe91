// The trainer on a problem small enough to train in milliseconds: which third of a picture is bright.
#include "apps/train/trainer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <limits>

#include "autograd/autograd.h"
#include "io/checkpoint_file.h"
#include "nn/nn.h"
#include "tensor/ops_frames.h"
#include "tensor/random.h"
#include "tests/errors.h"

namespace ar::apps {
namespace {

class Thirds : public io::Dataset {
 public:
  explicit Thirds(int64_t size, int64_t unreadable = -1) : size_(size), unreadable_(unreadable) {}
  int64_t size() const override { return size_; }
  Dims sample_shape() const override { return {3, 6, 6}; }
  int64_t label(int64_t index) const override { return index % 3; }
  std::string name(int64_t index) const override { return "sample " + std::to_string(index); }
  void fill(int64_t index, const io::SampleKey& key, const Tensor& slot) const override {
    if (index == unreadable_) fail("it cannot be read");
    io::SampleRandom random(key);
    for (int c = 0; c < 3; ++c)
      for (int y = 0; y < 6; ++y)
        for (int x = 0; x < 6; ++x) slot[c][y][x].fill(double(random.below(120)) + (x / 2 == label(index) ? 120 : 0));
  }

 private:
  int64_t size_, unreadable_;
};

struct Network : nn::Module {
  nn::Conv2d conv{{.in = 3, .out = 8, .kernel = 3, .padding = 1}};
  nn::BatchNorm2d norm{{.features = 8}};
  nn::Dropout dropout{0.2};
  nn::Linear linear{{.in = 8 * 36, .out = 3}};
  bool normalised = true;
  Variable forward(const Variable& x) const override {
    const Variable y = conv(x);
    return log_softmax(linear(dropout(flatten(relu(normalised ? norm(y) : y)))), 1);
  }
  void members(nn::Members& add) override {
    add("conv", conv);
    add("norm", norm);
    add("dropout", dropout);
    add("linear", linear);
  }
};

struct Settings {
  TrainerOptions trainer = {.epochs = 4};
  int64_t batch_size = 8;
  bool validation = true;
  bool normalised = true;
  double dropout = 0.2;
  int64_t unreadable = -1;  // of the samples to validate on
};

/// Everything that a program would set up, from the same seed each time.
struct Training {
  explicit Training(const Settings& s) : network(make(s)), settings(s) {}
  static Network make(const Settings& s) {
    manual_seed(5);
    Network network;
    network.normalised = s.normalised;
    network.dropout = nn::Dropout(s.dropout);
    return network;
  }
  Network network;
  Settings settings;
  std::shared_ptr<Thirds> images = std::make_shared<Thirds>(44);
  io::Loader training{images, io::shuffled(44, 1), {.batch_size = settings.batch_size, .workers = 1, .seed = 1}};
  io::Loader validation{
      std::make_shared<Thirds>(12, settings.unreadable), io::sequential(12), {.batch_size = 5, .workers = 0}};
  optim::SGD optimizer{network.parameters(), {.lr = 0.05, .momentum = 0.9}};
  optim::StepLR scheduler{optimizer, {.step_size = 6, .gamma = 0.5}};
  Trainer trainer{{.model = network,
                   .inputs =
                       [](const io::Batch& batch) {
                         return std::vector{batch.inputs, batch.targets};
                       },
                   .forward =
                       [this](const std::vector<Tensor>& in) {
                         const Variable scores = network(ops::normalize_frames(in[0]));
                         return Forward{.loss = nll_loss(scores, in[1]), .log_probs = scores.value()};
                       },
                   .optimizer = optimizer,
                   .scheduler = scheduler,
                   .classes = {"left", "middle", "right"},
                   .training = training,
                   .validation = settings.validation ? &validation : nullptr,
                   .describe =
                       [this] {
                         io::Value value;
                         value["model"] = io::Value::dict(network.state_dict());
                         return value;
                       }},
                  settings.trainer};

  void resume(const std::filesystem::path& checkpoint) {
    const io::Value saved = io::load_checkpoint_file(checkpoint.string());
    network.load_state_dict(saved.at("model").tensors());
    trainer.load_state(saved);
  }
};

/// Counts steps, remembers epochs, and may ask to stop after a step.
struct Watch : TrainObserver {
  int64_t stop_after = std::numeric_limits<int64_t>::max();
  std::atomic<bool> stop{false};
  std::vector<double> losses, validation;
  std::vector<bool> best;
  std::vector<double> lr, lr_of_epochs;
  int64_t steps = 0, validated = 0;
  void step_ends(const StepReport& report) override {
    steps = report.step;
    lr.push_back(report.lr.front());
    if (report.step >= stop_after) stop = true;
  }
  void epoch_ends(const EpochReport& report) override {
    losses.push_back(report.training.loss());
    if (report.validation) validation.push_back(report.validation->top(1));
    validated = report.validation ? report.validation->count() : 0;
    best.push_back(report.best);
    lr_of_epochs.push_back(report.lr.front());
  }
};

class TrainerTest : public testing::Test {
 protected:
  void SetUp() override { std::filesystem::create_directories(folder); }
  void TearDown() override { std::filesystem::remove_all(folder); }
  const std::filesystem::path folder =
      std::filesystem::temp_directory_path() / ("ar_trainer_" + std::to_string(getpid()));
  const std::filesystem::path checkpoint = folder / "model.pt", last = folder / "model.last.pt";
};

void expect_same_bits(const nn::Module& a, const nn::Module& b) {
  const nn::StateDict x = a.state_dict(), y = b.state_dict();
  ASSERT_EQ(x.size(), y.size());
  for (size_t i = 0; i < x.size(); ++i)
    EXPECT_EQ(x[i].second.to_vector<double>(), y[i].second.to_vector<double>()) << x[i].first;
}

TEST_F(TrainerTest, Learns) {
  Training run({});
  Watch watch;
  EXPECT_TRUE(run.trainer.run(watch, watch.stop));
  EXPECT_EQ(watch.steps, 4 * 6);
  ASSERT_EQ(watch.losses.size(), 4u);
  EXPECT_LT(watch.losses.back(), watch.losses.front() / 2);
  EXPECT_GT(watch.validation.back(), 0.9);
  EXPECT_TRUE(std::filesystem::is_empty(folder));  // no checkpoint was asked for
}

TEST_F(TrainerTest, WhatStandsInForAnUnreadableSampleIsNotValidated) {
  Training run({.trainer = {.epochs = 1}, .unreadable = 7});
  Watch watch;
  run.trainer.run(watch, watch.stop);
  EXPECT_EQ(watch.validated, 11);
}

TEST_F(TrainerTest, ResumesBitForBitFromEveryStep) {
  Training whole({});
  Watch watch;
  whole.trainer.run(watch, watch.stop);
  for (int64_t step : {1, 5, 6, 7, 17, 23, 24}) {
    SCOPED_TRACE(step);
    Settings settings;
    settings.trainer.checkpoint = checkpoint;
    Watch first, second;
    first.stop_after = step;
    {
      Training begun(settings);
      EXPECT_FALSE(begun.trainer.run(first, first.stop));
    }
    Training resumed(settings);
    resumed.resume(last);
    EXPECT_EQ(resumed.trainer.step(), step);
    EXPECT_TRUE(resumed.trainer.run(second, second.stop));
    expect_same_bits(whole.network, resumed.network);
    std::vector<double> losses = first.losses;
    losses.insert(losses.end(), second.losses.begin(), second.losses.end());
    EXPECT_EQ(losses, watch.losses);
  }
}

TEST_F(TrainerTest, TwoEpochsAndTwoMoreAreFour) {
  Training whole({});
  Watch watch, first, second;
  whole.trainer.run(watch, watch.stop);
  Settings settings{.trainer = {.epochs = 2, .checkpoint = checkpoint}};
  Training begun(settings);
  EXPECT_TRUE(begun.trainer.run(first, first.stop));
  settings.trainer.epochs = 4;
  Training resumed(settings);
  resumed.resume(last);
  EXPECT_TRUE(resumed.trainer.run(second, second.stop));
  expect_same_bits(whole.network, resumed.network);
}

TEST_F(TrainerTest, AccumulatedBatchesAreOneLargerBatch) {
  // Neither batch norm nor dropout, which see the batches; 44 samples leave a last group of 4 for both.
  const Settings large{.trainer = {.epochs = 2}, .batch_size = 8, .normalised = false, .dropout = 0};
  Settings small = large;
  small.batch_size = 2;
  small.trainer.grad_accum_steps = 4;
  Training a(large), b(small);
  Watch one, two;
  a.trainer.run(one, one.stop);
  b.trainer.run(two, two.stop);
  EXPECT_EQ(one.steps, two.steps);
  const auto x = a.network.state_dict(), y = b.network.state_dict();
  for (size_t i = 0; i < x.size(); ++i) {
    const auto u = x[i].second.to_vector<double>(), v = y[i].second.to_vector<double>();
    for (size_t j = 0; j < u.size(); ++j) ASSERT_NEAR(u[j], v[j], 1e-5) << x[i].first << ' ' << j;
  }
}

TEST_F(TrainerTest, TheBestStateIsKept) {
  Settings settings{.trainer = {.epochs = 3, .checkpoint = checkpoint}};
  Training run(settings);
  Watch watch;
  run.trainer.run(watch, watch.stop);
  const io::Value best = io::load_checkpoint_file(checkpoint.string());
  const auto at = std::max_element(watch.validation.begin(), watch.validation.end());
  EXPECT_EQ(best.at("best").at("top1").real(), *at);
  EXPECT_TRUE(watch.best[size_t(best.at("epoch").integer()) - 1]);
  EXPECT_EQ(io::load_checkpoint_file(last.string()).at("epoch").integer(), 3);
}

TEST_F(TrainerTest, ALostBestStateIsReplacedByTheNext) {
  Training run({.trainer = {.epochs = 1, .checkpoint = checkpoint}});
  io::Value saved = run.trainer.state();
  saved["best"]["top1"] = 2.0;  // never again
  run.trainer.load_state(saved);
  run.trainer.forget_best();
  Watch watch;
  run.trainer.run(watch, watch.stop);
  EXPECT_TRUE(watch.best[0]);
  EXPECT_TRUE(std::filesystem::exists(checkpoint));
}

TEST_F(TrainerTest, AnEpochThatHasBecomeShorterThanWhatWasDoneOfItIsOver) {
  Training run({.trainer = {.epochs = 2}});
  io::Value saved = run.trainer.state();
  saved["batch"] = 100;  // of an epoch that now has 6
  run.trainer.load_state(saved);
  Watch watch;
  EXPECT_TRUE(run.trainer.run(watch, watch.stop));
  EXPECT_EQ(watch.steps, 6);
  EXPECT_EQ(watch.losses.size(), 2u);
}

TEST_F(TrainerTest, ReportsTheRateThatAStepWasTakenWith) {
  Training run({.trainer = {.epochs = 2}});
  Watch watch;
  run.trainer.run(watch, watch.stop);
  std::vector<double> expected(6, 0.05);  // halved after 6 steps, an epoch
  expected.insert(expected.end(), 6, 0.025);
  EXPECT_EQ(watch.lr, expected);
  EXPECT_EQ(watch.lr_of_epochs, (std::vector{0.05, 0.025}));
}

TEST_F(TrainerTest, ALossThatIsNoNumberNamesTheLayerAndSavesNothing) {
  Settings settings{.trainer = {.epochs = 2, .checkpoint = checkpoint}};
  Training run(settings);
  run.network.conv.weight.value()[0][0][0][0].fill(std::numeric_limits<double>::infinity());
  Watch watch;
  EXPECT_ERROR(run.trainer.run(watch, watch.stop),
               "the loss became NaN in epoch 1 after step 0: conv2d of conv.weight: result [8,8,6,6] holds NaN or "
               "infinity (anomaly detection); try a smaller --learning-rate or --clip-norm");
  EXPECT_TRUE(std::filesystem::is_empty(folder));
}

TEST_F(TrainerTest, AForeignStateIsRefused) {
  Training run({});
  io::Value state = run.trainer.state();
  state["optimizer"] = io::Value::dict({});
  EXPECT_THROW(run.trainer.load_state(state), Error);
  EXPECT_THROW(run.trainer.load_state(io::Value()), Error);
}

}  // namespace
}  // namespace ar::apps
