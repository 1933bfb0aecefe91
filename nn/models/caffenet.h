// CaffeNet: AlexNet (Krizhevsky et al. 2012) as Caffe's reference model has it, with pooling before normalisation. The
// base network of Donahue et al. 2015 (arXiv 1411.4389).
#pragma once
#include <optional>

#include "nn/layers.h"
#include "nn/models/backbone.h"

namespace ar::nn {

class CaffeNet : public Backbone {
 public:
  explicit CaffeNet(int64_t classes = 1000);  // 0: no fc8
  /// conv1 .. pool5: (N,256,6,6) for images of 227 x 227.
  Variable features(const Variable& images) const override;
  int64_t channels() const override { return 256; }
  int64_t image_size() const override { return 227; }
  /// (N,4096) after fc6, or fc7, and its ReLU; images are 227 x 227.
  Variable fc6(const Variable& images) const;
  Variable fc7(const Variable& images) const;
  std::vector<std::string> embedding_layers() const override { return {"fc6", "fc7", "pool"}; }
  int64_t embedding_size(std::string_view layer) const override;
  Variable embedding(const Variable& images, std::string_view layer) const override;
  /// Logits (N, classes).
  Variable forward(const Variable& images) const override;

 protected:
  void members(Members& add) override;

 private:
  Conv2d conv1_, conv2_, conv3_, conv4_, conv5_;
  Linear fc6_, fc7_;
  std::optional<Linear> fc8_;
};

}  // namespace ar::nn
