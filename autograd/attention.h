// Attention (Vaswani et al. 2017, arXiv 1706.03762).
#pragma once
#include "autograd/variable.h"
#include "tensor/random.h"

namespace ar {

struct AttentionOptions {
  Tensor mask = {};     // broadcasts to (..., L, S), q's dtype: added to the scores; -inf forbids
  bool causal = false;  // position i attends to 0..i only
  double dropout = 0;   // of the attention weights, while training
  bool training = false;
};

struct AttentionResult {
  Variable output;   // (..., L, Ev)
  Variable weights;  // (..., L, S), after dropout
};

/// weights = softmax(q k^T / sqrt(E) + mask), output = weights v. q (..., L, E), k (..., S, E), v (..., S, Ev) with
/// equal leading dimensions.
AttentionResult scaled_dot_product_attention(const Variable& q, const Variable& k, const Variable& v,
                                             const AttentionOptions& options = {}, Generator& g = default_generator());

}  // namespace ar
