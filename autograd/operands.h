// What differentiable ops ask of their operands alike.
#pragma once
#include "autograd/variable.h"
#include "tensor/ops_conv.h"

namespace ar {

/// Its value; undefined of an undefined variable.
const Tensor& value_of(const Variable& v);
/// Of any of them? Undefined ones do not.
bool any_requires_grad(const std::vector<Variable>& variables);
/// Weights that training changes are packed for each call; others once.
ops::Packing packing_of(const Variable& weight);
/// A gradient that may be written into, channels-last: the given one if nobody else holds it, else a copy.
Tensor own(const Tensor& g);

}  // namespace ar
