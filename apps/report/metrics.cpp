#include "apps/report/metrics.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "tensor/error.h"

namespace ar::apps {
namespace {

bool worse(const Mistake& a, const Mistake& b) {
  return a.probability != b.probability ? a.probability > b.probability : a.index < b.index;
}

double quotient(int64_t part, int64_t whole) { return whole > 0 ? double(part) / double(whole) : 0; }

double f1_of(double precision, double recall) {
  return precision + recall > 0 ? 2 * precision * recall / (precision + recall) : 0;
}

}  // namespace

int64_t rank_of(std::span<const double> scores, int64_t truth) {
  if (std::any_of(scores.begin(), scores.end(), [](double v) { return std::isnan(v); })) return int64_t(scores.size());
  const double own = scores[size_t(truth)];
  return std::count_if(scores.begin(), scores.end(), [&](double v) { return v > own; }) +
         std::count(scores.begin(), scores.begin() + truth, own);
}

ClassificationMetrics::ClassificationMetrics(std::vector<std::string> classes, int worst)
    : classes_(std::move(classes)), worst_(size_t(std::max(worst, 0))) {
  AR_CHECK(!classes_.empty(), "ClassificationMetrics: there must be at least one class");
  at_rank_.resize(classes_.size());
  support_.resize(classes_.size());
  confusion_.assign(classes_.size(), std::vector<int64_t>(classes_.size()));
}

void ClassificationMetrics::add(const Tensor& log_probs, const Tensor& targets, const std::vector<int64_t>& indices) {
  const auto n_classes = int64_t(classes_.size());
  AR_CHECK(log_probs.rank() == 2 && log_probs.size(1) == n_classes, "ClassificationMetrics: log_probs must be (N,",
           n_classes, "), they are ", log_probs.shape());
  const int64_t n = log_probs.size(0);
  AR_CHECK(targets.rank() == 1 && targets.size(0) == n && targets.dtype() == Dtype::i64,
           "ClassificationMetrics: targets must be (", n, ") i64, they are ", targets.shape(), " ", targets.dtype());
  AR_CHECK(indices.empty() || int64_t(indices.size()) == n, "ClassificationMetrics: there must be ", n,
           " indices, there are ", indices.size());
  const std::vector<double> values = log_probs.to_vector<double>();
  const std::vector<int64_t> truths = targets.to_vector<int64_t>();
  for (const int64_t truth : truths) {
    AR_CHECK(truth >= 0 && truth < n_classes, "ClassificationMetrics: targets must be in [0,", n_classes, "), one is ",
             truth);
  }
  for (int64_t i = 0; i < n; ++i) {
    const double* row = values.data() + i * n_classes;
    const double* end = row + n_classes;
    const int64_t truth = truths[size_t(i)];
    const int64_t index = indices.empty() ? count_ : indices[size_t(i)];
    ++count_;
    ++support_[size_t(truth)];
    loss_sum_ -= row[truth];
    const int64_t rank = rank_of({row, end}, truth);
    if (rank == n_classes) {
      ++invalid_;
      loss_sum_ = std::numeric_limits<double>::quiet_NaN();
      continue;
    }
    ++at_rank_[size_t(rank)];
    const int64_t predicted = std::max_element(row, end) - row;
    ++confusion_[size_t(truth)][size_t(predicted)];
    if (predicted == truth || worst_ == 0) continue;
    const Mistake mistake{index, truth, predicted, std::exp(row[predicted])};
    if (mistakes_.size() == worst_) {
      if (!worse(mistake, mistakes_.front())) continue;
      std::pop_heap(mistakes_.begin(), mistakes_.end(), worse);
      mistakes_.pop_back();
    }
    mistakes_.push_back(mistake);
    std::push_heap(mistakes_.begin(), mistakes_.end(), worse);
  }
}

double ClassificationMetrics::loss() const { return loss_sum_ / double(count_); }

double ClassificationMetrics::top(int k) const {
  int64_t hits = 0;
  for (size_t rank = 0; rank < std::min(at_rank_.size(), size_t(std::max(k, 0))); ++rank) hits += at_rank_[rank];
  return quotient(hits, count_);
}

std::vector<ClassScore> ClassificationMetrics::per_class() const {
  std::vector<ClassScore> scores(classes_.size());
  for (size_t c = 0; c < classes_.size(); ++c) {
    int64_t named = 0;
    for (const auto& row : confusion_) named += row[c];
    ClassScore& score = scores[c];
    score.support = support_[c];
    score.precision = quotient(confusion_[c][c], named);
    score.recall = quotient(confusion_[c][c], score.support);
    score.f1 = f1_of(score.precision, score.recall);
  }
  return scores;
}

ClassScore ClassificationMetrics::macro_average() const {
  ClassScore mean;
  double n = 0;
  for (const ClassScore& score : per_class()) {
    if (score.support == 0) continue;
    ++n;
    mean.support += score.support;
    mean.precision += score.precision;
    mean.recall += score.recall;
    mean.f1 += score.f1;
  }
  for (double* value : {&mean.precision, &mean.recall, &mean.f1}) *value /= std::max(n, 1.0);
  return mean;
}

std::vector<Mistake> ClassificationMetrics::worst_mistakes() const {
  std::vector<Mistake> sorted = mistakes_;
  std::sort(sorted.begin(), sorted.end(), worse);
  return sorted;
}

nlohmann::json ClassificationMetrics::to_json() const {
  nlohmann::json rows = nlohmann::json::array();
  const std::vector<ClassScore> scores = per_class();
  for (size_t c = 0; c < classes_.size(); ++c) {
    rows.push_back({{"name", classes_[c]},
                    {"support", scores[c].support},
                    {"precision", scores[c].precision},
                    {"recall", scores[c].recall},
                    {"f1", scores[c].f1}});
  }
  return {{"top1", top(1)},    {"top3", top(3)},          {"top5", top(5)},     {"loss", loss()},
          {"per_class", rows}, {"confusion", confusion_}, {"classes", classes_}};
}

}  // namespace ar::apps
