// Numbers that say how good a classifier is: loss, top-k accuracy, per-class scores, confusion matrix, worst mistakes.
#pragma once
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace ar::apps {

/// One class: how often it is right when named (precision) and named when right (recall); F1 is their harmonic mean.
/// A quotient without cases is 0.
struct ClassScore {
  int64_t support = 0;  // samples that are of this class
  double precision = 0, recall = 0, f1 = 0;
};

/// A sample that was classified wrongly, and with which probability.
struct Mistake {
  int64_t index = 0;  // the caller's number of the sample
  int64_t truth = 0, predicted = 0;
  double probability = 0;
};

/// How many classes come before `truth` when they are ordered by their scores: 0 where it is the best. Of equal scores
/// the lower class comes first; with a NaN among the scores `truth` comes after all.
int64_t rank_of(std::span<const double> scores, int64_t truth);

/// Collects predictions batch by batch.
///
/// Of equal scores the lower class index ranks first. A sample with a NaN among its scores is counted, is wrong for
/// every k, stays out of the confusion matrix, and makes the loss NaN: a broken model must not look like a good one.
class ClassificationMetrics {
 public:
  /// Keeps the `worst` mistakes with the greatest probability in the wrong class (of equal ones the lower index).
  explicit ClassificationMetrics(std::vector<std::string> classes, int worst = 24);

  /// log_probs (N,C): natural logarithms of probabilities, any float type, any device. targets (N) i64, each in [0,C).
  /// indices: N numbers of the samples for mistakes(); by default they count on from 0. Throws Error for other shapes.
  void add(const Tensor& log_probs, const Tensor& targets, const std::vector<int64_t>& indices = {});

  const std::vector<std::string>& classes() const { return classes_; }
  int64_t count() const { return count_; }
  /// Samples with a NaN among their scores.
  int64_t invalid() const { return invalid_; }
  /// The mean of -log_probs[n, targets[n]]; NaN before the first sample.
  double loss() const;
  /// The fraction of samples whose class is among the k best; 1 where k is no less than the number of classes.
  double top(int k) const;
  std::vector<ClassScore> per_class() const;
  /// The unweighted means over the classes that have samples.
  ClassScore macro_average() const;
  /// confusion()[truth][predicted] counts samples.
  const std::vector<std::vector<int64_t>>& confusion() const { return confusion_; }
  /// Sorted, the worst first.
  std::vector<Mistake> worst_mistakes() const;

  /// {"top1", "top3", "top5", "loss", "per_class": [{"name", "support", "precision", "recall", "f1"}],
  ///  "confusion": [[...]], "classes": [...]}, fractions from 0 to 1; null stands for NaN.
  nlohmann::json to_json() const;

 private:
  std::vector<std::string> classes_;
  size_t worst_;
  int64_t count_ = 0, invalid_ = 0;
  double loss_sum_ = 0;
  std::vector<int64_t> at_rank_;  // samples whose class came in at this place
  std::vector<int64_t> support_;
  std::vector<std::vector<int64_t>> confusion_;
  std::vector<Mistake> mistakes_;  // a heap, the mildest on top
};

}  // namespace ar::apps
