// Loss and top-k accuracy of a training epoch, summed batch by batch; small enough to go into a checkpoint.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "io/value.h"
#include "tensor/tensor.h"

namespace ar::apps {

class RunningScores {
 public:
  /// log_probs (N,C), the N classes that are right, and the mean loss of these samples.
  void add(const Tensor& log_probs, const std::vector<int64_t>& labels, double mean_loss);
  int64_t count() const { return count_; }
  double loss() const { return count_ ? loss_sum_ / double(count_) : 0; }
  /// Share of the samples whose class is among the k most probable; k is 1, 3 or 5.
  double top(int k) const;

  io::Value to_value() const;
  static RunningScores from_value(const io::Field& saved);

 private:
  int64_t count_ = 0;
  double loss_sum_ = 0;
  std::array<int64_t, 5> at_rank_{};  // samples whose class came in at this place
};

}  // namespace ar::apps
