#include "nn/models/caffenet.h"

#include "autograd/autograd.h"

namespace ar::nn {
namespace {

Variable pool(const Variable& x) { return max_pool2d(x, {.kernel = 3, .stride = 2, .ceil_mode = true}); }
Variable norm(const Variable& x) { return local_response_norm(x, {.size = 5, .alpha = 1e-4, .beta = 0.75, .k = 1}); }

}  // namespace

CaffeNet::CaffeNet(int64_t classes)
    : conv1_({.in = 3, .out = 96, .kernel = 11, .stride = 4}),
      conv2_({.in = 96, .out = 256, .kernel = 5, .padding = 2, .groups = 2}),
      conv3_({.in = 256, .out = 384, .kernel = 3, .padding = 1}),
      conv4_({.in = 384, .out = 384, .kernel = 3, .padding = 1, .groups = 2}),
      conv5_({.in = 384, .out = 256, .kernel = 3, .padding = 1, .groups = 2}),
      fc6_({.in = 256 * 6 * 6, .out = 4096}),
      fc7_({.in = 4096, .out = 4096}) {
  if (classes > 0) fc8_.emplace(Linear::Options{.in = 4096, .out = classes});
}

void CaffeNet::members(Members& add) {
  add("conv1", conv1_);
  add("conv2", conv2_);
  add("conv3", conv3_);
  add("conv4", conv4_);
  add("conv5", conv5_);
  add("fc6", fc6_);
  add("fc7", fc7_);
  add("fc8", fc8_);
}

Variable CaffeNet::features(const Variable& images) const {
  Variable x = norm(pool(relu(conv1_(images))));
  x = norm(pool(relu(conv2_(x))));
  x = relu(conv4_(relu(conv3_(x))));
  return pool(relu(conv5_(x)));
}

Variable CaffeNet::fc6(const Variable& images) const {
  const Variable x = features(images);
  AR_CHECK(x.size(2) == 6 && x.size(3) == 6, "CaffeNet: fc6 needs images of 227 x 227, these are ", images.shape());
  return relu(fc6_(flatten(x)));
}

Variable CaffeNet::fc7(const Variable& images) const { return relu(fc7_(fc6(images))); }

int64_t CaffeNet::embedding_size(std::string_view layer) const {
  return layer == "fc6" || layer == "fc7" ? 4096 : Backbone::embedding_size(layer);
}

Variable CaffeNet::embedding(const Variable& images, std::string_view layer) const {
  if (layer != "fc6" && layer != "fc7") return Backbone::embedding(images, layer);
  return cast(layer == "fc6" ? fc6(images) : fc7(images), parameter_dtype(images.dtype()));
}

Variable CaffeNet::forward(const Variable& images) const {
  AR_CHECK(fc8_, "CaffeNet: built without a classifier; use features(), fc6() or fc7()");
  return cast((*fc8_)(fc7(images)), parameter_dtype(images.dtype()));
}

}  // namespace ar::nn
