// LRCN: long-term recurrent convolutional network (Donahue et al. 2015, arXiv 1411.4389) for activity recognition.
#pragma once
#include <string>

#include "nn/layers.h"
#include "nn/lstm.h"
#include "nn/models/backbone.h"
#include "nn/models/lrcn_heads.h"

namespace ar::nn {

struct LRCNOptions {
  std::string feature_extractor = "resnet18";  // see backbone_names()
  std::string features = "";                   // layer of the extractor; "": its usual one (caffenet fc6, others pool)
  int64_t classes = 101;
  int64_t rnn_units = 512;
  int64_t rnn_layers = 1;
  bool bidirectional = false;
  double feature_dropout = 0;  // after the features
  double rnn_dropout = 0;      // between the layers of the LSTM
  double head_dropout = 0.5;   // after the LSTM, or inside the head's MLP
  bool freeze = false;         // the extractor is not trained, and its norms keep their statistics
  std::string head = "paper";  // see lrcn_head_names()
};

/// Features of every frame, an LSTM over time, a head. Parameters: feature_extractor.*, rnn.*, head.*.
class LRCN : public Module {
 public:
  explicit LRCN(const LRCNOptions& options = {});
  /// With an extractor of one's own, without classifier.
  LRCN(Box<Backbone> feature_extractor, const LRCNOptions& options);
  /// (B,3,T,H,W) -> log-probabilities (B, classes); any T and B >= 1.
  Variable forward(const Variable& clips) const override;
  /// What training minimises, target i64 (B): of the paper's head the mean over clips and steps of each step's
  /// cross-entropy, of the others nll_loss(forward(clips), target).
  Variable loss(const Variable& clips, const Tensor& target) const;
  /// (B,3,T,H,W) -> states of the LSTM (B, T, rnn_units * directions).
  Variable states(const Variable& clips) const { return states_of(features(clips)); }
  /// The two halves of that: (B,3,T,H,W) -> the extractor's features of each frame (B, T, feature_size()), which do not
  /// change while the extractor is frozen, and these to the LSTM's states.
  Variable features(const Variable& clips) const;
  Variable states_of(const Variable& features) const;
  int64_t feature_size() const { return feature_extractor_->embedding_size(options_.features); }
  void train(bool on = true) override;
  Backbone& feature_extractor() { return *feature_extractor_; }
  const Backbone& feature_extractor() const { return *feature_extractor_; }
  const LRCNHead& head() const { return *head_; }
  const LRCNOptions& options() const { return options_; }

 protected:
  void members(Members& add) override;

 private:
  LRCNOptions options_;
  Box<Backbone> feature_extractor_;
  Dropout feature_dropout_;
  LSTM rnn_;
  Box<LRCNHead> head_;
};

}  // namespace ar::nn
