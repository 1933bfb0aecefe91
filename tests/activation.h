// The activations that kernels take along, as tests expect them.
#pragma once
#include <algorithm>
#include <cmath>

#include "tensor/kernels.h"

namespace ar {

inline constexpr Activation kActivations[] = {Activation::none, Activation::relu, Activation::relu6,
                                              Activation::leaky_relu};

/// activation(x)
inline double activated(Activation a, double x, double slope) {
  if (a == Activation::none || std::isnan(x)) return x;
  if (x <= 0) return a == Activation::leaky_relu ? slope * x : 0;
  return a == Activation::relu6 ? std::min(x, 6.0) : x;
}
/// activation'(x)
inline double activation_slope(Activation a, double x, double slope) {
  if (a == Activation::none) return 1;
  if (x <= 0) return a == Activation::leaky_relu ? slope : 0;
  return a == Activation::relu6 && x >= 6 ? 0 : 1;
}

}  // namespace ar
