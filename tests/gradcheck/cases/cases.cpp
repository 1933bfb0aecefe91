#include "tests/gradcheck/cases/cases.h"

#include <algorithm>

namespace ar::gradcheck_cases {
namespace {
Device the_device;
}

void set_device(Device device) { the_device = device; }
Device device() { return the_device; }

const std::vector<Case>& all() {
  static const std::vector<Case> cases = [] {
    std::vector<Case> c;
    const Table table(c);
    for (const auto add : {add_elementwise, add_reduce, add_max, add_shape, add_matmul, add_linear, add_loss, add_conv,
                           add_pool, add_norm, add_fused, add_sequence, add_modules, add_models})
      add(table);
    return c;
  }();
  return cases;
}

namespace {

Tensor uninitialised(const Dims& shape, Memory memory) {
  TensorOptions options{.dtype = Dtype::f64, .device = device()};
  switch (memory) {
    case Memory::dense:
      return empty(shape, options);
    case Memory::channels_first:
      options.layout = Layout::channels_first;
      return empty(shape, options);
    case Memory::narrow: {
      const int dim = shape.size() > 1 ? 1 : 0;
      Dims wider = shape;
      wider[dim] += 3;
      return empty(wider, options).narrow(dim, 2, shape[dim]);
    }
    case Memory::transposed: {
      Dims reversed = shape, order = shape;
      std::reverse(reversed.begin(), reversed.end());
      for (int i = 0; i < shape.size(); ++i) order[i] = shape.size() - 1 - i;
      options.layout = Layout::channels_first;
      return empty(reversed, options).permute(order);
    }
    case Memory::padded:
      options.row_align = 64;
      return empty(shape, options);
  }
  fail("no such memory order");
}

}  // namespace

Variable sample(const Dims& shape, Memory memory, double lo, double hi, uint64_t seed) {
  Generator g(seed + 1);
  const int64_t n = shape.product();
  // A step's fraction that depends on the seed and stays away from 0, 1/4, 1/2, 3/4: k + fraction = n/4 has no
  // solution.
  const double fraction = 0.05 + 0.15 * double(seed * 7 % 10 + 1) / 11;
  std::vector<double> values;
  for (int64_t k : randperm(n, g).to_vector<int64_t>())
    values.push_back(lo + (hi - lo) * (double(k) + fraction) / double(n));
  const Tensor t = uninitialised(shape, memory);
  t.copy_from(from_vector(values, shape));
  return Variable(t, true);
}

Variable constant(const Dims& shape, uint64_t seed) { return sample(shape, seed).detach(); }

const std::vector<Form>& forms() {
  static const std::vector<Form> all = {
      {"scalar", {}},
      {"size_1", {1}},
      {"odd", {3, 5}},
      {"long", {1003}},
      {"empty", {0, 3}},
      {"channels_last", {2, 3, 2, 3}},
      {"channels_first", {2, 3, 2, 3}, Memory::channels_first},
      {"video", {1, 2, 3, 2, 1}},
      {"narrow", {2, 3, 2, 2}, Memory::narrow},
      {"transposed", {3, 4}, Memory::transposed},
      {"padded_rows", {2, 3, 2, 3}, Memory::padded},
  };
  return all;
}

}  // namespace ar::gradcheck_cases
