#include "nn/models/densenet.h"

#include "autograd/autograd.h"
#include "nn/init.h"
#include "tensor/ops_pool.h"

namespace ar::nn {
namespace {

NormParameters parameters_of(const BatchNorm2d& norm) {
  return {norm.weight, norm.bias, norm.running_mean, norm.running_var, norm.num_batches_tracked};
}

}  // namespace

DenseNetOptions densenet121(int64_t classes) { return {.classes = classes}; }
DenseNetOptions densenet161(int64_t classes) {
  return {.growth_rate = 48, .block_config = {6, 12, 36, 24}, .num_init_features = 96, .classes = classes};
}
DenseNetOptions densenet169(int64_t classes) { return {.block_config = {6, 12, 32, 32}, .classes = classes}; }
DenseNetOptions densenet201(int64_t classes) { return {.block_config = {6, 12, 48, 32}, .classes = classes}; }

DenseNet::Layer::Layer(int64_t in, int64_t growth, int64_t bn_size)
    : norm1({.features = in}),
      conv1({.in = in, .out = bn_size * growth, .kernel = 1, .bias = false}),
      norm2({.features = bn_size * growth}),
      conv2({.in = bn_size * growth, .out = growth, .kernel = 3, .padding = 1, .bias = false}) {}

void DenseNet::Layer::members(Members& add) {
  add("norm1", norm1);
  add("conv1", conv1);
  add("norm2", norm2);
  add("conv2", conv2);
}

void DenseNet::Block::members(Members& add) {
  for (size_t i = 0; i < layers.size(); ++i) add("denselayer" + std::to_string(i + 1), layers[i]);
}

DenseNet::Transition::Transition(int64_t in, int64_t out)
    : norm({.features = in}), conv({.in = in, .out = out, .kernel = 1, .bias = false}) {}

void DenseNet::Transition::members(Members& add) {
  add("norm", norm);
  add("conv", conv);
}

DenseNet::Features::Features(const DenseNetOptions& o)
    : conv0({.in = 3, .out = o.num_init_features, .kernel = 7, .stride = 2, .padding = 3, .bias = false}),
      norm0({.features = o.num_init_features}),
      norm5({.features = 1}) {
  AR_CHECK(!o.block_config.empty(), "DenseNet: block_config is empty");
  int64_t channels = o.num_init_features;
  for (size_t b = 0; b < o.block_config.size(); ++b) {
    AR_CHECK(o.block_config[b] > 0, "DenseNet: block ", b + 1, " needs at least one layer, block_config says ",
             o.block_config[b]);
    Block block;
    for (int64_t i = 0; i < o.block_config[b]; ++i, channels += o.growth_rate)
      block.layers.emplace_back(channels, o.growth_rate, o.bn_size);
    blocks.push_back(std::move(block));
    if (b + 1 == o.block_config.size()) break;
    transitions.emplace_back(channels, channels / 2);
    channels /= 2;
  }
  norm5 = BatchNorm2d({.features = channels});
}

void DenseNet::Features::members(Members& add) {
  add("conv0", conv0);
  add("norm0", norm0);
  for (size_t b = 0; b < blocks.size(); ++b) {
    add("denseblock" + std::to_string(b + 1), blocks[b]);
    if (b < transitions.size()) add("transition" + std::to_string(b + 1), transitions[b]);
  }
  add("norm5", norm5);
}

DenseNet::DenseNet(const DenseNetOptions& options) : features_(options) {
  if (options.classes > 0) {
    classifier_.emplace(Linear::Options{.in = channels(), .out = options.classes});
    init::constant_(classifier_->bias, 0);
  }
  for (auto& [name, module] : named_modules())
    if (auto* conv = dynamic_cast<Conv2d*>(module)) init::kaiming_normal_(conv->weight);
}

void DenseNet::members(Members& add) {
  add("features", features_);
  add("classifier", classifier_);
}

Variable DenseNet::features(const Variable& images) const {
  const Features& f = features_;
  const Variable stem = f.conv0(images);
  // The stem's result and each transition's are written where the next block wants its first channels.
  const Pool2dOptions pool{.kernel = 3, .stride = 2, .padding = 1};
  const Dims pooled = ops::max_pool2d_shape(stem.shape(), pool);
  auto buffer_for = [&](const Block& block, int64_t n, int64_t h, int64_t w) {
    const Layer& last = block.layers.back();
    return empty({n, last.conv1.options().in + last.conv2.options().out, h, w},
                 {.dtype = images.dtype(), .device = images.value().device()});
  };
  Tensor buffer = buffer_for(f.blocks[0], pooled[0], pooled[2], pooled[3]);
  Variable x =
      norm_relu_max_pool2d(stem, parameters_of(f.norm0), f.norm0.begin_pass(), pool, buffer.narrow(1, 0, stem.size(1)));
  for (size_t b = 0; b < f.blocks.size(); ++b) {
    std::vector<DenseLayerParameters> layers;
    const BatchNormOptions mode = f.blocks[b].layers.front().norm1.begin_pass();  // one for all: they share statistics
    for (const Layer& l : f.blocks[b].layers) {
      AR_CHECK(l.norm1.is_training() == mode.training && l.norm2.is_training() == mode.training,
               "DenseNet: some norms of block ", b + 1, " are in training mode, others are not; switch them together");
      layers.push_back({parameters_of(l.norm1), l.conv1.weight, parameters_of(l.norm2), l.conv2.weight});
    }
    DenseBlockResult block = dense_block(x, layers, mode, std::move(buffer));
    x = block.features;
    if (b == f.transitions.size()) break;
    const Transition& t = f.transitions[b];
    buffer = buffer_for(f.blocks[b + 1], x.size(0), x.size(2) / 2, x.size(3) / 2);
    x = dense_transition(x, block.sums, parameters_of(t.norm), t.conv.weight, t.norm.begin_pass(),
                         buffer.narrow(1, 0, t.conv.options().out));
  }
  return relu(f.norm5(x));
}

Variable DenseNet::forward(const Variable& images) const {
  AR_CHECK(classifier_, "DenseNet: built without a classifier; use features()");
  return (*classifier_)(pooled(images));
}

}  // namespace ar::nn
