// What turns an LSTM's states (B,T,H) into log-probabilities (B,classes).
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "nn/module.h"

namespace ar::nn {

class LRCNHead : public Module {
 public:
  /// States (B,T,H), target i64 (B) -> a scalar: nll_loss(forward(states), target) unless a head says otherwise.
  /// Label smoothing is cross_entropy's.
  virtual Variable loss(const Variable& states, const Tensor& target, double label_smoothing = 0) const;
};

std::vector<std::string> lrcn_head_names();

/// paper: dropout and a linear layer at every step; the prediction is the mean over the steps of the probabilities, the
/// loss the
///        mean of the steps' cross-entropies (Donahue et al. 2015, section 4).
/// sum, avg, last, attn: the states are fused over time (attn: 8-headed self-attention, then the mean), then
///        Linear(H,H), ReLU, dropout, Linear(H,classes), log-softmax.
/// weighted: a learned weight per hidden unit, summed over time, dropout, linear, log-softmax.
/// Throws Error on other names, listing these.
Box<LRCNHead> make_lrcn_head(std::string_view name, int64_t hidden, int64_t classes, double dropout);

}  // namespace ar::nn
