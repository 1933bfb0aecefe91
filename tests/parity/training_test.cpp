// Ten training steps of a small DenseNet and a small LRCN, with SGD and with AdamW, against PyTorch's.
#include <memory>

#include "autograd/loss.h"
#include "nn/models/lrcn.h"
#include "nn/optim.h"
#include "tests/parity/modules.h"

namespace {

using namespace ar;

std::unique_ptr<nn::Module> build_model(const nlohmann::json& o) {
  if (o["model"] == "densenet") return std::make_unique<nn::DenseNet>(parity::small_densenet(o["classes"]));
  return std::make_unique<nn::LRCN>(parity::small_densenet(0),
                                    nn::LRCNOptions{.classes = o["classes"], .rnn_units = 16, .head_dropout = 0});
}

std::unique_ptr<optim::Optimizer> build_optimiser(const nlohmann::json& o, const nn::Module& model) {
  if (o["optimiser"] == "SGD")
    return std::make_unique<optim::SGD>(
        model.parameters(),
        optim::SgdOptions{.lr = o["lr"], .momentum = o["momentum"], .weight_decay = o["weight_decay"]});
  return std::make_unique<optim::AdamW>(model.parameters(),
                                        optim::AdamWOptions{.lr = o["lr"], .weight_decay = o["weight_decay"]});
}

class TrainingParity : public testing::TestWithParam<parity::CaseName> {};

TEST_P(TrainingParity, TenSteps) {
  const auto& [_, name, dtype] = GetParam();
  const Safetensors& file = parity::fixture("training");
  const auto& o = file.options(name);
  const auto model = build_model(o);
  parity::fill(*model, dtype);
  const auto optimiser = build_optimiser(o, *model);
  const Tensor target = file.tensor(name + "/target");
  const auto losses = file.values(name + "/losses");
  for (size_t step = 0; step < losses.size(); ++step) {
    const Variable x = parity::recipe_input("input." + std::to_string(step), parity::dims(o["input"]), dtype);
    const auto* lrcn = dynamic_cast<const nn::LRCN*>(model.get());
    const Variable loss = lrcn ? lrcn->loss(x, target) : cross_entropy((*model)(x), target);
    optimiser->zero_grad();
    loss.backward();
    optimiser->step();
    EXPECT_NEAR(loss.item(), losses[step], losses[step] * parity::tolerance(dtype)) << "step " << step;
  }
  // AdamW divides a gradient by its size: one that is rounding moves its parameter by a whole step either way.
  const double allowed = dtype == Dtype::f32 && o["optimiser"] == "AdamW" ? 2e-2 : parity::tolerance(dtype);
  parity::check_summaries(file, name + "/final", o["state"], model->state_dict(), allowed);
}

INSTANTIATE_TEST_SUITE_P(All, TrainingParity, testing::ValuesIn(parity::all_cases({"training"})), parity::test_name);

}  // namespace
