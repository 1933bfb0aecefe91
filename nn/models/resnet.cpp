#include "nn/models/resnet.h"

#include "autograd/autograd.h"
#include "nn/conv_norm.h"
#include "nn/init.h"

namespace ar::nn {

ResNetOptions resnet18(int64_t classes) { return {.classes = classes}; }
ResNetOptions resnet50(int64_t classes) { return {.bottleneck = true, .layers = {3, 4, 6, 3}, .classes = classes}; }
ResNetOptions resnet101(int64_t classes) { return {.bottleneck = true, .layers = {3, 4, 23, 3}, .classes = classes}; }

ResNet::Block::Block(bool bottleneck, int64_t in, int64_t width, int64_t stride)
    : conv1(bottleneck
                ? Conv2d::Options{.in = in, .out = width, .kernel = 1, .bias = false}
                : Conv2d::Options{.in = in, .out = width, .kernel = 3, .stride = stride, .padding = 1, .bias = false}),
      bn1({.features = width}),
      conv2({.in = width, .out = width, .kernel = 3, .stride = bottleneck ? stride : 1, .padding = 1, .bias = false}),
      bn2({.features = width}) {
  const int64_t out = bottleneck ? 4 * width : width;
  if (bottleneck) {
    conv3.emplace(Conv2d::Options{.in = width, .out = out, .kernel = 1, .bias = false});
    bn3.emplace(BatchNorm::Options{.features = out});
  }
  if (stride != 1 || in != out)
    downsample.emplace(Conv2d({.in = in, .out = out, .kernel = 1, .stride = stride, .bias = false}),
                       BatchNorm2d({.features = out}));
}

void ResNet::Block::members(Members& add) {
  add("conv1", conv1);
  add("bn1", bn1);
  add("conv2", conv2);
  add("bn2", bn2);
  add("conv3", conv3);
  add("bn3", bn3);
  add("downsample", downsample);
}

Variable ResNet::Block::forward(const Variable& x) const {
  const Variable shortcut = downsample ? conv_norm(x, {{static_cast<const Conv2d&>((*downsample)[0]),
                                                        static_cast<const BatchNorm2d&>((*downsample)[1])}})
                                       : x;
  std::vector<ConvNormStep> steps{{conv1, bn1, Activation::relu}, {conv2, bn2, Activation::relu}};
  if (conv3) steps.push_back({*conv3, *bn3, Activation::relu});
  return conv_norm(x, steps, shortcut);
}

ResNet::ResNet(const ResNetOptions& options)
    : conv1_({.in = 3, .out = 64, .kernel = 7, .stride = 2, .padding = 3, .bias = false}), bn1_({.features = 64}) {
  for (int stage = 0; stage < 4; ++stage) {
    const int64_t width = int64_t{64} << stage;
    for (int64_t i = 0; i < options.layers[stage]; ++i) {
      layers_[stage].push_back(Block(options.bottleneck, channels_, width, i == 0 && stage > 0 ? 2 : 1));
      channels_ = options.bottleneck ? 4 * width : width;
    }
  }
  for (auto& [name, module] : named_modules())
    if (auto* conv = dynamic_cast<Conv2d*>(module))
      init::kaiming_normal_(conv->weight, {.mode = init::Fan::out, .nonlinearity = init::Nonlinearity::relu});
  if (options.classes > 0) fc_.emplace(Linear::Options{.in = channels_, .out = options.classes});
}

void ResNet::members(Members& add) {
  add("conv1", conv1_);
  add("bn1", bn1_);
  for (int stage = 0; stage < 4; ++stage) add("layer" + std::to_string(stage + 1), layers_[stage]);
  add("fc", fc_);
}

Variable ResNet::features(const Variable& images) const {
  Variable x =
      max_pool2d(conv_norm(images, {{conv1_, bn1_, Activation::relu}}), {.kernel = 3, .stride = 2, .padding = 1});
  for (const ModuleList<Block>& stage : layers_)
    for (int i = 0; i < stage.size(); ++i) x = stage[i](x);
  return x;
}

Variable ResNet::forward(const Variable& images) const {
  AR_CHECK(fc_, "ResNet: built without a classifier; use features()");
  return (*fc_)(pooled(images));
}

}  // namespace ar::nn
