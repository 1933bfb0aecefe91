#include "apps/images/label_doubt.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <tuple>
#include <unordered_map>

#include "apps/common/stop_signal.h"
#include "autograd/autograd.h"
#include "io/sampler.h"
#include "nn/init.h"
#include "nn/layers.h"
#include "nn/optim.h"
#include "tensor/error.h"
#include "tensor/ops_softmax.h"

namespace ar::apps {
namespace {

constexpr int64_t kBatch = 256, kPasses = 5;

/// Each column with mean 0 and deviation 1; constant columns become 0.
Tensor standardised(const Tensor& features) {
  const int64_t n = features.size(0), d = features.size(1);
  const Tensor result = features.clone(Layout::channels_first);
  float* const x = result.mutable_data<float>();
  std::vector<double> mean(size_t(d), 0.0), square(size_t(d), 0.0);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < d; ++j) mean[size_t(j)] += double(x[i * d + j]) / double(n);
  for (int64_t i = 0; i < n; ++i)
    for (int64_t j = 0; j < d; ++j) square[size_t(j)] += std::pow(double(x[i * d + j]) - mean[size_t(j)], 2);
  for (int64_t j = 0; j < d; ++j) {
    AR_CHECK(std::isfinite(square[size_t(j)]), "the network's features are not finite numbers");
    const double deviation = std::sqrt(square[size_t(j)] / double(n));
    const double scale = deviation > 1e-6 * std::abs(mean[size_t(j)]) ? 1 / deviation : 0;
    for (int64_t i = 0; i < n; ++i) x[i * d + j] = float((double(x[i * d + j]) - mean[size_t(j)]) * scale);
  }
  return result;
}

Tensor rows_of(const Tensor& x, const std::vector<int64_t>& rows, int64_t first, int64_t count) {
  const int64_t d = x.size(1);
  const Tensor result = empty({count, d});
  for (int64_t i = 0; i < count; ++i)
    std::copy_n(x.data<float>() + rows[size_t(first + i)] * d, d, result.mutable_data<float>() + i * d);
  return result;
}

int64_t steps_for(size_t samples, const CrossValidationOptions& o) {
  return std::max(o.steps, (kPasses * int64_t(samples) + kBatch - 1) / kBatch);
}

/// Softmax regression on these rows. `step` is called before each step.
nn::Linear train_linear(const Tensor& x, const std::vector<int64_t>& labels, const std::vector<int64_t>& rows,
                        int64_t classes, const CrossValidationOptions& o, const std::function<void()>& step) {
  nn::Linear linear({.in = x.size(1), .out = classes});
  nn::init::constant_(linear.weight, 0);  // the loss is convex: no need for a random start
  nn::init::constant_(linear.bias, 0);
  optim::AdamW adam(linear.parameters(), {.lr = o.learning_rate, .weight_decay = o.weight_decay});
  const int64_t batch = std::min(kBatch, int64_t(rows.size())), steps = steps_for(rows.size(), o);
  const io::Sampler sampler = io::shuffled(int64_t(rows.size()), o.seed);
  std::vector<int64_t> order;
  uint64_t epoch = 0;
  for (int64_t s = 0; s < steps; ++s) {
    step();
    if (int64_t(order.size()) < batch) order = sampler(epoch++);
    std::vector<int64_t> picked;
    const Tensor target = empty({batch}, {.dtype = Dtype::i64});
    for (int64_t i = 0; i < batch; ++i, order.pop_back()) {
      picked.push_back(rows[size_t(order.back())]);
      target.mutable_data<int64_t>()[i] = labels[size_t(picked.back())];
    }
    adam.group_options(0).lr = o.learning_rate * (1 + std::cos(std::numbers::pi * double(s) / double(steps))) / 2;
    adam.zero_grad();
    cross_entropy(linear(rows_of(x, picked, 0, batch)), target).backward();
    adam.step();
  }
  return linear;
}

}  // namespace

std::vector<int64_t> assign_folds(const std::vector<int64_t>& labels, const std::vector<int64_t>& groups, int64_t folds,
                                  uint64_t seed) {
  AR_CHECK(labels.size() == groups.size(), "folds: ", labels.size(), " labels, but ", groups.size(), " groups");
  // Groups in the order of their first samples, whatever their numbers are.
  std::unordered_map<int64_t, size_t> place;
  std::vector<std::vector<size_t>> members;
  for (size_t i = 0; i < groups.size(); ++i) {
    const auto [at, is_new] = place.emplace(groups[i], members.size());
    if (is_new) members.emplace_back();
    members[at->second].push_back(i);
  }
  AR_CHECK(folds >= 2 && folds <= int64_t(members.size()), "folds: ", folds, " of ", members.size(),
           " different images; at least 2 are needed, and an image for each");
  // Large groups first, as small ones can level out what they leave uneven.
  std::vector<int64_t> order = io::shuffled(int64_t(members.size()), seed)(0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return members[size_t(a)].size() > members[size_t(b)].size(); });
  std::vector<std::unordered_map<int64_t, int64_t>> of_label{size_t(folds)};
  std::vector<int64_t> size(size_t(folds), 0), fold(labels.size());
  for (const int64_t g : order) {
    const auto load = [&](size_t f) {  // samples of this group's labels, then all, that the fold has already
      int64_t same = 0;
      for (const size_t i : members[size_t(g)]) same += of_label[f][labels[i]];
      return std::tuple(same, size[f], f);
    };
    size_t best = 0;
    for (size_t f = 1; f < size_t(folds); ++f)
      if (load(f) < load(best)) best = f;
    for (const size_t i : members[size_t(g)]) {
      fold[i] = int64_t(best);
      ++of_label[best][labels[i]];
      ++size[best];
    }
  }
  return fold;
}

Tensor cross_validated_log_probs(const Tensor& features, const std::vector<int64_t>& labels,
                                 const std::vector<int64_t>& fold, int64_t classes, const CrossValidationOptions& o) {
  AR_CHECK(features.rank() == 2 && features.dtype() == Dtype::f32, "cross-validation: features must be (N,D) f32");
  const size_t n = size_t(features.size(0));
  AR_CHECK(n > 0 && labels.size() == n && fold.size() == n, "cross-validation: ", n, " features, ", labels.size(),
           " labels and ", fold.size(), " folds");
  AR_CHECK(std::all_of(labels.begin(), labels.end(), [&](int64_t y) { return y >= 0 && y < classes; }),
           "cross-validation: labels must lie in [0,", classes, ")");
  AR_CHECK(std::all_of(fold.begin(), fold.end(), [](int64_t f) { return f >= 0; }),
           "cross-validation: folds count from 0");
  const Tensor x = standardised(features), result = full({int64_t(n), classes}, std::nan(""));
  const int64_t folds = *std::max_element(fold.begin(), fold.end()) + 1;
  std::vector<std::vector<int64_t>> train{size_t(folds)}, judged{size_t(folds)};
  int64_t total = 0, done = 0;
  for (int64_t f = 0; f < folds; ++f) {
    std::vector<bool> known(size_t(classes), false);
    for (size_t i = 0; i < n; ++i)
      if (fold[i] != f) train[size_t(f)].push_back(int64_t(i)), known[size_t(labels[i])] = true;
    for (size_t i = 0; i < n; ++i)
      if (fold[i] == f && known[size_t(labels[i])]) judged[size_t(f)].push_back(int64_t(i));
    if (!judged[size_t(f)].empty()) total += steps_for(train[size_t(f)].size(), o);
  }
  const auto step = [&] {
    if (o.stop && *o.stop)
      throw Stopped("stopped after " + std::to_string(done) + " of " + std::to_string(total) +
                    " training steps; nothing is written");
    if (o.progress) o.progress(done, total);
    ++done;
  };
  for (size_t f = 0; f < size_t(folds); ++f) {
    if (judged[f].empty()) continue;
    const nn::Linear linear = train_linear(x, labels, train[f], classes, o, step);
    const NoGrad no_grad;
    for (int64_t first = 0; first < int64_t(judged[f].size()); first += kBatch) {
      const int64_t count = std::min(kBatch, int64_t(judged[f].size()) - first);
      const Tensor logits = linear(rows_of(x, judged[f], first, count)).value();
      const Tensor log_probs = ops::softmax(logits, 1, true).contiguous(Layout::channels_first);
      for (int64_t i = 0; i < count; ++i)
        std::copy_n(log_probs.data<float>() + i * classes, classes,
                    result.mutable_data<float>() + judged[f][size_t(first + i)] * classes);
    }
  }
  return result;
}

std::vector<LabelDoubt> rank_doubts(const Tensor& log_probs, const std::vector<int64_t>& labels) {
  AR_CHECK(log_probs.rank() == 2 && log_probs.size(0) == int64_t(labels.size()), "doubts: ", labels.size(),
           " labels, but not as many rows of probabilities");
  const int64_t classes = log_probs.size(1);
  const std::vector<double> all = log_probs.to_vector<double>();
  std::vector<LabelDoubt> doubts;
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto row = all.begin() + std::ptrdiff_t(i) * classes;
    AR_CHECK(labels[i] >= 0 && labels[i] < classes, "doubts: label ", labels[i], " of ", classes, " classes");
    if (std::any_of(row, row + classes, [](double p) { return std::isnan(p); })) continue;
    const auto best = std::max_element(row, row + classes);
    doubts.push_back({.sample = int64_t(i),
                      .label = labels[i],
                      .own = std::exp(row[labels[i]]),
                      .suggested = best - row,
                      .suggested_probability = std::exp(*best)});
  }
  std::stable_sort(doubts.begin(), doubts.end(),
                   [](const LabelDoubt& a, const LabelDoubt& b) { return a.own < b.own; });
  return doubts;
}

bool is_suspect(const LabelDoubt& doubt, const SuspectLimits& limits) {
  return doubt.suggested != doubt.label && doubt.own < limits.own_below &&
         doubt.suggested_probability > limits.suggested_above;
}

}  // namespace ar::apps
