// Backbone: a network that turns images into feature maps, with or without its classifier of ImageNet.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "nn/module.h"
#include "tensor/ops_frames.h"

namespace ar::nn {

class Backbone : public Module {
 public:
  /// Images (N,3,H,W) -> feature maps (N, channels(), h, w), after the last activation.
  virtual Variable features(const Variable& images) const = 0;
  virtual int64_t channels() const = 0;
  /// The side of the images it was designed for.
  virtual int64_t image_size() const { return 224; }
  /// How the images were normalised that its published weights were trained on.
  virtual PixelStats pixel_stats() const { return {}; }
  /// Feature maps averaged over all places: (N, channels()).
  Variable pooled(const Variable& images) const;

  /// One vector per image, for classifiers and LSTMs: the layers it can be taken from (the first is the usual one), ...
  virtual std::vector<std::string> embedding_layers() const { return {"pool"}; }
  /// ... its length, and its values (N, embedding_size(layer)). Throws Error on other names.
  virtual int64_t embedding_size(std::string_view layer) const;
  virtual Variable embedding(const Variable& images, std::string_view layer) const;
};

/// Names that make_backbone knows.
std::vector<std::string> backbone_names();

/// densenet121, densenet161, densenet169, densenet201, resnet18, resnet50, resnet101, mobilenet_v2 (parameters named as
/// torchvision's), caffenet, tiny_darknet. classes 0: without the classifier. Throws Error on other names, listing
/// these.
Box<Backbone> make_backbone(std::string_view name, int64_t classes = 0);

}  // namespace ar::nn
