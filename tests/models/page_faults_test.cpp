// Memory in a steady state: a step that repeats the one before touches no page for the first time.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <algorithm>
#include <functional>

#include "autograd/autograd.h"
#include "nn/models/backbone.h"
#include "nn/optim.h"
#include "tests/errors.h"

namespace ar {
namespace {

long page_faults() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt + usage.ru_majflt;
}

/// The first steps find out how much memory is needed, and in which pieces. After them a block of the allocator's least
/// size that came fresh in every step would be 16 faults a step, 80 in a window. A few are allowed: a thread of the
/// pool may run a part for the first time then, on scratch memory that is new to it, and the system may move a page.
void expect_steady(const std::function<void()>& step) {
#ifdef AR_SANITIZE
  GTEST_SKIP() << "sanitizers take memory of their own";
#endif
  for (int i = 0; i < 8; ++i) step();
  long least = 1000000;
  for (int window = 0; window < 3 && least > 0; ++window) {
    const long before = page_faults();
    for (int i = 0; i < 5; ++i) step();
    least = std::min(least, page_faults() - before);
  }
  EXPECT_LE(least, 8) << "page faults in 5 steps";
}

class SteadyMemory : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Backbone, SteadyMemory, ::testing::Values("tiny_darknet", "mobilenet_v2"),
                         [](const auto& i) { return i.param; });

TEST_P(SteadyMemory, Training) {
  auto model = nn::make_backbone(GetParam(), 20);
  optim::SGD optimiser(model->parameters(), {.lr = 1e-3, .momentum = 0.9});
  const Variable x = randn({4, 3, 224, 224});
  const Tensor target = randint(20, {4});
  expect_steady([&] {
    optimiser.zero_grad();
    cross_entropy((*model)(x), target).backward();
    optimiser.step();
  });
}

TEST_P(SteadyMemory, Inference) {
  auto model = nn::make_backbone(GetParam(), 20);
  model->eval();
  const Variable x = randn({4, 3, 224, 224});
  NoGrad guard;
  expect_steady([&] { (*model)(x); });
}

TEST(SteadyMemory, LstmAndAdam) {
  constexpr int64_t in = 256, hidden = 128;
  std::vector<Variable> weights;
  for (const Dims& shape : {Dims{4 * hidden, in}, Dims{4 * hidden, hidden}, Dims{4 * hidden}, Dims{4 * hidden}})
    for (int direction = 0; direction < 2; ++direction) weights.push_back(Variable(randn(shape), true));
  std::vector<Variable> by_direction;
  for (size_t d = 0; d < 2; ++d)
    for (size_t i = 0; i < 4; ++i) by_direction.push_back(weights[2 * i + d]);
  optim::Adam optimiser(weights, {.lr = 1e-4});
  const Variable x = randn({8, 16, in});
  const Tensor gradient = randn({8, 16, 2 * hidden});
  expect_steady([&] {
    optimiser.zero_grad();
    lstm(x, by_direction, {.hidden_size = hidden, .batch_first = true, .bidirectional = true})
        .output.backward(gradient);
    optimiser.step();
  });
}

}  // namespace
}  // namespace ar
