// The LRCN with every head, and the image classifier, against the reference in tests/fixtures/nets.py.
#include "nn/models/lrcn.h"

#include <algorithm>

#include "autograd/loss.h"
#include "nn/models/image_classifier.h"
#include "tests/parity/modules.h"

namespace {

using namespace ar;
using parity::close;

nn::LRCN build_lrcn(const nlohmann::json& o) {
  return nn::LRCN(parity::small_densenet(0), {.classes = o["classes"],
                                              .rnn_units = o["units"],
                                              .rnn_layers = o["layers"],
                                              .bidirectional = o["bidirectional"],
                                              .head_dropout = 0,
                                              .freeze = o["freeze"],
                                              .head = o["head"]});
}

class LrcnParity : public testing::TestWithParam<parity::CaseName> {
 protected:
  const Safetensors& file = parity::fixture("lrcn");
  const std::string name = GetParam().name;
  const Dtype dtype = GetParam().dtype;
  const nlohmann::json& options = file.options(name);
  const double allowed = parity::tolerance(dtype);

  Tensor stored(const std::string& what) const { return file.tensor(name + "/" + what); }

  /// One step in training mode, then the evaluation.
  void check(nn::Module& model, const Variable& x, const Variable& y, const Variable& loss) const {
    loss.backward();
    EXPECT_TRUE(close(y.value(), stored("y"), allowed)) << "log-probabilities";
    EXPECT_TRUE(close(loss.value(), stored("loss"), allowed)) << "loss";
    const std::vector<std::string> trained = options["parameters"];
    const auto gradients = parity::gradients(model);
    parity::check_summaries(file, name + "/gradients", trained, gradients, allowed);
    for (const auto& [parameter, gradient] : gradients) {
      if (std::find(trained.begin(), trained.end(), parameter) == trained.end()) {
        EXPECT_FALSE(gradient.defined()) << parameter << " is frozen and has a gradient";
      }
    }
    if (!options["freeze"].get<bool>())
      parity::check_summaries(file, name + "/gx", {"input"}, {{"input", x.grad()}}, allowed);
    model.eval();
    const NoGrad no_grad;
    EXPECT_TRUE(close(model(x).value(), stored("eval_y"), allowed)) << "log-probabilities in eval mode";
  }
};

TEST_P(LrcnParity, MatchesPyTorch) {
  const Variable x(parity::recipe_input("input", parity::dims(options["input"]), dtype),
                   !options["freeze"].get<bool>());
  const Tensor target = stored("target");
  if (options.contains("head")) {
    // Not model(x) and model.loss(x, target): the running statistics moved once in the recorded step.
    nn::LRCN model = build_lrcn(options);
    parity::fill(model, dtype);
    const Variable states = model.states(x);
    check(model, x, model.head()(states), model.head().loss(states, target));
  } else {
    nn::ImageClassifier model(
        {.feature_extractor = "resnet18", .classes = 5, .dropout = 0, .freeze = options["freeze"]});
    parity::fill(model, dtype, true);
    const Variable y = model(x);
    check(model, x, y, nll_loss(y, target));
  }
}

INSTANTIATE_TEST_SUITE_P(All, LrcnParity, testing::ValuesIn(parity::all_cases({"lrcn"})), parity::test_name);

}  // namespace
