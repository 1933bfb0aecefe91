// ImageClassifier: a backbone with a classifier of its own.
#pragma once
#include <string>

#include "nn/layers.h"
#include "nn/models/backbone.h"

namespace ar::nn {

struct ImageClassifierOptions {
  std::string feature_extractor = "resnet18";  // see backbone_names()
  int64_t classes = 1000;
  double dropout = 0.5;
  bool freeze = false;  // the extractor is not trained, and its norms keep their statistics
};

/// features -> average over all places -> dropout -> linear -> log-softmax. Parameters: feature_extractor.*,
/// classifier.*.
class ImageClassifier : public Module {
 public:
  explicit ImageClassifier(const ImageClassifierOptions& options = {});
  /// (N,3,H,W) -> log-probabilities (N, classes).
  Variable forward(const Variable& images) const override;
  void train(bool on = true) override;
  Backbone& feature_extractor() { return *feature_extractor_; }
  const ImageClassifierOptions& options() const { return options_; }

 protected:
  void members(Members& add) override;

 private:
  ImageClassifierOptions options_;
  Box<Backbone> feature_extractor_;
  Dropout dropout_;
  Linear classifier_;
};

}  // namespace ar::nn
