#include "nn/models/image_classifier.h"

#include <optional>

#include "autograd/autograd.h"

namespace ar::nn {

ImageClassifier::ImageClassifier(const ImageClassifierOptions& options)
    : options_(options),
      feature_extractor_(make_backbone(options.feature_extractor)),
      dropout_(options.dropout),
      classifier_({.in = feature_extractor_->channels(), .out = options.classes}) {
  if (options_.freeze) feature_extractor_->requires_grad_(false);
  train();
}

void ImageClassifier::members(Members& add) {
  add("feature_extractor", feature_extractor_);
  add("dropout", dropout_);
  add("classifier", classifier_);
}

void ImageClassifier::train(bool on) {
  Module::train(on);
  if (options_.freeze) feature_extractor_->eval();
}

Variable ImageClassifier::forward(const Variable& images) const {
  return log_softmax(classifier_(dropout_(feature_extractor_->pooled(images))), 1);
}

}  // namespace ar::nn
