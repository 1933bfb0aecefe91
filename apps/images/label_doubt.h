// Which labels a classifier disbelieves that has not learnt them. Confident learning (Northcutt, Jiang & Chuang 2021,
// arXiv 1911.00068): what counts is the probability that a cross-validated classifier gives a sample's own label.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "tensor/tensor.h"

namespace ar::apps {

/// Deals samples to `folds` folds: groups undivided, each label spread as evenly as its groups allow, chosen by the
/// seed alone. Returns the fold of each sample. Throws Error unless 2 <= folds <= different groups.
std::vector<int64_t> assign_folds(const std::vector<int64_t>& labels, const std::vector<int64_t>& groups, int64_t folds,
                                  uint64_t seed);

struct CrossValidationOptions {
  int64_t steps = 300;  // of each fold's training at least; five passes over its samples if that is more
  // Of AdamW; the rate falls to 0 like a cosine. So little training, for networks' hundreds of features, that the
  // classifier does not learn wrong labels by heart and does not become too sure.
  double learning_rate = 0.001, weight_decay = 0.1;
  uint64_t seed = 0;
  std::function<void(int64_t done, int64_t total)> progress = {};  // in steps of all folds
  const std::atomic<bool>* stop = nullptr;                         // ends it soon with Stopped
};

/// features (N,D) f32, labels in [0, classes), fold of each sample counted from 0 -> log-probabilities (N, classes)
/// f32. Each row comes from a linear softmax classifier on standardised features that was trained on the other folds. A
/// sample whose label the other folds do not have cannot be judged: its row is NaN. Throws Error on other shapes and
/// on features that are not finite.
Tensor cross_validated_log_probs(const Tensor& features, const std::vector<int64_t>& labels,
                                 const std::vector<int64_t>& fold, int64_t classes,
                                 const CrossValidationOptions& options = {});

struct LabelDoubt {
  int64_t sample = 0, label = 0;
  double own = 0;         // probability of the label
  int64_t suggested = 0;  // the most probable class; may be the label
  double suggested_probability = 0;
};

/// All samples that were judged, the least believed label first (of equal ones the lower index). log_probs (N,C) as
/// above.
std::vector<LabelDoubt> rank_doubts(const Tensor& log_probs, const std::vector<int64_t>& labels);

struct SuspectLimits {
  double own_below = 0.05, suggested_above = 0.8;
};
/// Is another class so much more probable that the label is taken for wrong?
bool is_suspect(const LabelDoubt& doubt, const SuspectLimits& limits);

}  // namespace ar::apps
