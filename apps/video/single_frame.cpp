#include "apps/video/single_frame.h"

#include <algorithm>
#include <cmath>

#include "autograd/autograd.h"
#include "tensor/ops.h"

namespace ar::apps {
namespace {

constexpr double kMomentum = 0.01;  // share of a new batch in the running statistics, after the first hundred

void copy_into(const Tensor& to, const io::Field& saved) {
  const Tensor& from = saved.tensor();
  if (from.shape() != to.shape()) saved.error("does not fit the features");
  to.copy_from(from);
}

}  // namespace

SingleFrameBaseline::SingleFrameBaseline(int64_t features, int64_t classes, Device device)
    : features_(features),
      mean_(zeros({features}, {.device = device})),
      variance_(ones({features}, {.device = device})),
      weight_(zeros({classes, features}, {.device = device}), true),
      bias_(zeros({classes}, {.device = device}), true),
      adam_(std::make_unique<optim::Adam>(std::vector<Variable>{weight_, bias_})) {}

Variable SingleFrameBaseline::logits(const Tensor& rows) const {
  const Tensor deviation = ops::unary(UnaryOp::sqrt, ops::affine(variance_, 1, 1e-5));
  return linear(ops::div(ops::sub(rows, mean_), deviation), weight_, bias_);
}

void SingleFrameBaseline::step(const Tensor& features, const Tensor& targets) {
  const Tensor rows = features.reshape_copy({-1, features_});
  const int64_t count = rows.size(0), per_clip = features.size(1);
  const double share = std::max(kMomentum, 1 / double(++steps_));
  const Tensor mean = ops::affine(ops::sum(rows, {0}), 1 / double(count));
  const Tensor squares = ops::sum(ops::unary(UnaryOp::square, ops::sub(rows, mean)), {0});
  ops::axpby_(share, mean, 1 - share, mean_);
  ops::axpby_(share / double(count), squares, 1 - share, variance_);
  const Tensor each = targets.unsqueeze(1).expand({targets.numel(), per_clip}).reshape_copy({-1});
  cross_entropy(logits(rows), each).backward();
  adam_->step();
  adam_->zero_grad();
}

Tensor SingleFrameBaseline::log_probs(const Tensor& features) const {
  const NoGrad no_grad;
  Dims shape = features.shape();
  const Tensor flat = log_softmax(logits(features.reshape_copy({-1, features_})), 1).value();
  shape[shape.size() - 1] = flat.size(1);
  return flat.reshape(shape);
}

io::Value SingleFrameBaseline::state() const {
  io::Value saved;
  saved["mean"] = mean_;
  saved["variance"] = variance_;
  saved["steps"] = steps_;
  saved["weight"] = weight_.value();
  saved["bias"] = bias_.value();
  saved["optimizer"] = io::Value::dict(adam_->state_dict());
  return saved;
}

void SingleFrameBaseline::load_state(const io::Field& saved) {
  copy_into(mean_, saved.at("mean"));
  copy_into(variance_, saved.at("variance"));
  copy_into(weight_.value(), saved.at("weight"));
  copy_into(bias_.value(), saved.at("bias"));
  steps_ = saved.at("steps").integer();
  adam_->load_state_dict(saved.at("optimizer").tensors());
}

}  // namespace ar::apps
