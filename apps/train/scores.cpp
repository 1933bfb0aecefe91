#include "apps/train/scores.h"

#include <algorithm>

#include "apps/report/metrics.h"

namespace ar::apps {

void RunningScores::add(const Tensor& log_probs, const std::vector<int64_t>& labels, double mean_loss) {
  const std::vector<double> values = log_probs.to_vector<double>();
  const auto classes = log_probs.size(1);
  for (size_t i = 0; i < labels.size(); ++i) {
    const int64_t rank = rank_of({values.data() + int64_t(i) * classes, size_t(classes)}, labels[i]);
    if (rank < int64_t(at_rank_.size())) ++at_rank_[size_t(rank)];
  }
  count_ += int64_t(labels.size());
  loss_sum_ += mean_loss * double(labels.size());
}

double RunningScores::top(int k) const {
  int64_t hits = 0;
  for (int r = 0; r < k; ++r) hits += at_rank_.at(size_t(r));
  return count_ ? double(hits) / double(count_) : 0;
}

io::Value RunningScores::to_value() const {
  io::Value saved;
  saved["count"] = count_;
  saved["loss_sum"] = loss_sum_;
  saved["at_rank"] = io::Value::list(std::vector<int64_t>(at_rank_.begin(), at_rank_.end()));
  return saved;
}

RunningScores RunningScores::from_value(const io::Field& saved) {
  RunningScores scores;
  scores.count_ = saved.at("count").integer();
  scores.loss_sum_ = saved.at("loss_sum").real();
  const auto ranks = saved.at("at_rank").list();
  for (size_t r = 0; r < std::min(ranks.size(), scores.at_rank_.size()); ++r) scores.at_rank_[r] = ranks[r].integer();
  return scores;
}

}  // namespace ar::apps
