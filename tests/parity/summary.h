// Large tensors by what is recorded of them: norm, sum, largest value and eight sampled elements.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "tests/parity/parity.h"

namespace parity {

using Named = std::vector<std::pair<std::string, ar::Tensor>>;

/// A tensor of the recipe (tests/fixtures/recipe.py): a parameter or buffer by its state_dict name; an input, uniform
/// in
/// [-1, 1); a target with classes below `classes`.
ar::Tensor recipe_parameter(const std::string& name, const ar::Dims& shape, ar::Dtype dtype, bool gentle = false);
ar::Tensor recipe_input(const std::string& name, const ar::Dims& shape, ar::Dtype dtype);
ar::Tensor recipe_target(int64_t count, int64_t classes);

/// Compares tensors with the summaries `key` and `key`_samples of the file, whose rows belong to `names`. Norms and
/// samples may differ by `tolerance` times the tensor's norm or largest value; tensors below a hundredth of the
/// largest of all are measured against that.
void check_summaries(const Safetensors& file, const std::string& key, const std::vector<std::string>& names,
                     const Named& tensors, double tolerance);

}  // namespace parity
