#include "nn/models/backbone.h"

#include "autograd/elementwise.h"
#include "autograd/pool.h"
#include "autograd/shape.h"
#include "nn/models/caffenet.h"
#include "nn/models/densenet.h"
#include "nn/models/mobilenet.h"
#include "nn/models/resnet.h"
#include "nn/models/tiny_darknet.h"

namespace ar::nn {
namespace {

struct Entry {
  const char* name;
  Box<Backbone> (*make)(int64_t classes);
};

// Adding a backbone is a line here.
constexpr Entry kBackbones[] = {
    {"densenet121", [](int64_t n) -> Box<Backbone> { return DenseNet(densenet121(n)); }},
    {"densenet161", [](int64_t n) -> Box<Backbone> { return DenseNet(densenet161(n)); }},
    {"densenet169", [](int64_t n) -> Box<Backbone> { return DenseNet(densenet169(n)); }},
    {"densenet201", [](int64_t n) -> Box<Backbone> { return DenseNet(densenet201(n)); }},
    {"resnet18", [](int64_t n) -> Box<Backbone> { return ResNet(resnet18(n)); }},
    {"resnet50", [](int64_t n) -> Box<Backbone> { return ResNet(resnet50(n)); }},
    {"resnet101", [](int64_t n) -> Box<Backbone> { return ResNet(resnet101(n)); }},
    {"mobilenet_v2", [](int64_t n) -> Box<Backbone> { return MobileNetV2(n); }},
    {"caffenet", [](int64_t n) -> Box<Backbone> { return CaffeNet(n); }},
    {"tiny_darknet", [](int64_t n) -> Box<Backbone> { return TinyDarknet(n); }},
};

}  // namespace

Variable Backbone::pooled(const Variable& images) const {
  return cast(flatten(adaptive_avg_pool2d(features(images), 1)), parameter_dtype(images.dtype()));
}

namespace {
void check_pool(std::string_view layer) {
  AR_CHECK(layer == "pool", "embedding: this network has only 'pool', not '", layer, "'");
}
}  // namespace

int64_t Backbone::embedding_size(std::string_view layer) const {
  check_pool(layer);
  return channels();
}

Variable Backbone::embedding(const Variable& images, std::string_view layer) const {
  check_pool(layer);
  return pooled(images);
}

std::vector<std::string> backbone_names() {
  std::vector<std::string> names;
  for (const Entry& e : kBackbones) names.push_back(e.name);
  return names;
}

Box<Backbone> make_backbone(std::string_view name, int64_t classes) {
  for (const Entry& e : kBackbones)
    if (e.name == name) return e.make(classes);
  std::string known;
  for (const std::string& n : backbone_names()) known += (known.empty() ? "" : ", ") + n;
  fail("make_backbone: no network '", name, "'; there are ", known);
}

}  // namespace ar::nn
