// Tiny Darknet (Redmon's Darknet framework): 4 MB of weights, one GFLOP an image.
#pragma once
#include <optional>
#include <vector>

#include "nn/conv_norm.h"
#include "nn/models/backbone.h"

namespace ar::nn {

/// layers.N is section N of tiny.cfg: convolutions have .conv and .norm and a leaky ReLU of slope 0.1; the last,
/// layers.19, is a plain 1x1 convolution with a bias, whose average over all places gives the logits. Input is RGB in
/// 0..1.
class TinyDarknet : public Backbone {
 public:
  explicit TinyDarknet(int64_t classes = 1000);  // 0: without the last convolution
  /// (N,128,H/16,W/16)
  Variable features(const Variable& images) const override;
  int64_t channels() const override { return 128; }
  PixelStats pixel_stats() const override { return {.mean = {0, 0, 0}, .std = {1, 1, 1}}; }
  /// Logits (N, classes).
  Variable forward(const Variable& images) const override;

 protected:
  void members(Members& add) override;

 private:
  struct Layer : Module {  // a convolution, or (without one) a 2x2 max pool
    std::optional<Conv2d> conv;
    std::optional<BatchNorm2d> norm;
    ConvNormStep step() const;  // of those with a norm
    Variable forward(const Variable& x) const override;
    void members(Members& add) override;
  };
  struct Layers : Module {
    std::vector<Layer> list;
    void members(Members& add) override;
  };
  Layers layers_;
  bool classifies_;
};

}  // namespace ar::nn
