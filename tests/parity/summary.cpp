#include "tests/parity/summary.h"

#include <algorithm>
#include <cmath>

#include "tests/fixtures/recipe.h"

namespace parity {

using ar::Dims;
using ar::Dtype;
using ar::Tensor;

Tensor recipe_parameter(const std::string& name, const Dims& shape, Dtype dtype, bool gentle) {
  return ar::from_vector(recipe::parameter(name, {shape.begin(), shape.end()}, gentle), shape).to(dtype);
}

Tensor recipe_input(const std::string& name, const Dims& shape, Dtype dtype) {
  return ar::from_vector(recipe::values(name, shape.product()), shape).to(dtype);
}

Tensor recipe_target(int64_t count, int64_t classes) {
  return ar::from_vector(recipe::indices("target", count, classes), {count});
}

void check_summaries(const Safetensors& file, const std::string& key, const std::vector<std::string>& names,
                     const Named& tensors, double tolerance) {
  const auto stats = file.values(key), samples = file.values(key + "_samples");
  ASSERT_EQ(names.size() * 3, stats.size());
  double top_norm = 0, top_value = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    top_norm = std::max(top_norm, stats[3 * i]);
    top_value = std::max(top_value, stats[3 * i + 2]);
  }
  for (size_t i = 0; i < names.size(); ++i) {
    const auto at = std::find_if(tensors.begin(), tensors.end(), [&](const auto& t) { return t.first == names[i]; });
    if (at == tensors.end() || !at->second.defined()) {
      ADD_FAILURE() << names[i] << ": there is none";
      continue;
    }
    const auto values = at->second.to_vector<double>();
    double squares = 0, sum = 0;
    for (double v : values) squares += v * v, sum += v;
    const double norm = std::max(stats[3 * i], 0.01 * top_norm), largest = std::max(stats[3 * i + 2], 0.01 * top_value);
    EXPECT_NEAR(std::sqrt(squares), stats[3 * i], tolerance * norm) << names[i] << ": norm";
    // By Cauchy and Schwarz an error e of this norm changes the sum by no more than |e| sqrt(n).
    EXPECT_NEAR(sum, stats[3 * i + 1], tolerance * norm * std::sqrt(double(values.size()))) << names[i] << ": sum";
    const auto positions = recipe::sample_positions(names[i], int64_t(values.size()));
    for (int s = 0; s < recipe::kSamples; ++s)
      EXPECT_NEAR(values[positions[s]], samples[recipe::kSamples * i + s], tolerance * largest)
          << names[i] << ": element " << positions[s];
  }
}

}  // namespace parity
