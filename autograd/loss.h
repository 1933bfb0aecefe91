// Softmax and the losses built on it.
#pragma once
#include "autograd/variable.h"

namespace ar {

/// y = e^x / sum e^x along dim;  gx = y * (g - sum(g * y))
Variable softmax(const Variable& x, int dim);
/// y = x - log(sum e^x) along dim;  gx = g - e^y * sum(g)
Variable log_softmax(const Variable& x, int dim);

enum class Reduction { mean, sum, none };

struct LossOptions {
  Tensor weight = {};           // (C): a class's share; undefined: all 1
  int64_t ignore_index = -100;  // targets that do not count
  Reduction reduction = Reduction::mean;
  double label_smoothing = 0;  // cross_entropy only (Szegedy et al. 2016)
};

/// log_probabilities (N,C) or (N,C,...), target i64 (N) or (N,...): loss = -weight[t] * x[n,t]; the mean divides by the
/// sum of the weights used. Throws Error on targets outside [0, C) other than ignore_index, and when a mean has none.
/// Targets on a GPU are not looked at by the host (unless ignore_index is 0 or more): negative ones do not count, too
/// large ones and a mean of none give NaN.
Variable nll_loss(const Variable& log_probabilities, const Tensor& target, const LossOptions& options = {});
/// nll_loss of log_softmax over dimension 1, the target spread by label smoothing eps: (1 - eps) for its class + eps /
/// C for each.
Variable cross_entropy(const Variable& logits, const Tensor& target, const LossOptions& options = {});

}  // namespace ar
