// Recomputation: trading time for memory (Chen et al. 2016, arXiv 1604.06174).
#pragma once
#include <functional>

#include "autograd/variable.h"

namespace ar {

/// f(inputs), keeping none of its intermediate results: the backward pass computes them again. Dropout draws the same
/// masks and batch norm's running statistics move once. f may use parameters that are not among the inputs.
Variable checkpoint(const std::function<Variable(const std::vector<Variable>&)>& f,
                    const std::vector<Variable>& inputs);

/// Is this thread inside a recomputation?
bool recomputing();

}  // namespace ar
