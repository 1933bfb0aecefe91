#include "nn/models/mobilenet.h"

#include "autograd/autograd.h"
#include "nn/conv_norm.h"
#include "nn/init.h"

namespace ar::nn {
namespace {

/// Convolution, norm, ReLU6, named "0" and "1".
struct ConvNormRelu6 : Module {
  Conv2d conv;
  BatchNorm2d norm;
  ConvNormRelu6(int64_t in, int64_t out, int64_t kernel, int64_t stride = 1, int64_t groups = 1)
      : conv({.in = in,
              .out = out,
              .kernel = kernel,
              .stride = stride,
              .padding = kernel / 2,
              .groups = groups,
              .bias = false}),
        norm({.features = out}) {}
  ConvNormStep step() const { return {conv, norm, Activation::relu6}; }
  Variable forward(const Variable& x) const override { return conv_norm(x, {step()}); }
  void members(Members& add) override {
    add("0", conv);
    add("1", norm);
  }
};

/// The inverted residual's "conv": expand 1x1 (unless the ratio is 1), depthwise 3x3, project 1x1 without activation.
struct Bottleneck : Module {
  std::optional<ConvNormRelu6> expand;
  ConvNormRelu6 depthwise;
  Conv2d project;
  BatchNorm2d norm;
  Bottleneck(int64_t in, int64_t out, int64_t stride, int64_t ratio)
      : depthwise(in * ratio, in * ratio, 3, stride, in * ratio),
        project({.in = in * ratio, .out = out, .kernel = 1, .bias = false}),
        norm({.features = out}) {
    if (ratio != 1) expand.emplace(in, in * ratio, 1);
  }
  Variable run(const Variable& x, const Variable& residual) const {
    std::vector<ConvNormStep> steps;
    if (expand) steps.push_back(expand->step());
    steps.push_back(depthwise.step());
    steps.push_back({project, norm});
    return conv_norm(x, steps, residual);
  }
  void members(Members& add) override {
    int i = 0;
    if (expand) add(std::to_string(i++), *expand);
    add(std::to_string(i++), depthwise);
    add(std::to_string(i++), project);
    add(std::to_string(i++), norm);
  }
};

struct InvertedResidual : Module {
  Bottleneck conv;
  bool residual;
  InvertedResidual(int64_t in, int64_t out, int64_t stride, int64_t ratio)
      : conv(in, out, stride, ratio), residual(stride == 1 && in == out) {}
  Variable forward(const Variable& x) const override { return conv.run(x, residual ? x : Variable()); }
  void members(Members& add) override { add("conv", conv); }
};

}  // namespace

MobileNetV2::MobileNetV2(int64_t classes) {
  // The paper's table 2: expansion t, channels c, repeats n, stride s.
  constexpr struct {
    int64_t t, c, n, s;
  } kStages[] = {{1, 16, 1, 1}, {6, 24, 2, 2},  {6, 32, 3, 2}, {6, 64, 4, 2},
                 {6, 96, 3, 1}, {6, 160, 3, 2}, {6, 320, 1, 1}};
  features_.push_back(ConvNormRelu6(3, 32, 3, 2));
  int64_t in = 32;
  for (const auto& stage : kStages)
    for (int64_t i = 0; i < stage.n; ++i, in = stage.c)
      features_.push_back(InvertedResidual(in, stage.c, i == 0 ? stage.s : 1, stage.t));
  features_.push_back(ConvNormRelu6(in, channels(), 1));
  for (auto& [name, module] : named_modules())
    if (auto* conv = dynamic_cast<Conv2d*>(module)) init::kaiming_normal_(conv->weight, {.mode = init::Fan::out});
  if (classes > 0) {
    Linear last({.in = channels(), .out = classes});
    init::normal_(last.weight, 0, 0.01);
    init::constant_(last.bias, 0);
    classifier_.emplace(Dropout(0.2), std::move(last));
  }
}

void MobileNetV2::members(Members& add) {
  add("features", features_);
  add("classifier", classifier_);
}

Variable MobileNetV2::features(const Variable& images) const {
  Variable x = images;
  for (int i = 0; i < features_.size(); ++i) x = features_[i](x);
  return x;
}

Variable MobileNetV2::forward(const Variable& images) const {
  AR_CHECK(classifier_, "MobileNetV2: built without a classifier; use features()");
  return (*classifier_)(pooled(images));
}

}  // namespace ar::nn
