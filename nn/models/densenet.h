// DenseNet (Huang et al. 2017, arXiv 1608.06993), with torchvision's parameter names.
#pragma once
#include <optional>
#include <vector>

#include "autograd/dense_block.h"
#include "nn/layers.h"
#include "nn/models/backbone.h"

namespace ar::nn {

struct DenseNetOptions {
  int64_t growth_rate = 32;                             // k: channels that each layer adds
  std::vector<int64_t> block_config = {6, 12, 24, 16};  // layers of each block, at least one
  int64_t num_init_features = 64;
  int64_t bn_size = 4;     // a layer's 1x1 convolution has bn_size * k channels
  int64_t classes = 1000;  // 0: no classifier
};

DenseNetOptions densenet121(int64_t classes = 1000);
DenseNetOptions densenet161(int64_t classes = 1000);
DenseNetOptions densenet169(int64_t classes = 1000);
DenseNetOptions densenet201(int64_t classes = 1000);

class DenseNet : public Backbone {
 public:
  /// Throws Error on a network without blocks or a block without layers.
  explicit DenseNet(const DenseNetOptions& options = {});
  /// After the last norm and ReLU. Throws Error when some norms of a block are in training mode and others are not.
  Variable features(const Variable& images) const override;
  int64_t channels() const override { return features_.norm5.weight.numel(); }
  /// Logits (N, classes).
  Variable forward(const Variable& images) const override;

 protected:
  void members(Members& add) override;

 private:
  struct Layer : Module {
    Layer(int64_t in, int64_t growth, int64_t bn_size);
    BatchNorm2d norm1;
    Conv2d conv1;
    BatchNorm2d norm2;
    Conv2d conv2;
    void members(Members& add) override;
  };
  struct Block : Module {
    std::vector<Layer> layers;
    void members(Members& add) override;
  };
  struct Transition : Module {
    Transition(int64_t in, int64_t out);
    BatchNorm2d norm;
    Conv2d conv;
    void members(Members& add) override;
  };
  struct Features : Module {
    Features(const DenseNetOptions& options);
    Conv2d conv0;
    BatchNorm2d norm0;
    std::vector<Block> blocks;
    std::vector<Transition> transitions;
    BatchNorm2d norm5;
    void members(Members& add) override;
  };
  Features features_;
  std::optional<Linear> classifier_;
};

}  // namespace ar::nn
