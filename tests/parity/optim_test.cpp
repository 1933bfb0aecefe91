// Optimisers, schedules, clipping and the scales of the initialisers against PyTorch's.
#include "nn/optim.h"

#include <cmath>
#include <limits>
#include <memory>

#include "nn/init.h"
#include "nn/lr_scheduler.h"
#include "tests/parity/parity.h"

namespace {

using namespace ar;
using parity::close;

const char* const kNames[] = {"weight", "bias"};

const Safetensors& file() { return parity::fixture("optim"); }

std::vector<parity::CaseName> cases(const std::string& kind) {
  auto list = parity::all_cases({"optim"});
  std::erase_if(list, [&](const auto& c) { return file().options(c.name)["kind"] != kind; });
  return list;
}

optim::SgdOptions sgd_options(const nlohmann::json& o) {
  return {.lr = o["lr"],
          .momentum = o.value("momentum", 0.0),
          .dampening = o.value("dampening", 0.0),
          .weight_decay = o.value("weight_decay", 0.0),
          .nesterov = o.value("nesterov", false)};
}

/// AdamOptions or AdamWOptions: they differ in their defaults only.
template <class Options>
Options adam_options(const nlohmann::json& o) {
  const Options defaults;
  const std::vector<double> betas = o.value("betas", std::vector<double>{defaults.beta1, defaults.beta2});
  return {.lr = o["lr"],
          .beta1 = betas[0],
          .beta2 = betas[1],
          .eps = o.value("eps", defaults.eps),
          .weight_decay = o.value("weight_decay", defaults.weight_decay)};
}

/// The optimiser of a case; the second parameter may have options of its own.
std::unique_ptr<optim::Optimizer> build(const nlohmann::json& o, const std::vector<Variable>& parameters) {
  nlohmann::json second = o;
  if (o.contains("bias_group")) second.update(o["bias_group"]);
  const std::vector<Variable> weight{parameters[0]}, bias{parameters[1]};
  if (o["op"] == "SGD")
    return std::make_unique<optim::SGD>(
        std::vector<optim::Group<optim::SgdOptions>>{{weight, sgd_options(o)}, {bias, sgd_options(second)}});
  if (o["op"] == "Adam")
    return std::make_unique<optim::Adam>(std::vector<optim::Group<optim::AdamOptions>>{
        {weight, adam_options<optim::AdamOptions>(o)}, {bias, adam_options<optim::AdamOptions>(second)}});
  return std::make_unique<optim::AdamW>(std::vector<optim::Group<optim::AdamWOptions>>{
      {weight, adam_options<optim::AdamWOptions>(o)}, {bias, adam_options<optim::AdamWOptions>(second)}});
}

class OptimiserParity : public testing::TestWithParam<parity::CaseName> {};

TEST_P(OptimiserParity, TenSteps) {
  const auto& [_, name, dtype] = GetParam();
  std::map<std::string, Tensor> gradients, values;
  std::vector<Variable> parameters;
  for (const char* what : kNames) {
    gradients[what] = file().tensor(name + "/gradient." + what, dtype);
    values[what] = file().tensor(name + "/value." + what, dtype);
    parameters.emplace_back(values[what][0].clone(), true);
  }
  const auto optimiser = build(file().options(name), parameters);
  for (int64_t step = 0; step < gradients["weight"].size(0); ++step) {
    for (int i = 0; i < 2; ++i) parameters[i].set_grad(gradients[kNames[i]][step].clone());
    optimiser->step();
    for (int i = 0; i < 2; ++i)
      EXPECT_TRUE(close(parameters[i].value(), values[kNames[i]][step + 1], parity::tolerance(dtype)))
          << kNames[i] << " after step " << step;
  }
}

INSTANTIATE_TEST_SUITE_P(All, OptimiserParity, testing::ValuesIn(cases("optimiser")), parity::test_name);

class ScheduleParity : public testing::TestWithParam<parity::CaseName> {};

std::unique_ptr<optim::LrScheduler> build(const nlohmann::json& o, optim::Optimizer& optimiser) {
  if (o["op"] == "StepLR")
    return std::make_unique<optim::StepLR>(optimiser,
                                           optim::StepLR::Options{.step_size = o["step_size"], .gamma = o["gamma"]});
  if (o["op"] == "CosineAnnealingLR")
    return std::make_unique<optim::CosineLR>(
        optimiser, optim::CosineLR::Options{.total_steps = o["T_max"], .min_lr = o["eta_min"]});
  if (o["op"] == "WarmupCosine")
    return std::make_unique<optim::CosineLR>(
        optimiser, optim::CosineLR::Options{.total_steps = o["total"],
                                            .warmup = {.steps = o["warmup"], .start_factor = o["start_factor"]},
                                            .min_lr = o["eta_min"]});
  optim::OneCycleLR::Options options{.max_lr = {o["max_lr"].get<double>()}, .total_steps = o["total_steps"]};
  options.pct_start = o.value("pct_start", options.pct_start);
  if (o.value("anneal_strategy", "cos") == "linear") options.anneal = optim::Anneal::linear;
  options.cycle_momentum = o.value("cycle_momentum", options.cycle_momentum);
  options.base_momentum = o.value("base_momentum", options.base_momentum);
  options.max_momentum = o.value("max_momentum", options.max_momentum);
  options.div_factor = o.value("div_factor", options.div_factor);
  options.final_div_factor = o.value("final_div_factor", options.final_div_factor);
  return std::make_unique<optim::OneCycleLR>(optimiser, options);
}

TEST_P(ScheduleParity, Rates) {
  const auto& o = file().options(GetParam().name);
  optim::SGD sgd({Variable(zeros({1}), true)}, {.lr = o.value("lr", 0.1), .momentum = 0.9});
  const auto schedule = build(o, sgd);
  const auto rates = file().values(GetParam().name + "/lr");
  for (size_t t = 0; t < rates.size(); ++t) {
    EXPECT_NEAR(sgd.group_options(0).lr, rates[t], 1e-12) << "step " << t;
    if (file().has(GetParam().name + "/momentum")) {
      EXPECT_NEAR(sgd.group_options(0).momentum, file().values(GetParam().name + "/momentum")[t], 1e-12)
          << "momentum in step " << t;
    }
    if (t + 1 < rates.size()) schedule->step();
  }
}

std::vector<parity::CaseName> schedules() {
  auto list = cases("schedule");  // rates are doubles whatever the parameters are
  std::erase_if(list, [](const auto& c) { return c.dtype != Dtype::f64; });
  return list;
}

INSTANTIATE_TEST_SUITE_P(All, ScheduleParity, testing::ValuesIn(schedules()), parity::test_name);

class ClipParity : public testing::TestWithParam<parity::CaseName> {};

TEST_P(ClipParity, Gradients) {
  const auto& [_, name, dtype] = GetParam();
  const auto& o = file().options(name);
  std::vector<Variable> parameters;
  for (const char* what : kNames) {
    const Tensor gradient = file().tensor(name + "/gradient." + what, dtype);
    parameters.emplace_back(zeros_like(gradient), true);
    parameters.back().set_grad(gradient);
  }
  if (o["op"] == "clip_grad_value_") {
    optim::clip_grad_value_(parameters, o["clip_value"]);
  } else {
    const double type =
        o["norm_type"].is_string() ? std::numeric_limits<double>::infinity() : o["norm_type"].get<double>();
    const double norm = optim::clip_grad_norm_(parameters, o["max_norm"], {.norm_type = type});
    const double want = file().values(name + "/norm")[0];
    EXPECT_NEAR(norm, want, want * (dtype == Dtype::f64 ? 1e-12 : 1e-6));
  }
  for (int i = 0; i < 2; ++i)
    EXPECT_TRUE(close(parameters[i].grad(), file().tensor(name + "/clipped." + kNames[i]), parity::tolerance(dtype)))
        << kNames[i];
}

INSTANTIATE_TEST_SUITE_P(All, ClipParity, testing::ValuesIn(cases("clip")), parity::test_name);

TEST(InitParity, Gains) {
  using nn::init::Nonlinearity;
  const auto& o = file().options("gains");
  const std::map<std::string, Nonlinearity> kinds{{"linear", Nonlinearity::linear},
                                                  {"sigmoid", Nonlinearity::sigmoid},
                                                  {"tanh", Nonlinearity::tanh},
                                                  {"relu", Nonlinearity::relu},
                                                  {"selu", Nonlinearity::selu}};
  for (const auto& [name, kind] : kinds) EXPECT_DOUBLE_EQ(nn::init::gain(kind), o["gains"][name]) << name;
  for (const auto& [slope, gain] : o["leaky_relu"].get<std::vector<std::pair<double, double>>>())
    EXPECT_DOUBLE_EQ(nn::init::gain(Nonlinearity::leaky_relu, slope), gain) << "leaky_relu " << slope;
}

TEST(InitParity, Fans) {
  for (const auto& c : cases("fans")) {
    const auto& o = file().options(c.name);
    const std::vector<int64_t> shape = o["shape"];
    const auto fans = nn::init::fans(Dims(shape.begin(), shape.end()));
    EXPECT_EQ(fans.in, o["fan_in"]) << c.name;
    EXPECT_EQ(fans.out, o["fan_out"]) << c.name;
  }
}

}  // namespace
