#include "tensor/random.h"

#include "tensor/backend.h"
#include "tensor/live_numbers.h"

namespace ar {

PhiloxState take_numbers(Generator& g, int64_t n, Device device) {
  PhiloxState s = g.take(n);
  if (LiveNumbers* const numbers = device.is_cpu() ? nullptr : recorded_numbers())
    s.live = numbers->add<PhiloxState>(s, [&g, n] { return g.take(n); });
  return s;
}

Generator& default_generator() {
  static Generator g;
  return g;
}
void manual_seed(uint64_t seed) { default_generator().seed(seed); }

void uniform_(const Tensor& t, double lo, double hi, Generator& g) {
  const Kernels& k = kernels(t.device());
  const auto kernel = kernel_for(k.uniform, t.dtype(), "uniform_", k.name);
  if (t.numel()) kernel(lo, hi, take_numbers(g, t.numel(), t.device()), t.writable());
}

void normal_(const Tensor& t, double mean, double std, Generator& g) {
  const Kernels& k = kernels(t.device());
  const auto kernel = kernel_for(k.normal, t.dtype(), "normal_", k.name);
  if (t.numel()) kernel(mean, std, take_numbers(g, t.numel(), t.device()), t.writable());
}

Tensor rand(const Dims& shape, const TensorOptions& options, Generator& g) {
  Tensor t = empty(shape, options);
  uniform_(t, 0, 1, g);
  return t;
}

Tensor randn(const Dims& shape, const TensorOptions& options, Generator& g) {
  Tensor t = empty(shape, options);
  normal_(t, 0, 1, g);
  return t;
}

Tensor randint(int64_t n, const Dims& shape, Generator& g) {
  AR_CHECK(n > 0, "randint: an upper bound above 0 is needed, not ", n);
  AR_CHECK(n <= int64_t{1} << 32, "randint: an upper bound of at most 2^32 is needed, not ", n);
  std::vector<int64_t> values;
  for (double u : rand({shape.product()}, {.dtype = Dtype::f64}, g).to_vector<double>())
    values.push_back(std::min(int64_t(u * double(n)), n - 1));
  return from_vector(values, shape);
}

Tensor randperm(int64_t n, Generator& g) {
  AR_CHECK(n >= 0, "randperm: negative length ", n);
  std::vector<int64_t> order(n);
  for (int64_t i = 0; i < n; ++i) order[i] = i;
  const std::vector<double> u = rand({n}, {.dtype = Dtype::f64}, g).to_vector<double>();
  for (int64_t i = n - 1; i > 0; --i) std::swap(order[i], order[std::min(int64_t(u[i] * double(i + 1)), i)]);
  return from_vector(order, {n});
}

}  // namespace ar
