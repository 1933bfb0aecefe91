// What the tests of nn/ share.
#pragma once
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>
#include <string>
#include <vector>

#include "tensor/random.h"
#include "tensor/tensor.h"
#include "tests/errors.h"

namespace ar {

template <class T>
std::string printed(const T& x) {
  std::ostringstream out;
  out << x;
  return out.str();
}

/// Largest |a - b|, relative to the largest |b|.
inline double difference(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape(), b.shape());
  const std::vector<double> x = a.to_vector<double>(), y = b.to_vector<double>();
  double worst = 0, largest = 1e-300;
  for (size_t i = 0; i < std::min(x.size(), y.size()); ++i) {
    worst = std::isnan(x[i]) || std::isnan(y[i]) ? INFINITY : std::max(worst, std::abs(x[i] - y[i]));
    largest = std::max(largest, std::abs(y[i]));
  }
  return worst / largest;
}

/// N(0,1) in this dtype, from f64 numbers.
inline Tensor normal(const Dims& shape, Dtype dtype = Dtype::f64, uint64_t seed = 1) {
  Generator g(seed);
  return randn(shape, {.dtype = Dtype::f64}, g).to(dtype);
}

}  // namespace ar
