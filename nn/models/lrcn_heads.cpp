#include "nn/models/lrcn_heads.h"

#include <cmath>

#include "autograd/autograd.h"
#include "nn/attention.h"
#include "nn/layers.h"

namespace ar::nn {
namespace {

/// Of log-probabilities cross_entropy's log_softmax is the identity.
Variable smoothed_nll(const Variable& log_probs, const Tensor& target, double label_smoothing) {
  return label_smoothing > 0 ? cross_entropy(log_probs, target, {.label_smoothing = label_smoothing})
                             : nll_loss(log_probs, target);
}

class PaperHead : public LRCNHead {
 public:
  PaperHead(int64_t hidden, int64_t classes, double dropout)
      : dropout_(dropout), linear_({.in = hidden, .out = classes}) {}

  /// log of the mean over T of p_t, as m + log(mean of e^(log p_t - m)): m, the largest over T, keeps small ones from
  /// vanishing.
  Variable forward(const Variable& states) const override {
    const Variable steps = log_probabilities(states);
    const Variable most = max(steps.detach(), 1, true);
    return squeeze(log(mean(exp(steps - most), {1}, true)) + most, 1);
  }
  Variable loss(const Variable& states, const Tensor& target, double label_smoothing) const override {
    const int64_t steps = states.size(1);
    const Tensor each = target.unsqueeze(1).expand({target.numel(), steps}).reshape_copy({-1});
    return smoothed_nll(flatten(log_probabilities(states), 0, 1), each, label_smoothing);
  }

 protected:
  void members(Members& add) override {
    add("dropout", dropout_);
    add("linear", linear_);
  }

 private:
  Variable log_probabilities(const Variable& states) const { return log_softmax(linear_(dropout_(states)), 2); }
  Dropout dropout_;
  Linear linear_;
};

enum class Fusion { sum, avg, last, attn };

class FusedHead : public LRCNHead {
 public:
  FusedHead(Fusion fusion, int64_t hidden, int64_t classes, double dropout)
      : fusion_(fusion),
        mlp_(Linear({.in = hidden, .out = hidden}), ReLU(), Dropout(dropout), Linear({.in = hidden, .out = classes})) {
    if (fusion == Fusion::attn)
      attention_.emplace(MultiheadAttention::Options{.embed_dim = hidden, .num_heads = 8, .batch_first = true});
  }
  Variable forward(const Variable& states) const override { return log_softmax(mlp_(fused(states)), 1); }

 protected:
  void members(Members& add) override {
    add("attention", attention_);
    add("mlp", mlp_);
  }

 private:
  Variable fused(const Variable& h) const {
    switch (fusion_) {
      case Fusion::sum:
        return sum(h, {1});
      case Fusion::avg:
        return mean(h, {1});
      case Fusion::last:
        return select(h, 1, -1);
      case Fusion::attn:
        return mean(attention_->forward(h), {1});
    }
    fail("LRCN: no such fusion");
  }
  Fusion fusion_;
  std::optional<MultiheadAttention> attention_;
  Sequential mlp_;
};

class WeightedHead : public LRCNHead {
 public:
  WeightedHead(int64_t hidden, int64_t classes, double dropout)
      : weights_(ones({hidden})), dropout_(dropout), linear_({.in = hidden, .out = classes}) {}
  Variable forward(const Variable& states) const override {
    return log_softmax(linear_(dropout_(sum(states * weights_, {1}))), 1);
  }

 protected:
  void members(Members& add) override {
    add("weights", weights_);
    add("dropout", dropout_);
    add("linear", linear_);
  }

 private:
  Parameter weights_;
  Dropout dropout_;
  Linear linear_;
};

template <Fusion F>
Box<LRCNHead> fused_head(int64_t hidden, int64_t classes, double dropout) {
  return FusedHead(F, hidden, classes, dropout);
}

struct Entry {
  const char* name;
  Box<LRCNHead> (*make)(int64_t hidden, int64_t classes, double dropout);
};

constexpr Entry kHeads[] = {
    {"paper", [](int64_t h, int64_t n, double p) -> Box<LRCNHead> { return PaperHead(h, n, p); }},
    {"sum", fused_head<Fusion::sum>},
    {"avg", fused_head<Fusion::avg>},
    {"last", fused_head<Fusion::last>},
    {"attn", fused_head<Fusion::attn>},
    {"weighted", [](int64_t h, int64_t n, double p) -> Box<LRCNHead> { return WeightedHead(h, n, p); }},
};

}  // namespace

Variable LRCNHead::loss(const Variable& states, const Tensor& target, double label_smoothing) const {
  return smoothed_nll(forward(states), target, label_smoothing);
}

std::vector<std::string> lrcn_head_names() {
  std::vector<std::string> names;
  for (const Entry& e : kHeads) names.push_back(e.name);
  return names;
}

Box<LRCNHead> make_lrcn_head(std::string_view name, int64_t hidden, int64_t classes, double dropout) {
  for (const Entry& e : kHeads)
    if (e.name == name) return e.make(hidden, classes, dropout);
  std::string known;
  for (const std::string& n : lrcn_head_names()) known += (known.empty() ? "" : ", ") + n;
  fail("LRCN: no head '", name, "'; there are ", known);
}

}  // namespace ar::nn
