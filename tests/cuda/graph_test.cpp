// Recorded steps: what is repeated is what would have been done.
#include "ar.h"
#include "tensor/event.h"
#include "tests/cuda/both.h"
#include "tests/errors.h"

namespace ar::testing {
namespace {

nn::DenseNet small_densenet(int64_t classes) {
  return nn::DenseNet(
      {.growth_rate = 4, .block_config = {2, 2}, .num_init_features = 8, .bn_size = 2, .classes = classes});
}

/// Under checkers fewer steps will do.
bool quick() { return many() < 100'000 || exact(); }
int steps() { return quick() ? 5 : 8; }

struct Result {
  std::vector<double> values;  // losses and norms of the steps, then all parameters and statistics
  int64_t repeated = 0;
};

/// Some steps of training, with a schedule, a short batch among them, and an evaluation in between.
template <class Net, class Loss>
Result train(Net net, bool adam, bool recorded, const Tensor& x, const Tensor& target, const Loss& loss) {
  net.to(kCuda);
  std::unique_ptr<optim::Optimizer> optimizer;
  if (adam)
    optimizer = std::make_unique<optim::AdamW>(net.parameters(), optim::AdamWOptions{.lr = 0.01});
  else
    optimizer = std::make_unique<optim::SGD>(net.parameters(), optim::SgdOptions{.lr = 0.05, .momentum = 0.9});
  manual_seed(5);
  const auto step = [&](const std::vector<Tensor>& in) {
    optimizer->zero_grad();
    const Variable l = loss(net, in[0], in[1]);
    l.backward();
    const Tensor norm = optim::clip_grad_norm_tensor_(net.parameters(), 0.5);
    optimizer->step();
    return std::vector<Tensor>{l.value(), norm};
  };
  nn::StepGraph graph(step, {.warm_up = 2});
  Result r;
  for (int i = 0; i < steps(); ++i) {
    *optimizer->knobs(0).lr *= 0.8;
    const int64_t batch = i == steps() - 2 ? 1 : 2;
    const std::vector<Tensor> in{x.narrow(0, i % 2, batch), target.narrow(0, i % 2, batch)};
    const int64_t waits = host_traffic(kCuda).waits;
    const std::vector<Tensor> out = recorded ? graph(in) : step(in);
    EXPECT_EQ(host_traffic(kCuda).waits, waits);
    for (const Tensor& t : out) r.values.push_back(t.item());
    if (i % 3 != 2) continue;
    net.eval();
    const NoGrad no_grad;
    r.values.push_back(loss(net, x, target).item());
    net.train();
  }
  r.repeated = graph.repeated();
  for (const auto& [name, t] : net.state_dict())
    for (double v : t.template to_vector<double>()) r.values.push_back(v);
  for (const auto& [name, t] : optimizer->state_dict())
    for (double v : t.template to_vector<double>()) r.values.push_back(v);
  r.values.push_back(double(default_generator().state().offset));
  return r;
}

template <class Net, class Loss>
void expect_the_same(const Net& net, bool adam, const Tensor& x, const Tensor& target, const Loss& loss) {
  empty_cache(kCuda);
  const int64_t before = memory_stats(kCuda).live;
  const Result usual = train(net, adam, false, x, target, loss), repeated = train(net, adam, true, x, target, loss);
  EXPECT_EQ(usual.repeated, 0);
  EXPECT_EQ(repeated.repeated, steps() - 3);  // all but the warm-up and the short batch
  // Where bits are not promised, 2e-3.
  EXPECT_TRUE(near(repeated.values, usual.values, Dtype::f64, bits_are_promised() ? 0 : 1e13, 1));
  EXPECT_EQ(memory_stats(kCuda).live, before) << "memory was lost";
}

TEST(CudaGraph, RepeatedStepsOfADenseNet) {
  AR_NEEDS_CUDA();
  manual_seed(1);
  const nn::DenseNet net = small_densenet(5);
  const Tensor x = randn({3, 3, 32, 32}).to(kCuda), target = randint(5, {3}).to(kCuda);
  for (bool adam : quick() ? std::vector{true} : std::vector{false, true})
    expect_the_same(net, adam, x, target, [](const nn::DenseNet& n, const Tensor& images, const Tensor& labels) {
      return cross_entropy(n(images), labels);
    });
}

TEST(CudaGraph, RepeatedStepsOfAnLrcnWithDropout) {
  AR_NEEDS_CUDA();
  manual_seed(2);
  const nn::LRCN net(small_densenet(0), {.classes = 3, .rnn_units = 8, .bidirectional = true, .head_dropout = 0.3});
  const Tensor x = randn({3, 3, 2, 32, 32}).to(kCuda), target = randint(3, {3}).to(kCuda);
  expect_the_same(net, true, x, target,
                  [](const nn::LRCN& n, const Tensor& clips, const Tensor& labels) { return n.loss(clips, labels); });
}

TEST(CudaGraph, RandomNumbersGoOn) {
  AR_NEEDS_CUDA();
  const Tensor x = ones({7}, {.device = kCuda});
  Generator g(3), same(3);
  nn::StepGraph graph([&](const std::vector<Tensor>& in) {
    return std::vector<Tensor>{dropout(Variable(in[0]), 0.5, true, g).value(), rand({5}, {.device = kCuda}, g)};
  });
  for (int i = 0; i < 7; ++i) {
    const std::vector<Tensor> out = graph({x});
    EXPECT_EQ(out[0].to_vector<double>(), dropout(Variable(x), 0.5, true, same).value().to_vector<double>());
    EXPECT_EQ(out[1].to_vector<double>(), rand({5}, {.device = kCuda}, same).to_vector<double>());
  }
  EXPECT_EQ(graph.repeated(), 4);
}

TEST(CudaGraph, MemoryOfRepetitionsIsCounted) {
  AR_NEEDS_CUDA();
  nn::StepGraph graph(
      [](const std::vector<Tensor>& in) {
        const Tensor large = ops::add(in[0].expand({1000, 500}), full({}, 1, {.device = kCuda}));
        return std::vector<Tensor>{ops::sum(large)};
      },
      {.warm_up = 1});
  const Tensor x = ones({500}, {.device = kCuda});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(graph({x})[0].item(), 1'000'000);
  reset_peak_memory(kCuda);
  graph({x});
  EXPECT_GE(memory_stats(kCuda).peak, 2'000'000) << "the graph holds what its intermediate results need";
}

/// Who keeps something derived from a running statistic must see that a repetition wrote to it.
TEST(CudaGraph, RunningStatisticsAreSeenToChange) {
  AR_NEEDS_CUDA();
  nn::BatchNorm2d norm({.features = 3, .affine = false});
  norm.to(kCuda);
  nn::StepGraph graph([&](const std::vector<Tensor>& in) { return std::vector<Tensor>{norm(Variable(in[0])).value()}; },
                      {.warm_up = 1});
  const Tensor x = randn({2, 3, 4, 4}).to(kCuda);
  for (int i = 0; i < 4; ++i) {
    const int64_t mean = norm.running_mean.version(), var = norm.running_var.version();
    graph({x});
    EXPECT_GT(norm.running_mean.version(), mean) << i;
    EXPECT_GT(norm.running_var.version(), var) << i;
  }
  EXPECT_EQ(graph.repeated(), 3);
}

/// What Adam had counted when its step turned out not to be recordable is taken back: the step is done as usual
/// instead.
TEST(CudaGraph, StepsThatWereGivenUpDoNotCount) {
  AR_NEEDS_CUDA();
  const auto train = [](bool recorded) {
    const Variable w(ones({3}, {.device = kCuda}), true);
    optim::Adam adam({w}, {.lr = 0.1});
    const auto step = [&](const std::vector<Tensor>& in) {
      adam.zero_grad();
      const Variable loss = sum(mul(w, Variable(in[0])));
      loss.backward();
      adam.step();
      return std::vector<Tensor>{full({}, loss.value().item())};  // waits
    };
    nn::StepGraph graph(step, {.warm_up = 2, .cannot = [](const std::string&) {}});
    const Tensor x = ones({3}, {.device = kCuda});
    for (int i = 0; i < 5; ++i) recorded ? graph({x}) : step({x});
    std::vector<double> all = w.value().to_vector<double>();
    for (const auto& [name, t] : adam.state_dict())
      for (double v : t.to_vector<double>()) all.push_back(v);
    return all;
  };
  EXPECT_EQ(train(true), train(false));
}

TEST(CudaGraph, WhatCannotBeRecordedIsSaid) {
  AR_NEEDS_CUDA();
  const Tensor x = ones({7}, {.device = kCuda});
  nn::StepGraph reads(
      [](const std::vector<Tensor>& in) { return std::vector<Tensor>{full({}, ops::sum(in[0]).item())}; },
      {.warm_up = 1});
  reads({x});
  EXPECT_MESSAGE(reads({x}), "a step that is recorded cannot wait for the device");
  nn::StepGraph copies([](const std::vector<Tensor>&) { return std::vector<Tensor>{ones({3}).to(kCuda)}; },
                       {.warm_up = 1});
  copies({x});
  EXPECT_MESSAGE(copies({x}), "a step that is recorded cannot copy numbers from the host");
  nn::StepGraph downloads(
      [](const std::vector<Tensor>& in) { return std::vector<Tensor>{Download(ops::add(in[0], in[0])).wait()}; },
      {.warm_up = 1});
  downloads({x});
  EXPECT_MESSAGE(downloads({x}), "a step that is recorded can neither copy batches nor use events");
  EXPECT_EQ(ops::sum(x).item(), 7) << "work goes on as usual";
  // Who is told goes on as usual, with the random numbers that would have been.
  std::vector<std::string> told;
  nn::StepGraph goes_on(
      [](const std::vector<Tensor>& in) {
        const Tensor y = dropout(Variable(in[0]), 0.5, true).value();
        return std::vector<Tensor>{y, full({}, ops::sum(y).item())};
      },
      {.warm_up = 1, .cannot = [&](const std::string& reason) { told.push_back(reason); }});
  manual_seed(7);
  std::vector<double> sums, expected;
  for (int i = 0; i < 5; ++i) sums.push_back(goes_on({x})[1].item());
  manual_seed(7);
  for (int i = 0; i < 5; ++i) expected.push_back(ops::sum(dropout(Variable(x), 0.5, true).value()).item());
  EXPECT_EQ(sums, expected);
  EXPECT_EQ(goes_on.repeated(), 0);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_THAT(told[0], ::testing::HasSubstr("cannot wait for the device"));
  EXPECT_MESSAGE(nn::StepGraph([](const std::vector<Tensor>& in) { return in; }, {.warm_up = 0}),
                 "at least one step must be done");
  // On the CPU nothing is recorded.
  nn::StepGraph here([](const std::vector<Tensor>& in) { return std::vector<Tensor>{ops::sum(in[0])}; });
  for (int i = 0; i < 6; ++i) EXPECT_EQ(here({ones({3})})[0].item(), 3);
  EXPECT_EQ(here.repeated(), 0);
}

}  // namespace
}  // namespace ar::testing
