// Modules: names and their order, loading, copying, conversion, modes, printing.
#include "nn/module.h"

#include "nn/layers.h"
#include "tests/nn/nn_test.h"

namespace ar {
namespace {

using nn::Members;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

struct Block : nn::Module {
  nn::Conv2d conv{{.in = 2, .out = 3, .kernel = 3, .padding = 1, .bias = false}};
  nn::BatchNorm2d norm{{.features = 3}};
  std::optional<nn::Linear> extra;
  nn::Box<> boxed, empty_box;
  nn::ModuleList<nn::Linear> list;
  nn::Parameter scale{ones({3})}, absent;
  nn::Buffer count{zeros({}, {.dtype = Dtype::i64})};

  Block() : boxed(nn::Linear({.in = 1, .out = 1})) {
    list.push_back(nn::Linear({.in = 2, .out = 1}));
    list.push_back(nn::Linear({.in = 2, .out = 1, .bias = false}));
  }
  void members(Members& add) override {
    add("conv", conv), add("norm", norm), add("extra", extra), add("boxed", boxed), add("none", empty_box);
    add("list", list), add("scale", scale), add("absent", absent), add("count", count);
  }
};

std::vector<std::string> names(const nn::StateDict& state) {
  std::vector<std::string> all;
  for (const auto& [name, t] : state) all.push_back(name);
  return all;
}

TEST(Module, NamesAreInPyTorchsOrder) {
  Block block;
  EXPECT_THAT(names(block.state_dict()),
              ElementsAre("scale", "count", "conv.weight", "norm.weight", "norm.bias", "norm.running_mean",
                          "norm.running_var", "norm.num_batches_tracked", "boxed.weight", "boxed.bias", "list.0.weight",
                          "list.0.bias", "list.1.weight"));
  EXPECT_THAT(names(block.named_buffers()),
              ElementsAre("count", "norm.running_mean", "norm.running_var", "norm.num_batches_tracked"));
  std::vector<std::string> parameters;
  for (const auto& [name, p] : block.named_parameters()) parameters.push_back(name);
  EXPECT_THAT(parameters, ElementsAre("scale", "conv.weight", "norm.weight", "norm.bias", "boxed.weight", "boxed.bias",
                                      "list.0.weight", "list.0.bias", "list.1.weight"));
  std::vector<std::string> modules;
  for (const auto& [name, m] : block.named_modules()) modules.push_back(name);
  EXPECT_THAT(modules, ElementsAre("", "conv", "norm", "boxed", "list", "list.0", "list.1"));
  block.extra.emplace(nn::Linear::Options{.in = 1, .out = 2});
  EXPECT_THAT(names(block.state_dict()), testing::Contains("extra.bias"));
}

TEST(Module, CountsParameters) {
  Block block;
  const int64_t all = 3 + 2 * 3 * 9 + 3 + 3 + 2 + 2 + 1 + 2;
  EXPECT_EQ(block.num_parameters(), all);
  block.conv.requires_grad_(false);
  EXPECT_EQ(block.num_parameters(true), all - 2 * 3 * 9);
  EXPECT_EQ(block.num_parameters(), all);
}

TEST(Module, BadNamesAreRefused) {
  struct Bad : nn::Module {
    nn::Parameter a{ones({1})};
    nn::Buffer b{ones({1})};
    std::vector<std::string> names;
    void members(Members& add) override { add(names[0], a), add(names[1], b); }
  } bad;
  bad.names = {"a", "a"};
  EXPECT_ERROR(bad.state_dict(), "members: \"a\" is listed twice");
  bad.names = {"a.b", "c"};
  EXPECT_ERROR(bad.state_dict(), "members: \"a.b\" is no name: it must not be empty or hold a dot");
  bad.names = {"a", ""};
  EXPECT_ERROR(bad.state_dict(), HasSubstr("is no name"));
}

TEST(Module, CopiesShareNothing) {
  Block a;
  a.eval();
  a.conv.weight.set_requires_grad(false);
  a.scale.set_grad(ones({3}));
  const Block b = a;
  nn::Box<> c = a;
  const nn::StateDict sa = a.state_dict();
  for (const nn::StateDict& other : {b.state_dict(), c->state_dict()}) {
    ASSERT_EQ(names(sa), names(other));
    for (size_t i = 0; i < sa.size(); ++i) {
      EXPECT_EQ(sa[i].second.to_vector<double>(), other[i].second.to_vector<double>()) << sa[i].first;
      EXPECT_EQ(sa[i].second.strides(), other[i].second.strides()) << sa[i].first;
      EXPECT_FALSE(sa[i].second.shares_memory_with(other[i].second)) << sa[i].first;
    }
  }
  EXPECT_FALSE(b.is_training());
  EXPECT_FALSE(b.norm.is_training());
  EXPECT_FALSE(b.conv.weight.requires_grad());
  EXPECT_TRUE(b.norm.weight.requires_grad());
  EXPECT_FALSE(b.scale.grad().defined());
  a.scale.value().fill(7);
  EXPECT_EQ(b.scale.value().at({0}), 1);

  Block d;
  d = b;  // assignment copies, too
  b.scale.value().fill(5);
  EXPECT_EQ(d.scale.value().at({0}), 1);
  EXPECT_FALSE(d.is_training());
}

TEST(Module, MovingKeepsIdentity) {
  Block a;
  const Variable weight = a.conv.weight;
  const Block b = std::move(a);
  EXPECT_TRUE(weight.same_as(b.conv.weight));
  nn::Sequential s;
  s.add(nn::Linear({.in = 2, .out = 2}));
  const Variable inner = s.parameters()[0];
  const nn::Sequential t = std::move(s);
  EXPECT_TRUE(inner.same_as(t.parameters()[0]));
}

TEST(Module, BoxRefusesAModuleKnownByItsBase) {
  struct Wider : nn::Linear {
    Wider() : nn::Linear({.in = 1, .out = 1}) {}
  } wider;
  const nn::Linear& linear = wider;
  EXPECT_ERROR(nn::Box<>(linear), "Box: a Wider known by its base class only; give it by its own type");
}

TEST(Module, LoadsWhatItSaved) {
  Block a, b;
  a.norm.running_mean.fill(3);
  a.count.fill(12);
  const nn::LoadReport report = b.load_state_dict(a.state_dict());
  EXPECT_TRUE(report.missing.empty());
  EXPECT_TRUE(report.unexpected.empty());
  const nn::StateDict sa = a.state_dict(), sb = b.state_dict();
  for (size_t i = 0; i < sa.size(); ++i)
    EXPECT_EQ(sa[i].second.to_vector<double>(), sb[i].second.to_vector<double>()) << sa[i].first;
  EXPECT_FALSE(a.scale.value().shares_memory_with(b.scale.value()));
}

TEST(Module, LoadConvertsDtypesAndOrders) {
  Block a, b;
  nn::StateDict state;
  for (const auto& [name, t] : a.state_dict())
    state.emplace_back(name, is_floating(t.dtype()) ? t.to(Dtype::f64).clone(Layout::channels_first) : t);
  b.load_state_dict(state);
  EXPECT_EQ(b.conv.weight.dtype(), Dtype::f32);
  EXPECT_TRUE(b.conv.weight.value().is_dense(Layout::channels_last));
  EXPECT_EQ(a.conv.weight.value().to_vector<float>(), b.conv.weight.value().to_vector<float>());
}

TEST(Module, LoadNamesEverythingThatDoesNotFit) {
  Block a;
  nn::StateDict state;
  for (const auto& [name, t] : a.state_dict())
    if (name != "conv.weight" && name != "norm.running_var")
      state.emplace_back(name, name == "scale" ? zeros({2, 2}) : zeros(t.shape(), {.dtype = t.dtype()}));
  state.emplace_back("conv.wieght", zeros({1}));
  state.emplace_back("tail", zeros({1}));
  const std::string text = error_of([&] { a.load_state_dict(state); });
  EXPECT_EQ(text,
            "load_state_dict: the state does not fit Block; 2 missing: conv.weight, norm.running_var; 2 unexpected: "
            "conv.wieght, tail; 1 mis-shaped: scale (here [3], given [2,2])");
  EXPECT_EQ(a.norm.weight.value().at({0}), 1) << "nothing changed";
  // Not strict: shapes must fit all the same, the rest is reported.
  EXPECT_ERROR(a.load_state_dict(state, false), HasSubstr("1 mis-shaped: scale"));
  state[0].second = full({3}, 4);
  const nn::LoadReport report = a.load_state_dict(state, false);
  EXPECT_THAT(report.missing, ElementsAre("conv.weight", "norm.running_var"));
  EXPECT_THAT(report.unexpected, ElementsAre("conv.wieght", "tail"));
  EXPECT_EQ(a.scale.value().at({0}), 4);
}

TEST(Module, OldWeightsMayLackBatchCounts) {
  Block a;
  nn::StateDict state;
  for (const auto& [name, t] : a.state_dict())
    if (name != "norm.num_batches_tracked") state.emplace_back(name, t.clone());
  a.norm.num_batches_tracked.fill(5);
  EXPECT_TRUE(a.load_state_dict(state).missing.empty());
  EXPECT_EQ(a.norm.num_batches_tracked.item(), 5);
}

TEST(Module, ConvertsDtype) {
  Block a;
  const Variable scale = a.scale;
  scale.set_grad(full({3}, 2));
  a.to(Dtype::f64);
  EXPECT_EQ(scale.dtype(), Dtype::f64) << "handles stay valid";
  EXPECT_EQ(scale.grad().dtype(), Dtype::f64);
  EXPECT_EQ(scale.grad().at({1}), 2);
  EXPECT_EQ(a.norm.running_mean.dtype(), Dtype::f64);
  EXPECT_EQ(a.count.dtype(), Dtype::i64);
  EXPECT_TRUE(scale.requires_grad());
  EXPECT_ERROR(a.to(Dtype::i64), "to: modules hold floating values, not int64");
}

TEST(Module, Modes) {
  Block a;
  EXPECT_TRUE(a.is_training() && a.norm.is_training());
  a.eval();
  EXPECT_FALSE(a.is_training() || a.norm.is_training() || a.list[1].is_training());
  a.train();
  EXPECT_TRUE(a.is_training() && a.norm.is_training() && a.boxed->is_training());
  for (const Variable& p : a.parameters()) p.set_grad(zeros_like(p.value()));
  a.zero_grad();
  for (const Variable& p : a.parameters()) EXPECT_FALSE(p.grad().defined());
}

TEST(Module, ForwardOfAnotherKind) {
  const Block a;
  EXPECT_ERROR(a(Variable(ones({1}))), "Block: has no forward of a single input");
}

TEST(Module, PrintsAsATree) {
  nn::Sequential features;
  features.add("conv0", nn::Conv2d({.in = 3, .out = 64, .kernel = 7, .stride = 2, .padding = 3, .bias = false}));
  features.add("relu0", nn::ReLU());
  const nn::Sequential net(std::move(features), nn::Linear({.in = 64, .out = 10}));
  EXPECT_EQ(printed(net), R"(Sequential(
  (0): Sequential(
    (conv0): Conv2d(3, 64, kernel_size=(7, 7), stride=(2, 2), padding=(3, 3), bias=False)
    (relu0): ReLU()
  )
  (1): Linear(in_features=64, out_features=10, bias=True)
))");
}

TEST(Sequential, RunsInOrder) {
  nn::Sequential s(nn::LeakyReLU(0.5), nn::Flatten());
  EXPECT_EQ(s.size(), 2);
  const Variable y = s(Variable(full({2, 3, 4}, -1)));
  EXPECT_EQ(y.shape(), (Dims{2, 12}));
  EXPECT_EQ(y.value().at({1, 5}), -0.5);
  EXPECT_EQ(s[1].type_name(), "Flatten");
  EXPECT_ERROR(s[2], "Sequential: no module 2 among 2");
  EXPECT_ERROR(s.add("x", nn::Box<>()), "Sequential: \"x\" is an empty box");
  EXPECT_EQ(nn::Sequential(s).size(), 2) << "a copy, not a Sequential of one";
  nn::ModuleList<> list;
  EXPECT_ERROR(list[0], "ModuleList: no module 0 among 0");
}

}  // namespace
}  // namespace ar
