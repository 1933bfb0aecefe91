#include "nn/models/tiny_darknet.h"

#include "autograd/autograd.h"
#include "nn/conv_norm.h"

namespace ar::nn {

Variable TinyDarknet::Layer::forward(const Variable& x) const {
  if (!conv) return max_pool2d(x, {.kernel = 2});
  if (!norm) return (*conv)(x);
  return conv_norm(*conv, *norm, x, Activation::leaky_relu, {}, 0.1);
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
  for (size_t i = 0; i < layers_.list.size() - classifies_; ++i) x = layers_.list[i](x);
  return x;
}

Variable TinyDarknet::forward(const Variable& images) const {
  AR_CHECK(classifies_, "TinyDarknet: built without a classifier; use features()");
  const Variable scores = flatten(adaptive_avg_pool2d(layers_.list.back()(features(images)), 1));
  return cast(scores, parameter_dtype(images.dtype()));
}

}  // namespace ar::nn
