// Losses as modules would have them: options once, then loss(prediction, target).
#pragma once
#include "autograd/loss.h"

namespace ar::nn {

/// See ar::nll_loss. NLLLoss loss{{.ignore_index = 0}}; loss(log_probabilities, target)
struct NLLLoss {
  LossOptions options = {};
  Variable operator()(const Variable& log_probabilities, const Tensor& target) const {
    return nll_loss(log_probabilities, target, options);
  }
};

/// See ar::cross_entropy.
struct CrossEntropyLoss {
  LossOptions options = {};
  Variable operator()(const Variable& logits, const Tensor& target) const {
    return cross_entropy(logits, target, options);
  }
};

}  // namespace ar::nn
