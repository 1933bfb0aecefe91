// ResNet (He et al. 2016, arXiv 1512.03385), with torchvision's parameter names (stride on the 3x3 convolution).
#pragma once
#include <array>
#include <optional>
#include <vector>

#include "nn/layers.h"
#include "nn/models/backbone.h"

namespace ar::nn {

struct ResNetOptions {
  bool bottleneck = false;  // 1x1 - 3x3 - 1x1 (x4 channels) rather than 3x3 - 3x3
  std::array<int64_t, 4> layers = {2, 2, 2, 2};
  int64_t classes = 1000;  // 0: no classifier
};

ResNetOptions resnet18(int64_t classes = 1000);
ResNetOptions resnet50(int64_t classes = 1000);
ResNetOptions resnet101(int64_t classes = 1000);

class ResNet : public Backbone {
 public:
  explicit ResNet(const ResNetOptions& options = {});
  Variable features(const Variable& images) const override;
  int64_t channels() const override { return channels_; }
  /// Logits (N, classes).
  Variable forward(const Variable& images) const override;

 protected:
  void members(Members& add) override;

 private:
  /// y = relu(f(x) + x), where f is two or three convolutions with norms and x may be brought to y's shape by
  /// `downsample`.
  struct Block : Module {
    Block(bool bottleneck, int64_t in, int64_t width, int64_t stride);
    Conv2d conv1;
    BatchNorm2d bn1;
    Conv2d conv2;
    BatchNorm2d bn2;
    std::optional<Conv2d> conv3;
    std::optional<BatchNorm2d> bn3;
    std::optional<Sequential> downsample;
    Variable forward(const Variable& x) const override;
    void members(Members& add) override;
  };
  Conv2d conv1_;
  BatchNorm2d bn1_;
  std::array<ModuleList<Block>, 4> layers_;
  std::optional<Linear> fc_;
  int64_t channels_ = 64;
};

}  // namespace ar::nn
