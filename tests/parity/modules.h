// Modules filled by the recipe, and what they hold, by name.
#pragma once
#include "nn/layers.h"
#include "nn/models/densenet.h"
#include "tests/parity/summary.h"

namespace parity {

/// Gives every parameter and buffer the recipe's value for its name.
inline void fill(ar::nn::Module& module, ar::Dtype dtype, bool gentle = false) {
  module.to(dtype);
  ar::nn::StateDict state;
  for (const auto& [name, tensor] : module.state_dict())
    state.emplace_back(name, recipe_parameter(name, tensor.shape(), dtype, gentle));
  module.load_state_dict(state);
}

/// Training mode, but for dropout.
inline void train_without_dropout(ar::nn::Module& module) {
  module.train();
  for (const auto& [name, child] : module.named_modules())
    if (dynamic_cast<ar::nn::Dropout*>(child)) child->eval();
}

inline Named gradients(const ar::nn::Module& module) {
  Named named;
  for (const auto& [name, parameter] : module.named_parameters()) named.emplace_back(name, parameter.grad());
  return named;
}

inline ar::Dims dims(const nlohmann::json& list) {
  const std::vector<int64_t> values = list;
  return ar::Dims(values.begin(), values.end());
}

/// The extractor of the small cases: 32 features; classes 0: no classifier.
inline ar::nn::DenseNet small_densenet(int64_t classes) {
  return ar::nn::DenseNet(
      {.growth_rate = 8, .block_config = {2, 2}, .num_init_features = 16, .bn_size = 2, .classes = classes});
}

}  // namespace parity
