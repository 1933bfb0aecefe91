// Whole networks against torchvision: names and shapes, logits, losses, running statistics, gradients by name.
#include <fstream>

#include "autograd/loss.h"
#include "nn/init.h"
#include "nn/models/backbone.h"
#include "tests/parity/modules.h"

namespace {

using namespace ar;
using parity::close;

nn::Box<nn::Backbone> build(const std::string& name) {
  const nn::init::Skip no_initial_values;  // the recipe's values follow
  return nn::make_backbone(name, 1000);
}

class ModelParity : public testing::TestWithParam<parity::CaseName> {
 protected:
  const Safetensors& file = parity::fixture("models");
  const std::string name = GetParam().name;
  const Dtype dtype = GetParam().dtype;
  const nlohmann::json& options = file.options(name);
  const double allowed = parity::tolerance(dtype);

  Tensor stored(const std::string& what) const { return file.tensor(name + "/" + what); }
  bool has(const std::string& what) const { return file.has(name + "/" + what); }

  /// One forward and backward pass in training mode; checks all but the running statistics.
  void check_step(nn::Module& model, const std::string& logits, const std::string& loss, const std::string& gradients,
                  double allowed_of_gradients) const {
    parity::train_without_dropout(model);
    const Tensor x = parity::recipe_input("input", parity::dims(options["train_input"]), dtype);
    const Variable y = model(x);
    const Variable l = cross_entropy(y, parity::recipe_target(x.size(0), y.size(1)));
    l.backward();
    EXPECT_TRUE(close(y.value(), stored(logits), allowed)) << "logits";
    EXPECT_TRUE(close(l.value(), stored(loss), allowed)) << "loss";
    parity::check_summaries(file, name + "/" + gradients, options["parameters"], parity::gradients(model),
                            allowed_of_gradients);
  }
};

TEST_P(ModelParity, Eval) {
  auto model = build(name);
  parity::fill(*model, dtype);
  model->eval();
  const NoGrad no_grad;
  const Tensor x = parity::recipe_input("input", parity::dims(options["eval_input"]), dtype);
  const Variable logits = (*model)(x);
  EXPECT_TRUE(close(logits.value(), stored("eval_logits"), allowed)) << "logits";
  const Variable loss = cross_entropy(logits, parity::recipe_target(x.size(0), logits.size(1)));
  EXPECT_TRUE(close(loss.value(), stored("eval_loss"), allowed)) << "loss";
  parity::check_summaries(file, name + "/eval_features", {"features"}, {{"features", model->features(x).value()}},
                          allowed);
}

INSTANTIATE_TEST_SUITE_P(All, ModelParity, testing::ValuesIn(parity::all_cases({"models"})), parity::test_name);

class TrainedModelParity : public ModelParity {};

TEST_P(TrainedModelParity, Step) {
  auto model = build(name);
  parity::fill(*model, dtype);
  // In float a few activations cross the kink of the ReLU by rounding and take their gradients with them.
  check_step(*model, "train_logits", "train_loss", "gradients", dtype == Dtype::f64 ? allowed : 5e-2);
  if (has("buffers"))
    parity::check_summaries(file, name + "/buffers", options["buffers"], model->named_buffers(), allowed);
}

class GentleModelParity : public ModelParity {};

TEST_P(GentleModelParity, Step) {
  auto model = build(name);
  parity::fill(*model, dtype, true);
  // DenseNet's fused norms sum d * x, not d * (x - mean), over a band of pixels in float: digits go where means are
  // several deviations, as they are here.
  const bool fused = dtype == Dtype::f32 && name.starts_with("densenet");
  check_step(*model, "gentle_logits", "gentle_loss", "gentle_gradients", fused ? 5e-4 : allowed);
}

std::vector<parity::CaseName> cases_with(const std::string& what) {
  auto cases = parity::all_cases({"models"});
  std::erase_if(cases, [&](const auto& c) { return !parity::fixture("models").has(c.name + "/" + what); });
  return cases;
}

INSTANTIATE_TEST_SUITE_P(All, TrainedModelParity, testing::ValuesIn(cases_with("gradients")), parity::test_name);
INSTANTIATE_TEST_SUITE_P(All, GentleModelParity, testing::ValuesIn(cases_with("gentle_gradients")), parity::test_name);

class ModelNames : public testing::TestWithParam<std::string> {};

TEST_P(ModelNames, AndShapesAreTorchvisions) {
  std::ifstream stream(std::string(AR_FIXTURES_DIR) + "/models.json");
  const auto want = nlohmann::json::parse(stream).at(GetParam());
  const auto model = build(GetParam());
  EXPECT_EQ(model->num_parameters(), want["parameters"].get<int64_t>());
  std::map<std::string, std::vector<int64_t>> state;
  for (const auto& [name, tensor] : model->state_dict())
    state[name].assign(tensor.shape().begin(), tensor.shape().end());
  EXPECT_EQ(state, (want["state"].get<std::map<std::string, std::vector<int64_t>>>()));
}

INSTANTIATE_TEST_SUITE_P(All, ModelNames, testing::ValuesIn(parity::fixture("models").cases()),
                         [](const auto& info) { return info.param; });

}  // namespace
