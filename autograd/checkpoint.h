// Recomputation: trading time for memory (Chen et al. 2016, arXiv 1604.06174).
#pragma once
#include <functional>

#include "autograd/variable.h"

namespace ar {

/// f(inputs), keeping none of its intermediate results: the backward pass computes them again. Dropout draws the same
/// masks (of the default generator) and batch norm's running statistics move once. f may use leaves that are not among
/// the inputs (parameters); computed variables must be inputs. The result requires gradients whatever the inputs do.
Variable checkpoint(const std::function<Variable(const std::vector<Variable>&)>& f,
                    const std::vector<Variable>& inputs);

/// Is this thread inside a recomputation?
bool recomputing();
/// Will gradients of what this thread computes now be wanted, from here or from a recomputation? Then weights are about
/// to change, and ops choose as they will choose when they compute it again: to the same bits.
bool learning();

}  // namespace ar
