// The single-frame baseline: what the same features say without any memory. The gain of an LSTM over it is what
// Donahue et al. 2015 report.
#pragma once
#include <memory>

#include "io/value.h"
#include "nn/optim.h"

namespace ar::apps {

/// A linear classifier of one frame's features, trained along with the video model, on the same clips. It learns from
/// the features and gives nothing back to them. Features are standardised by their running mean and variance; the
/// optimiser is Adam at its usual rate, whatever that of the video model is, and no random numbers are drawn.
class SingleFrameBaseline {
 public:
  /// Features and targets are to lie on `device`.
  SingleFrameBaseline(int64_t features, int64_t classes, Device device = {});

  /// One step: features (B,T,F), which need no gradient, and the clips' classes i64 (B).
  void step(const Tensor& features, const Tensor& targets);
  /// (..., F) -> log-probabilities (..., classes).
  Tensor log_probs(const Tensor& features) const;

  io::Value state() const;
  /// Throws Error where it does not fit.
  void load_state(const io::Field& saved);

 private:
  Variable logits(const Tensor& rows) const;
  int64_t features_;
  Tensor mean_, variance_;  // f32 (F)
  int64_t steps_ = 0;
  Variable weight_, bias_;
  std::unique_ptr<optim::Adam> adam_;
};

}  // namespace ar::apps
