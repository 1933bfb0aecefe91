// A differentiable op of one's own, checked against finite differences.
#include <iostream>

#include "ar.h"

// softplus(x) = log(1 + e^x);  gx = g * sigmoid(x)
ar::Variable softplus(const ar::Variable& x) {
  const ar::Tensor e = ar::ops::unary(ar::UnaryOp::exp, x.value());
  const ar::Tensor y = ar::ops::unary(ar::UnaryOp::log, ar::ops::affine(e, 1, 1));
  return ar::record("softplus", y, {x}, [x = ar::Saved("softplus", "x", x.value())](ar::Backward& b) {
    return std::vector{ar::ops::mul(b.grad(), ar::ops::unary(ar::UnaryOp::sigmoid, x.get()))};
  });
}

int main() {
  const ar::Variable x(ar::randn({3, 4}, {.dtype = ar::Dtype::f64}), true);
  const auto result = ar::gradcheck([](const auto& in) { return std::vector{softplus(in[0])}; }, {x});
  std::cout << "softplus: worst relative error " << result.worst_relative_error << '\n';
  return result ? 0 : 1;
}
