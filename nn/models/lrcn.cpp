#include "nn/models/lrcn.h"

#include "autograd/autograd.h"

namespace ar::nn {
namespace {

LRCNOptions with_layer(LRCNOptions options, const Backbone& extractor) {
  if (options.features.empty()) options.features = extractor.embedding_layers()[0];
  return options;
}

}  // namespace

LRCN::LRCN(const LRCNOptions& options) : LRCN(make_backbone(options.feature_extractor), options) {}

LRCN::LRCN(Box<Backbone> feature_extractor, const LRCNOptions& options)
    : options_(with_layer(options, *feature_extractor)),
      feature_extractor_(std::move(feature_extractor)),
      feature_dropout_(options.feature_dropout),
      rnn_({.input_size = feature_extractor_->embedding_size(options_.features),
            .hidden_size = options.rnn_units,
            .num_layers = options.rnn_layers,
            .batch_first = true,
            .dropout = options.rnn_dropout,
            .bidirectional = options.bidirectional}),
      head_(make_lrcn_head(options.head, options.rnn_units * (options.bidirectional ? 2 : 1), options.classes,
                           options.head_dropout)) {
  if (options_.freeze) feature_extractor_->requires_grad_(false);
  train();
}

void LRCN::members(Members& add) {
  add("feature_extractor", feature_extractor_);
  add("feature_dropout", feature_dropout_);
  add("rnn", rnn_);
  add("head", head_);
}

void LRCN::train(bool on) {
  Module::train(on);
  if (options_.freeze) feature_extractor_->eval();
}

Variable LRCN::features(const Variable& clips) const {
  AR_CHECK(clips.rank() == 5 && clips.size(0) >= 1 && clips.size(2) >= 1,
           "LRCN: clips must be (B,3,T,H,W) with B and T at least 1, they are ", clips.shape());
  const Variable frames = feature_extractor_->embedding(fold_time(clips), options_.features);
  return reshape(frames, {clips.size(0), clips.size(2), frames.size(1)});
}

Variable LRCN::states_of(const Variable& features) const { return rnn_(feature_dropout_(features)).output; }

Variable LRCN::forward(const Variable& clips) const { return (*head_)(states(clips)); }

Variable LRCN::loss(const Variable& clips, const Tensor& target) const { return head_->loss(states(clips), target); }

}  // namespace ar::nn
