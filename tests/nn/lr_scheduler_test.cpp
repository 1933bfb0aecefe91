// Schedules: closed forms, values that PyTorch 2.15 gives, saved state.
#include "nn/lr_scheduler.h"

#include "tests/nn/nn_test.h"

namespace ar {
namespace {

using testing::ElementsAre;
using testing::StartsWith;

Variable parameter() { return Variable(ones({1}), true); }

template <class S>
std::vector<double> rates(S& schedule, int steps, int group = 0) {
  std::vector<double> all;
  for (int i = 0; i < steps; ++i) {
    all.push_back(schedule.last_lr()[size_t(group)]);
    schedule.step();
  }
  return all;
}

void expect_near(const std::vector<double>& values, const std::vector<double>& expected) {
  ASSERT_EQ(values.size(), expected.size());
  for (size_t i = 0; i < values.size(); ++i) EXPECT_NEAR(values[i], expected[i], 1e-12) << i;
}

TEST(StepLR, Decays) {
  optim::SGD sgd({{{parameter()}, {.lr = 1}}, {{parameter()}, {.lr = 0.2}}});
  optim::StepLR schedule(sgd, {.step_size = 2, .gamma = 0.5});
  expect_near(rates(schedule, 6), {1, 1, 0.5, 0.5, 0.25, 0.25});
  EXPECT_DOUBLE_EQ(sgd.group_options(1).lr, 0.2 / 8);
  EXPECT_EQ(schedule.last_step(), 6);
  EXPECT_ERROR(optim::StepLR(sgd, {.step_size = 0}), "StepLR: step_size must be positive, it is 0");
}

TEST(StepLR, WarmsUp) {
  optim::SGD sgd({parameter()}, {.lr = 1});
  optim::StepLR schedule(sgd, {.step_size = 3, .gamma = 0.5, .warmup = {.steps = 4, .start_factor = 0.2}});
  expect_near(rates(schedule, 6), {0.2, 0.4, 0.6, 0.4, 0.5, 0.5});
}

TEST(OneCycleLR, RisesAndFalls) {
  optim::SGD sgd({parameter()}, {.lr = 7, .momentum = 0.9});
  optim::OneCycleLR schedule(sgd, {.max_lr = {0.1}, .total_steps = 10});
  const double pi = std::acos(-1.0), start = 0.1 / 25, end = start / 1e4;
  for (int t = 0; t < 12; ++t) {  // the last rate stays when the steps go on
    const bool rising = t <= 2;
    const double u = rising ? t / 2.0 : std::min(1.0, (t - 2) / 7.0), share = (1 + std::cos(pi * u)) / 2;
    EXPECT_NEAR(sgd.group_options(0).lr, rising ? 0.1 + (start - 0.1) * share : end + (0.1 - end) * share, 1e-12) << t;
    EXPECT_NEAR(sgd.group_options(0).momentum, rising ? 0.85 + 0.1 * share : 0.95 - 0.1 * share, 1e-12) << t;
    schedule.step();
  }
  EXPECT_EQ(schedule.last_step(), 12);
}

TEST(OneCycleLR, Options) {
  optim::AdamW adam({{{parameter()}, {}}, {{parameter()}, {}}});
  optim::OneCycleLR schedule(adam, {.max_lr = {1, 0.1},
                                    .total_steps = 5,
                                    .pct_start = 0.4,
                                    .anneal = optim::Anneal::linear,
                                    .cycle_momentum = false,
                                    .div_factor = 10,
                                    .final_div_factor = 1});
  expect_near(rates(schedule, 5), {0.1, 1, 0.7, 0.4, 0.1});
  EXPECT_EQ(adam.group_options(0).beta1, 0.9);
  EXPECT_ERROR(optim::OneCycleLR(adam, {.max_lr = {1, 2, 3}, .total_steps = 5}),
               "OneCycleLR: max_lr needs one rate or 2, one for each group; there are 3");
  EXPECT_ERROR(optim::OneCycleLR(adam, {.max_lr = {1}}), "OneCycleLR: total_steps must be positive, it is 0");
  EXPECT_ERROR(optim::OneCycleLR(adam, {.max_lr = {1}, .total_steps = 5, .pct_start = 2}),
               "OneCycleLR: pct_start must be in [0, 1], it is 2");
}

TEST(OneCycleLR, TurnsAdamsBeta1) {
  optim::Adam adam({parameter()});
  const optim::OneCycleLR schedule(adam, {.max_lr = {1}, .total_steps = 5});
  EXPECT_EQ(adam.group_options(0).beta1, 0.95);
}

TEST(CosineLR, WarmsUpAndFalls) {
  optim::SGD sgd({parameter()}, {.lr = 1});
  optim::CosineLR schedule(sgd, {.total_steps = 8, .warmup = {.steps = 4, .start_factor = 0.2}, .min_lr = 0.1});
  const double s = std::sqrt(0.5);
  expect_near(rates(schedule, 10), {0.2, 0.4, 0.6, 0.8, 1, 0.1 + 0.45 * (1 + s), 0.55, 0.1 + 0.45 * (1 - s), 0.1, 0.1});
  EXPECT_ERROR(optim::CosineLR(sgd, {.total_steps = 4, .warmup = {.steps = 4}}),
               "CosineLR: total_steps must exceed the warm-up's, they are 4 and 4");
}

TEST(LrScheduler, GoesOnFromASavedState) {
  optim::SGD a({parameter()}, {.lr = 1}), b({parameter()}, {.lr = 5});
  optim::CosineLR first(a, {.total_steps = 9, .warmup = {.steps = 2}}),
      second(b, {.total_steps = 9, .warmup = {.steps = 2}});
  for (int i = 0; i < 5; ++i) first.step();
  second.load_state_dict(first.state_dict());
  EXPECT_EQ(second.last_step(), 5);
  EXPECT_EQ(rates(first, 4), rates(second, 4));
  EXPECT_ERROR(second.load_state_dict({}), "load_state_dict: not the state of a CosineLR over 1 parameter groups");
  b.add_group({parameter()}, {});
  EXPECT_ERROR(second.step(), "CosineLR: made for 1 parameter groups, the optimiser has 2");
  const std::vector<double> before = second.state_dict()[1].second.to_vector<double>();
  EXPECT_ERROR(second.load_state_dict({{"last_step", arange(1)}, {"base_lrs", full({1}, 7, {.dtype = Dtype::f64})}}),
               "CosineLR: made for 1 parameter groups, the optimiser has 2");
  EXPECT_EQ(second.last_step(), 9) << "nothing changes";
  EXPECT_EQ(second.state_dict()[1].second.to_vector<double>(), before);
}

TEST(LrScheduler, AnotherScheduleGoesOnFromTheStepsAndBaseRates) {
  optim::SGD a({parameter()}, {.lr = 1}), b({parameter()}, {.lr = 5});
  optim::StepLR first(a, {.step_size = 100});
  optim::CosineLR second(b, {.total_steps = 8});
  for (int i = 0; i < 4; ++i) first.step();
  second.load_state_dict(first.state_dict());
  EXPECT_DOUBLE_EQ(second.last_lr()[0], 0.5);
}

}  // namespace
}  // namespace ar
