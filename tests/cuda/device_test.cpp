// The device as a user of the library sees it: tensors, memory, networks.
#include "ar.h"
#include "tests/cuda/both.h"
#include "tests/errors.h"

namespace ar::testing {
namespace {

// ---- tensors ----

TEST(CudaTensor, TravelsThereAndBack) {
  AR_NEEDS_CUDA();
  for (Layout layout : {Layout::channels_last, Layout::channels_first}) {
    const Tensor x = randn({2, 5, 3, 4}, {.layout = layout});
    const Tensor there = x.to(kCuda);
    EXPECT_EQ(there.device(), kCuda);
    EXPECT_EQ(there.strides(), x.strides());
    EXPECT_EQ(there.to(Device{}).to_vector<double>(), x.to_vector<double>());
    EXPECT_EQ(there.to_vector<double>(), x.to_vector<double>());
    EXPECT_EQ(there.at({1, 4, 2, 3}), x.at({1, 4, 2, 3}));
    // Views and other types on either side.
    const Tensor part = there.narrow(1, 1, 3).permute({0, 2, 3, 1}), expected = x.narrow(1, 1, 3).permute({0, 2, 3, 1});
    EXPECT_EQ(part.to_vector<double>(), expected.to_vector<double>());
    there.narrow(1, 1, 3).copy_from(ones({2, 3, 3, 4}, {.dtype = Dtype::i32}));
    x.narrow(1, 1, 3).fill(1);
    EXPECT_EQ(there.to_vector<double>(), x.to_vector<double>());
  }
  EXPECT_EQ(zeros({0, 3}, {.device = kCuda}).to(Device{}).numel(), 0);
  EXPECT_EQ(arange(3, {.dtype = Dtype::f32, .device = kCuda}).device(), kCuda);
}

TEST(CudaTensor, MixedDevicesAreRefused) {
  AR_NEEDS_CUDA();
  const Tensor here = ones({3}), there = ones({3}, {.device = kCuda});
  EXPECT_MESSAGE(ops::binary(BinaryOp::add, here, there), "devices differ: cpu and cuda:0");
  EXPECT_MESSAGE(there.data<float>(), "this tensor is on cuda:0; copy it first");
  EXPECT_MESSAGE(ones({3}, {.device = {Device::Type::cuda, 63}}), "cuda:63");
}

TEST(CudaTensor, RandomNumbersAreTheCpus) {
  AR_NEEDS_CUDA();
  Generator a(3), b(3);
  EXPECT_EQ(rand({1000}, {.device = kCuda}, a).to_vector<double>(), rand({1000}, {}, b).to_vector<double>());
}

// ---- memory ----

TEST(CudaMemory, BlocksAreCountedAndComeAgain) {
  AR_NEEDS_CUDA();
  empty_cache(kCuda);
  const int64_t before = memory_stats(kCuda).live;
  reset_peak_memory(kCuda);
  for (int i = 0; i < 10; ++i) {
    const Tensor x = zeros({1000, 1000}, {.device = kCuda});
    EXPECT_GE(memory_stats(kCuda).live, before + 4'000'000);
  }
  EXPECT_EQ(memory_stats(kCuda).live, before);
  EXPECT_GE(memory_stats(kCuda).peak, before + 4'000'000);
  EXPECT_LT(memory_stats(kCuda).peak, before + 4'600'000);
  EXPECT_GE(memory_stats(kCuda).cached, exact() ? 0 : 4'000'000);
  empty_cache(kCuda);
  EXPECT_EQ(memory_stats(kCuda).cached, 0);
}

TEST(CudaMemory, TooMuchIsSaidClearly) {
  AR_NEEDS_CUDA();
  const Tensor x = zeros({1000}, {.device = kCuda});
  EXPECT_MESSAGE(zeros({int64_t(1) << 42}, {.device = kCuda}), "cuda: out of memory: 16777216 MiB asked for");
  EXPECT_EQ(x.to_vector<double>(), std::vector<double>(1000, 0)) << "what is there stays";
}

// ---- networks: a few steps of training give the CPU's losses ----

nn::DenseNet small_densenet(int64_t classes) {
  return nn::DenseNet(
      {.growth_rate = 4, .block_config = {2, 2}, .num_init_features = 8, .bn_size = 2, .classes = classes});
}

/// Losses of some steps, then all parameters and statistics. `loss` gives that of a network for inputs on its device.
template <class Net, class Loss>
std::vector<double> train(Net net, Device device, int steps, bool adam, const Loss& loss) {
  net.to(device);
  std::unique_ptr<optim::Optimizer> optimizer;
  if (adam)
    optimizer = std::make_unique<optim::AdamW>(net.parameters(), optim::AdamWOptions{.lr = 0.003});
  else
    optimizer = std::make_unique<optim::SGD>(net.parameters(), optim::SgdOptions{.lr = 0.05, .momentum = 0.9});
  manual_seed(5);
  std::vector<double> values;
  for (int i = 0; i < steps; ++i) {
    optimizer->zero_grad();
    const Variable l = loss(net);
    l.backward();
    optimizer->step();
    values.push_back(l.value().item());
  }
  net.eval();
  const NoGrad no_grad;
  values.push_back(loss(net).value().item());
  for (const auto& [name, t] : net.state_dict())
    if (is_floating(t.dtype())) values.push_back(ops::sum(ops::unary(UnaryOp::abs, t)).item());
  return values;
}

void expect_same(const std::vector<double>& got, const std::vector<double>& want, double tolerance) {
  ASSERT_EQ(got.size(), want.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    EXPECT_TRUE(std::isfinite(got[i]));
    EXPECT_NEAR(got[i], want[i], tolerance * (1 + std::abs(want[i]))) << "value " << i;
  }
}

int steps() { return many() < 100'000 || exact() ? 1 : 10; }

TEST(CudaNetworks, DenseNetTrainsAsOnTheCpu) {
  AR_NEEDS_CUDA();
  manual_seed(1);
  const nn::DenseNet net = small_densenet(5);
  const Tensor images = randn({2, 3, 32, 32}), target = randint(5, {2});
  const auto on = [&](Device d) {
    const Tensor x = images.to(d), t = target.to(d);
    return train(net, d, steps(), false, [&](const nn::DenseNet& n) { return cross_entropy(n(x), t); });
  };
  expect_same(on(kCuda), on({}), 2e-3);
}

TEST(CudaNetworks, LrcnTrainsAsOnTheCpu) {
  AR_NEEDS_CUDA();
  manual_seed(2);
  const nn::LRCN net(small_densenet(0), {.classes = 3, .rnn_units = 8, .bidirectional = true, .head_dropout = 0.3});
  const Tensor clips = randn({2, 3, 3, 32, 32}), target = randint(3, {2});
  const auto on = [&](Device d) {
    const Tensor x = clips.to(d), t = target.to(d);
    return train(net, d, steps(), true, [&](const nn::LRCN& n) { return n.loss(x, t); });
  };
  const auto got = on(kCuda);
  expect_same(got, on({}), 5e-3);
  if (bits_are_promised()) {
    EXPECT_EQ(got, on(kCuda)) << "the same bits again";
  }
}

/// One step of training, then how often the host waited for the device or copied to it in a second one.
template <class Net, class Loss>
HostTraffic traffic_of_a_step(Net net, const Loss& loss) {
  net.to(kCuda);
  optim::SGD sgd(net.parameters(), {.lr = 0.05, .momentum = 0.9});
  optim::AdamW adam(net.parameters(), {.lr = 0.003});
  HostTraffic before;
  for (int i = 0; i < 2; ++i) {
    before = host_traffic(kCuda);
    sgd.zero_grad();
    const Variable l = loss(net);
    l.backward();
    optim::clip_grad_norm_tensor_(net.parameters(), 0.1);
    sgd.step();
    adam.step();
  }
  const HostTraffic after = host_traffic(kCuda);
  return {after.waits - before.waits, after.uploads - before.uploads};
}

TEST(CudaNetworks, AStepOfTrainingNeverWaitsForTheHost) {
  AR_NEEDS_CUDA();
  manual_seed(1);
  const Tensor images = randn({2, 3, 32, 32}).to(kCuda), label = randint(5, {2}).to(kCuda);
  const HostTraffic densenet = traffic_of_a_step(small_densenet(5), [&](const nn::DenseNet& n) {
    return cross_entropy(n(images), label, {.label_smoothing = 0.1});
  });
  EXPECT_EQ(densenet.waits, 0);
  EXPECT_EQ(densenet.uploads, 0);
  const nn::LRCN lrcn(small_densenet(0), {.classes = 3, .rnn_units = 8, .bidirectional = true, .head_dropout = 0.3});
  const Tensor clips = randn({2, 3, 3, 32, 32}).to(kCuda), target = randint(3, {2}).to(kCuda);
  const HostTraffic video = traffic_of_a_step(lrcn, [&](const nn::LRCN& n) { return n.loss(clips, target); });
  EXPECT_EQ(video.waits, 0);
  EXPECT_EQ(video.uploads, 0);
}

TEST(CudaNetworks, StepsLeaveNoMemoryBehind) {
  AR_NEEDS_CUDA();
  manual_seed(6);
  const int64_t before = memory_stats(kCuda).live;
  {
    nn::LRCN net(small_densenet(0), {.classes = 3, .rnn_units = 8, .head_dropout = 0.3});
    net.to(kCuda);
    optim::AdamW adam(net.parameters(), {.lr = 0.003});
    const Tensor clips = randn({2, 3, 2, 32, 32}).to(kCuda), target = randint(3, {2}).to(kCuda);
    std::vector<int64_t> live;
    for (int i = 0; i < 3; ++i) {
      adam.zero_grad();
      net.loss(clips, target).backward();
      adam.step();
      live.push_back(memory_stats(kCuda).live);
    }
    EXPECT_GT(live[0], before);
    EXPECT_EQ(live[1], live[0]);
    EXPECT_EQ(live[2], live[0]);
  }
  EXPECT_EQ(memory_stats(kCuda).live, before);
}

TEST(CudaNetworks, TargetsOnTheDeviceAreNotLookedAt) {
  AR_NEEDS_CUDA();
  const Variable logits(randn({3, 4}).to(kCuda));
  const auto loss = [&](std::vector<int64_t> t) { return cross_entropy(logits, from_vector(t, {3}).to(kCuda)).item(); };
  EXPECT_NEAR(
      loss({1, -100, 2}),
      cross_entropy(Variable(logits.value().to(Device{})), from_vector(std::vector<int64_t>{1, -100, 2}, {3})).item(),
      1e-6);
  EXPECT_TRUE(std::isnan(loss({1, 4, 2})));
  EXPECT_TRUE(std::isnan(loss({-100, -100, -100})));
  EXPECT_MESSAGE(cross_entropy(logits, from_vector(std::vector<int64_t>{1, 4, 2}, {3})), "target 4 is outside [0, 4)");
}

TEST(CudaNetworks, AttentionAndNormsInF64) {
  AR_NEEDS_CUDA();
  manual_seed(3);
  nn::MultiheadAttention attention({.embed_dim = 8, .num_heads = 2});
  attention.to(Dtype::f64);
  const Tensor x = randn({2, 5, 8}, {.dtype = Dtype::f64}), weight = randn({2, 5, 8}, {.dtype = Dtype::f64});
  const auto on = [&](Device d) {
    nn::MultiheadAttention net = attention;
    net.to(d);
    const Variable in = Variable(x.to(d), true);
    const Variable out = scaled_dot_product_attention(in, in, in, {.causal = true}).output;
    sum(mul(out, Variable(weight.to(d)))).backward();
    return in.grad().to_vector<double>();
  };
  expect_same(on(kCuda), on({}), 1e-12);
}

}  // namespace
}  // namespace ar::testing
