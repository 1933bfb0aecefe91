#include "autograd/operands.h"

#include <algorithm>

#include "autograd/checkpoint.h"

namespace ar {

const Tensor& value_of(const Variable& v) {
  static const Tensor undefined;
  return v.defined() ? v.value() : undefined;
}

bool any_requires_grad(const std::vector<Variable>& variables) {
  return std::any_of(variables.begin(), variables.end(),
                     [](const Variable& v) { return v.defined() && v.requires_grad(); });
}

ops::Packing packing_of(const Variable& weight) {
  return learning() && weight.requires_grad() ? ops::Packing::temporary : ops::Packing::cached;
}

Tensor own(const Tensor& g) {
  const bool ours = g.storage().use_count() == 1 && g.is_dense(Layout::channels_last);
  return ours ? g : g.clone(Layout::channels_last);
}

}  // namespace ar
