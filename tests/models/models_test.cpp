// What whole networks promise: no layout copies, frozen extractors, equal seeds give equal bits, training goes on from
// a saved state as if never stopped.
#include <gtest/gtest.h>

#include <cmath>

#include "ar.h"
#include "tests/errors.h"

namespace ar {
namespace {

nn::DenseNet small_densenet(int64_t classes = 0) {
  return nn::DenseNet(
      {.growth_rate = 8, .block_config = {2, 2}, .num_init_features = 16, .bn_size = 2, .classes = classes});
}

nn::LRCN small_lrcn(nn::LRCNOptions options = {}) {
  options.classes = 3;
  options.rnn_units = 16;
  return nn::LRCN(small_densenet(), options);
}

bool same_bits(const Tensor& a, const Tensor& b) { return a.to_vector<double>() == b.to_vector<double>(); }

bool same_bits(const nn::StateDict& a, const nn::StateDict& b) {
  bool same = a.size() == b.size();
  for (size_t i = 0; same && i < a.size(); ++i) same = a[i].first == b[i].first && same_bits(a[i].second, b[i].second);
  return same;
}

nn::StateDict snapshot(const nn::StateDict& state) {
  nn::StateDict copy;
  for (const auto& [name, tensor] : state) copy.emplace_back(name, tensor.clone());
  return copy;
}

TEST(Models, DenseNetStepCopiesNoLayout) {
  const nn::DenseNet net = small_densenet(5);
  const Tensor images = randn({2, 3, 64, 64});
  const int64_t before = layout_copies();
  cross_entropy(net(images), randint(5, {2})).backward();
  const NoGrad no_grad;
  net(images);
  EXPECT_EQ(layout_copies(), before);
}

TEST(Models, LRCNStepCopiesNoLayout) {
  const nn::LRCN net = small_lrcn();
  const Tensor clips = randn({2, 3, 4, 64, 64});
  const int64_t before = layout_copies();
  net.loss(clips, randint(3, {2})).backward();
  EXPECT_EQ(layout_copies(), before);
}

TEST(Models, LRCNTakesAnyNumberOfClipsAndFrames) {
  for (const std::string& head : nn::lrcn_head_names()) {
    const nn::LRCN net = small_lrcn({.bidirectional = true, .head = head});
    for (const auto& [b, t] : {std::pair{1, 1}, {1, 3}, {2, 1}, {3, 2}}) {
      const Variable y = net(randn({b, 3, t, 40, 36}));
      ASSERT_EQ(y.shape(), (Dims{b, 3})) << head;
      const std::vector<double> p = exp(y).value().to_vector<double>();
      for (int i = 0; i < b; ++i) EXPECT_NEAR(p[3 * i] + p[3 * i + 1] + p[3 * i + 2], 1, 1e-5) << head;
      const Variable loss = net.loss(randn({b, 3, t, 40, 36}), zeros({b}, {.dtype = Dtype::i64}));
      EXPECT_EQ(loss.rank(), 0) << head;
    }
  }
}

TEST(Models, PaperHeadsPredictionIsTheMeanOfProbabilities) {
  manual_seed(7);
  nn::LRCN net = small_lrcn();
  net.eval();
  const Tensor clips = randn({2, 3, 3, 40, 40});
  const NoGrad no_grad;
  const Variable states = net.states(clips);
  const Variable whole = exp(net.head()(states));
  Variable mean_of_steps = exp(net.head()(narrow(states, 1, 0, 1)));
  for (int t = 1; t < 3; ++t) mean_of_steps = mean_of_steps + exp(net.head()(narrow(states, 1, t, 1)));
  const std::vector<double> a = whole.value().to_vector<double>(), b = (mean_of_steps / 3).value().to_vector<double>();
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 1e-6);
}

TEST(Models, FrozenExtractorKeepsParametersAndStatistics) {
  nn::LRCN net = small_lrcn({.freeze = true});
  const nn::StateDict before = snapshot(net.feature_extractor().state_dict());
  optim::SGD sgd(net.parameters(), {.lr = 0.1});
  net.train();
  EXPECT_FALSE(net.feature_extractor().is_training());
  net.loss(randn({2, 3, 2, 40, 40}), randint(3, {2})).backward();
  sgd.step();
  EXPECT_TRUE(same_bits(net.feature_extractor().state_dict(), before));
  for (const Variable& p : net.feature_extractor().parameters()) EXPECT_FALSE(p.grad().defined());
}

TEST(Models, InferenceFoldsTheNormsAndAgrees) {
  manual_seed(3);
  for (const char* name : {"densenet121", "resnet18", "mobilenet_v2", "tiny_darknet"}) {
    nn::ImageClassifier net({.feature_extractor = name, .classes = 4});
    net.eval();
    const Tensor images = randn({2, 3, 64, 64});
    const std::vector<double> recorded = net(images).value().to_vector<double>();
    const NoGrad no_grad;
    const std::vector<double> folded = net(images).value().to_vector<double>();
    for (size_t i = 0; i < recorded.size(); ++i) EXPECT_NEAR(recorded[i], folded[i], 1e-4) << name;
  }
}

TEST(Models, EqualSeedsGiveEqualBits) {
  const auto run = [] {
    manual_seed(11);
    const nn::LRCN net = small_lrcn({.feature_dropout = 0.2});
    const Tensor clips = randn({2, 3, 3, 40, 40});
    optim::Adam adam(net.parameters(), {.lr = 1e-3});
    for (int i = 0; i < 3; ++i) {
      adam.zero_grad();
      net.loss(clips, arange(2)).backward();
      adam.step();
    }
    return snapshot(net.state_dict());
  };
  EXPECT_TRUE(same_bits(run(), run()));
}

TEST(Models, TrainingGoesOnAsIfNeverStopped) {
  manual_seed(12);
  const Tensor images = randn({4, 3, 48, 48}), target = randint(3, {4});
  const auto steps = [&](const nn::DenseNet& net, optim::Optimizer& optimizer, int n) {
    for (int i = 0; i < n; ++i) {
      optimizer.zero_grad();
      cross_entropy(net(images), target).backward();
      optimizer.step();
    }
  };
  const nn::DenseNet straight = small_densenet(3), first_half = straight;
  optim::AdamW a(straight.parameters(), {.lr = 1e-3}), b(first_half.parameters(), {.lr = 1e-3});
  steps(straight, a, 4);
  steps(first_half, b, 2);

  nn::DenseNet second_half = small_densenet(3);
  second_half.load_state_dict(first_half.state_dict());
  optim::AdamW c(second_half.parameters(), {.lr = 1});
  c.load_state_dict(b.state_dict());
  steps(second_half, c, 2);
  EXPECT_TRUE(same_bits(straight.state_dict(), second_half.state_dict()));
}

TEST(Models, OverfitOneBatch) {
  manual_seed(13);
  const nn::DenseNet net = small_densenet(4);
  const Tensor images = randn({8, 3, 32, 32}), target = randint(4, {8});
  optim::SGD sgd(net.parameters(), {.lr = 0.05, .momentum = 0.9});
  double loss = 0;
  for (int i = 0; i < 40; ++i) {
    sgd.zero_grad();
    const Variable l = cross_entropy(net(images), target);
    l.backward();
    sgd.step();
    loss = l.item();
  }
  EXPECT_LT(loss, 0.05);
}

TEST(Models, CheckpointedDenseNetGivesTheSameGradients) {
  manual_seed(14);
  const nn::DenseNet net = small_densenet(3), other = net;
  const Variable images(randn({2, 3, 40, 40})), target(randint(3, {2}));
  cross_entropy(net(images), target.value()).backward();
  const Variable y = checkpoint([&](const std::vector<Variable>& in) { return other(in[0]); }, {images});
  cross_entropy(y, target.value()).backward();
  const auto a = net.named_parameters(), b = other.named_parameters();
  for (size_t i = 0; i < a.size(); ++i) EXPECT_TRUE(same_bits(a[i].second.grad(), b[i].second.grad())) << a[i].first;
  EXPECT_TRUE(same_bits(net.state_dict(), other.state_dict())) << "running statistics moved twice";
}

TEST(ModelErrors, SayWhatThereIs) {
  EXPECT_EQ(
      error_of([] { nn::make_backbone("vgg16"); }),
      "make_backbone: no network 'vgg16'; there are densenet121, densenet161, densenet169, densenet201, resnet18, "
      "resnet50, resnet101, mobilenet_v2, caffenet, tiny_darknet");
  EXPECT_EQ(error_of([] { nn::make_lrcn_head("max", 8, 3, 0); }),
            "LRCN: no head 'max'; there are paper, sum, avg, last, attn, weighted");
  EXPECT_EQ(error_of([] {
              small_lrcn()(zeros({2, 3, 40, 40}));
            }),
            "LRCN: clips must be (B,3,T,H,W) with B and T at least 1, they are [2,3,40,40]");
  EXPECT_EQ(error_of([] {
              small_densenet()(zeros({2, 3, 40, 40}));
            }),
            "DenseNet: built without a classifier; use features()");
  EXPECT_EQ(error_of([] { small_lrcn({.features = "fc6"}); }), "embedding: this network has only 'pool', not 'fc6'");
}

TEST(ModelErrors, DenseNetNeedsLayersInEveryBlock) {
  EXPECT_EQ(error_of([] { nn::DenseNet({.block_config = {}}); }), "DenseNet: block_config is empty");
  EXPECT_EQ(error_of([] {
              nn::DenseNet({.block_config = {2, 0}});
            }),
            "DenseNet: block 2 needs at least one layer, block_config says 0");
}

TEST(ModelErrors, DenseNetsNormsOfABlockAreInOneMode) {
  const Tensor images = randn({2, 3, 64, 64});
  for (const std::string part : {"denselayer1.norm1", "denselayer1.norm2", "denselayer2.norm1", "denselayer2.norm2"}) {
    nn::DenseNet net = small_densenet(3);
    for (const auto& [name, module] : net.named_modules())
      if (name == "features.denseblock2." + part) module->eval();
    EXPECT_EQ(error_of([&] { net(images); }),
              "DenseNet: some norms of block 2 are in training mode, others are not; switch them together")
        << part;
  }
  nn::DenseNet net = small_densenet(3);
  for (const auto& [name, module] : net.named_modules())
    if (name == "features.denseblock1") module->eval();
  net(images);
}

TEST(ModelErrors, AnomalyDetectionNamesTheOp) {
  const nn::DenseNet net = small_densenet(3);
  const Tensor images = full({1, 3, 64, 64}, std::nan(""));
  const DetectAnomaly guard;
  EXPECT_EQ(error_of([&] { cross_entropy(net(images), zeros({1}, {.dtype = Dtype::i64})); }),
            "conv2d: result [1,16,32,32] holds NaN or infinity (anomaly detection)");
}

}  // namespace
}  // namespace ar
