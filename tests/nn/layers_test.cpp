// Layers: names of their state, batch norm's bookkeeping, printing, bad options.
#include "nn/layers.h"

#include "nn/attention.h"
#include "nn/loss.h"
#include "nn/lstm.h"
#include "tests/nn/nn_test.h"

namespace ar {
namespace {

using testing::ElementsAre;

std::vector<std::string> shapes(const nn::Module& m) {
  std::vector<std::string> all;
  for (const auto& [name, t] : m.state_dict()) all.push_back(name + " " + printed(t.shape()));
  return all;
}

TEST(Layers, States) {
  EXPECT_THAT(shapes(nn::Linear({.in = 3, .out = 2})), ElementsAre("weight [2,3]", "bias [2]"));
  EXPECT_THAT(shapes(nn::Linear({.in = 3, .out = 2, .bias = false})), ElementsAre("weight [2,3]"));
  EXPECT_THAT(shapes(nn::Conv2d({.in = 6, .out = 4, .kernel = {1, 5}, .groups = 2})),
              ElementsAre("weight [4,3,1,5]", "bias [4]"));
  EXPECT_THAT(shapes(nn::BatchNorm1d({.features = 2})),
              ElementsAre("weight [2]", "bias [2]", "running_mean [2]", "running_var [2]", "num_batches_tracked []"));
  EXPECT_THAT(shapes(nn::BatchNorm2d({.features = 2, .affine = false, .track_running_stats = false})), ElementsAre());
  EXPECT_THAT(shapes(nn::MultiheadAttention({.embed_dim = 4, .num_heads = 2})),
              ElementsAre("in_proj_weight [12,4]", "in_proj_bias [12]", "out_proj.weight [4,4]", "out_proj.bias [4]"));
  EXPECT_THAT(shapes(nn::MultiheadAttention({.embed_dim = 4, .num_heads = 2, .bias = false})),
              ElementsAre("in_proj_weight [12,4]", "out_proj.weight [4,4]"));
  EXPECT_THAT(shapes(nn::LSTM({.input_size = 3, .hidden_size = 2, .num_layers = 2, .bidirectional = true})),
              ElementsAre("weight_ih_l0 [8,3]", "weight_hh_l0 [8,2]", "bias_ih_l0 [8]", "bias_hh_l0 [8]",
                          "weight_ih_l0_reverse [8,3]", "weight_hh_l0_reverse [8,2]", "bias_ih_l0_reverse [8]",
                          "bias_hh_l0_reverse [8]", "weight_ih_l1 [8,4]", "weight_hh_l1 [8,2]", "bias_ih_l1 [8]",
                          "bias_hh_l1 [8]", "weight_ih_l1_reverse [8,4]", "weight_hh_l1_reverse [8,2]",
                          "bias_ih_l1_reverse [8]", "bias_hh_l1_reverse [8]"));
  EXPECT_THAT(shapes(nn::LSTM({.input_size = 3, .hidden_size = 2, .bias = false})),
              ElementsAre("weight_ih_l0 [8,3]", "weight_hh_l0 [8,2]"));
}

TEST(Layers, PrintAsPyTorchs) {
  EXPECT_EQ(printed(nn::Conv2d({.in = 4, .out = 8, .kernel = {1, 3}, .padding = {0, 1}, .dilation = 2, .groups = 4})),
            "Conv2d(4, 8, kernel_size=(1, 3), stride=(1, 1), padding=(0, 1), dilation=(2, 2), groups=4)");
  EXPECT_EQ(printed(nn::Conv2d({.in = 4, .out = 8, .padding = {0, 0, 1, 1}})),
            "Conv2d(4, 8, kernel_size=(1, 1), stride=(1, 1), padding=(top 0, left 0, bottom 1, right 1))");
  EXPECT_EQ(printed(nn::BatchNorm2d({.features = 8})),
            "BatchNorm2d(8, eps=1e-05, momentum=0.1, affine=True, track_running_stats=True)");
  EXPECT_EQ(printed(nn::BatchNorm1d({.features = 8, .momentum = std::nullopt, .affine = false})),
            "BatchNorm1d(8, eps=1e-05, momentum=None, affine=False, track_running_stats=True)");
  EXPECT_EQ(printed(nn::MaxPool2d({.kernel = 3, .stride = 2, .padding = 1})),
            "MaxPool2d(kernel_size=3, stride=2, padding=1, dilation=1, ceil_mode=False)");
  EXPECT_EQ(printed(nn::AvgPool2d({.kernel = {2, 3}})), "AvgPool2d(kernel_size=(2, 3), stride=(2, 3), padding=0)");
  EXPECT_EQ(printed(nn::AdaptiveAvgPool2d({1, 2})), "AdaptiveAvgPool2d(output_size=(1, 2))");
  EXPECT_EQ(printed(nn::LocalResponseNorm()), "LocalResponseNorm(5, alpha=0.0001, beta=0.75, k=1)");
  EXPECT_EQ(printed(nn::Dropout()), "Dropout(p=0.5)");
  EXPECT_EQ(printed(nn::LeakyReLU()), "LeakyReLU(negative_slope=0.01)");
  EXPECT_EQ(printed(nn::LSTM({.input_size = 3, .hidden_size = 2, .num_layers = 2, .dropout = 0.5})),
            "LSTM(3, 2, num_layers=2, dropout=0.5)");
  EXPECT_EQ(printed(nn::Flatten()), "Flatten(start_dim=1, end_dim=-1)");
  EXPECT_EQ(printed(nn::LogSoftmax(1)), "LogSoftmax(dim=1)");
}

TEST(BatchNorm, CountsBatchesAndAverages) {
  nn::BatchNorm1d norm({.features = 1, .momentum = std::nullopt});
  for (int i = 1; i <= 3; ++i) norm(Variable(from_vector(std::vector<float>{float(i), float(i + 2)}, {2, 1})));
  EXPECT_EQ(norm.num_batches_tracked.item(), 3);
  EXPECT_NEAR(norm.running_mean.at({0}), (2 + 3 + 4) / 3.0, 1e-6) << "the plain average";
  EXPECT_NEAR(norm.running_var.at({0}), 2, 1e-6) << "unbiased";
  norm.eval();
  norm(Variable(ones({2, 1})));
  EXPECT_EQ(norm.num_batches_tracked.item(), 3);
  const nn::BatchNorm1d usual({.features = 1});
  usual(Variable(from_vector(std::vector<float>{1, 3}, {2, 1})));
  EXPECT_NEAR(usual.running_mean.at({0}), 0.2, 1e-6);
  EXPECT_NEAR(usual.running_var.at({0}), 0.9 + 0.1 * 2, 1e-6);
}

TEST(BatchNorm, ModesChooseTheStatistics) {
  const Variable x(from_vector(std::vector<float>{1, 3}, {2, 1}));
  nn::BatchNorm1d norm({.features = 1, .eps = 0});
  EXPECT_NEAR(norm(x).value().at({0, 0}), -1, 1e-6);
  norm.running_mean.fill(1), norm.running_var.fill(4);
  norm.eval();
  EXPECT_NEAR(norm(x).value().at({1, 0}), 1, 1e-6);
  nn::BatchNorm1d batch_only({.features = 1, .eps = 0, .track_running_stats = false});
  batch_only.eval();
  EXPECT_NEAR(batch_only(x).value().at({1, 0}), 1, 1e-6);
}

TEST(Layers, DropoutKnowsItsMode) {
  nn::Dropout all(1.0), half;
  const Variable x(ones({1000}));
  EXPECT_EQ(all(x).value().at({3}), 0);
  int kept = 0;
  for (double v : half(x).value().to_vector<double>()) {
    EXPECT_TRUE(v == 0 || v == 2);
    kept += v != 0;
  }
  EXPECT_NEAR(kept, 500, 80);
  all.eval();
  EXPECT_TRUE(all(x).same_as(x));
}

TEST(Layers, Losses) {
  const Variable logits(zeros({2, 4}));
  const Tensor target = from_vector(std::vector<int64_t>{1, 3}, {2});
  EXPECT_NEAR(nn::CrossEntropyLoss()(logits, target).item(), std::log(4.0), 1e-6);
  EXPECT_NEAR((nn::CrossEntropyLoss{{.reduction = Reduction::sum}})(logits, target).item(), 2 * std::log(4.0), 1e-6);
  EXPECT_NEAR((nn::NLLLoss{{.ignore_index = 3}})(nn::LogSoftmax(1)(logits), target).item(), std::log(4.0), 1e-6);
}

TEST(Layers, BadOptions) {
  EXPECT_ERROR(nn::Linear({.in = -1, .out = 2}), "Linear: in and out must be positive, they are -1 and 2");
  EXPECT_ERROR(nn::Linear({.out = 2}), "Linear: in and out must be positive, they are 0 and 2");
  EXPECT_ERROR(nn::Linear({.in = 2}), "Linear: in and out must be positive, they are 2 and 0");
  EXPECT_ERROR(nn::Conv2d({.in = 0, .out = 2}), "Conv2d: in, out and groups must be positive, they are 0, 2 and 1");
  EXPECT_ERROR(nn::Conv2d({.in = 3, .out = 4, .groups = 2}),
               "Conv2d: groups must divide in and out, in is 3, out is 4, groups is 2");
  EXPECT_ERROR(nn::Conv2d({.in = 3, .out = 4, .kernel = 0}),
               "Conv2d: kernel, stride and dilation must be positive, they are (0, 0), (1, 1) and (1, 1)");
  EXPECT_ERROR(nn::BatchNorm2d({}), "BatchNorm: features must be positive, it is 0");
  EXPECT_ERROR(nn::BatchNorm2d({.features = 2})(Variable(ones({2, 2}))),
               "BatchNorm2d: x must have 4 dimensions, it is [2,2]");
  EXPECT_ERROR(nn::BatchNorm1d({.features = 2})(Variable(ones({2}))),
               "BatchNorm1d: x must have 2 or 3 dimensions, it is [2]");
  EXPECT_ERROR(nn::Dropout(1.5), "Dropout: p must be in [0, 1], it is 1.5");
  EXPECT_ERROR(nn::LSTM({.input_size = 2}),
               "LSTM: input_size, hidden_size and num_layers must be positive, they are 2, 0 and 1");
  EXPECT_ERROR(nn::LSTM({.input_size = 2, .hidden_size = 2, .dropout = 2}), "LSTM: dropout must be in [0, 1], it is 2");
  EXPECT_ERROR(nn::MultiheadAttention({.embed_dim = 5, .num_heads = 2}),
               "MultiheadAttention: num_heads must divide embed_dim, they are 2 and 5");
}

}  // namespace
}  // namespace ar
