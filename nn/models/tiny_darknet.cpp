#include "nn/models/tiny_darknet.h"

#include "autograd/autograd.h"

namespace ar::nn {

ConvNormStep TinyDarknet::Layer::step() const { return {*conv, *norm, Activation::leaky_relu, 0.1}; }

Variable TinyDarknet::Layer::forward(const Variable& x) const {
  if (!conv) return max_pool2d(x, {.kernel = 2});
  return norm ? conv_norm(x, {step()}) : (*conv)(x);
}

void TinyDarknet::Layer::members(Members& add) {
  add("conv", conv);
  add("norm", norm);
}

void TinyDarknet::Layers::members(Members& add) {
  for (size_t i = 0; i < list.size(); ++i) add(std::to_string(i), list[i]);
}

TinyDarknet::TinyDarknet(int64_t classes) : classifies_(classes > 0) {
  // Channels and kernel of each convolution; {0, 0} is a pool.
  constexpr struct {
    int64_t out, kernel;
  } kPlan[] = {{16, 3},  {0, 0},  {32, 3},  {0, 0}, {16, 1}, {128, 3}, {16, 1}, {128, 3}, {0, 0},  {32, 1},
               {256, 3}, {32, 1}, {256, 3}, {0, 0}, {64, 1}, {512, 3}, {64, 1}, {512, 3}, {128, 1}};
  int64_t in = 3;
  for (const auto& [out, kernel] : kPlan) {
    Layer& layer = layers_.list.emplace_back();
    if (out == 0) continue;
    layer.conv.emplace(Conv2d::Options{.in = in, .out = out, .kernel = kernel, .padding = kernel / 2, .bias = false});
    layer.norm.emplace(BatchNorm::Options{.features = out});
    in = out;
  }
  if (classifies_) layers_.list.emplace_back().conv.emplace(Conv2d::Options{.in = in, .out = classes, .kernel = 1});
}

void TinyDarknet::members(Members& add) { add("layers", layers_); }

Variable TinyDarknet::features(const Variable& images) const {
  Variable x = images;
  std::vector<ConvNormStep> steps;  // between two pools
  const size_t end = layers_.list.size() - classifies_;
  for (size_t i = 0; i < end; ++i) {
    const Layer& layer = layers_.list[i];
    if (layer.norm) steps.push_back(layer.step());
    if (!steps.empty() && (!layer.norm || i + 1 == end)) x = conv_norm(x, std::exchange(steps, {}));
    if (!layer.norm) x = layer(x);
  }
  return x;
}

Variable TinyDarknet::forward(const Variable& images) const {
  AR_CHECK(classifies_, "TinyDarknet: built without a classifier; use features()");
  const Variable scores = flatten(adaptive_avg_pool2d(layers_.list.back()(features(images)), 1));
  return cast(scores, parameter_dtype(images.dtype()));
}

}  // namespace ar::nn
