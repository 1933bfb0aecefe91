// MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381), width 1, with torchvision's parameter names.
#pragma once
#include "nn/layers.h"
#include "nn/models/backbone.h"

namespace ar::nn {

class MobileNetV2 : public Backbone {
 public:
  explicit MobileNetV2(int64_t classes = 1000);  // 0: no classifier
  Variable features(const Variable& images) const override;
  int64_t channels() const override { return 1280; }
  /// Logits (N, classes).
  Variable forward(const Variable& images) const override;

 protected:
  void members(Members& add) override;

 private:
  ModuleList<Module> features_;
  std::optional<Sequential> classifier_;
};

}  // namespace ar::nn
