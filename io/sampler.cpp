#include "io/sampler.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "io/dataset.h"

namespace ar::io {
namespace {

std::vector<int64_t> counted(int64_t size) {
  std::vector<int64_t> order(static_cast<std::size_t>(size));
  std::iota(order.begin(), order.end(), 0);
  return order;
}

}  // namespace

Sampler sequential(int64_t size) {
  return [size](uint64_t) { return counted(size); };
}

Sampler shuffled(int64_t size, uint64_t seed) {
  return [size, seed](uint64_t epoch) {
    SampleRandom random({.seed = seed, .epoch = epoch}, RandomStream::shuffle);
    std::vector<int64_t> order = counted(size);
    for (int64_t i = size - 1; i > 0; --i) std::swap(order[std::size_t(i)], order[std::size_t(random.below(i + 1))]);
    return order;
  };
}

Sampler weighted(const std::vector<double>& weights, int64_t count, uint64_t seed) {
  std::vector<double> cumulative;
  double sum = 0;
  for (double w : weights) {
    AR_CHECK(w >= 0 && std::isfinite(w), "weighted: weights must be finite and not negative, one is ", w);
    cumulative.push_back(sum += w);
  }
  AR_CHECK(sum > 0, "weighted: no weight is positive");
  return [cumulative, sum, count, seed](uint64_t epoch) {
    SampleRandom random({.seed = seed, .epoch = epoch}, RandomStream::weighted);
    std::vector<int64_t> order;
    for (int64_t i = 0; i < count; ++i) {
      const auto at = std::upper_bound(cumulative.begin(), cumulative.end(), random.uniform() * sum);
      // Rounding may reach the sum itself: the last index that has a weight.
      const auto last = std::lower_bound(cumulative.begin(), cumulative.end(), sum);
      order.push_back(std::min(at, last) - cumulative.begin());
    }
    return order;
  };
}

std::vector<double> balancing_weights(const std::vector<int64_t>& labels) {
  std::map<int64_t, int64_t> count;
  for (int64_t label : labels) ++count[label];
  std::vector<double> weights;
  for (int64_t label : labels) weights.push_back(1.0 / double(count[label]));
  return weights;
}

}  // namespace ar::io
