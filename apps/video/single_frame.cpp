#include "apps/video/single_frame.h"

#include <algorithm>
#include <cmath>

#include "autograd/autograd.h"

namespace ar::apps {
namespace {

constexpr double kMomentum = 0.01;  // share of a new batch in the running statistics, after the first hundred

void copy_into(const Tensor& to, const io::Field& saved) {
  const Tensor& from = saved.tensor();
  if (from.shape() != to.shape()) saved.error("does not fit the features");
  to.copy_from(from);
}

}  // namespace

SingleFrameBaseline::SingleFrameBaseline(int64_t features, int64_t classes)
    : features_(features),
      mean_(zeros({features})),
      variance_(ones({features})),
      weight_(zeros({classes, features}), true),
      bias_(zeros({classes}), true),
      adam_(std::make_unique<optim::Adam>(std::vector<Variable>{weight_, bias_})) {}

Variable SingleFrameBaseline::logits(const Tensor& rows) const {
  Tensor standardised = empty(rows.shape());
  const float *x = rows.data<float>(), *mean = mean_.data<float>(), *variance = variance_.data<float>();
  auto* y = standardised.mutable_data<float>();
  std::vector<float> scale(static_cast<size_t>(features_));
  for (size_t f = 0; f < scale.size(); ++f) scale[f] = 1 / std::sqrt(variance[f] + 1e-5f);
  for (int64_t i = 0; i < rows.numel(); ++i) {
    const int64_t f = i % features_;
    y[i] = (x[i] - mean[f]) * scale[size_t(f)];
  }
  return linear(standardised, weight_, bias_);
}

void SingleFrameBaseline::step(const Tensor& features, const Tensor& targets) {
  const Tensor rows = features.reshape_copy({-1, features_});
  const int64_t count = rows.size(0), per_clip = features.size(1);
  std::vector<double> sum(static_cast<size_t>(features_)), squares(sum.size());
  const float* x = rows.data<float>();
  for (int64_t i = 0; i < count; ++i)
    for (size_t f = 0; f < sum.size(); ++f, ++x) sum[f] += *x, squares[f] += double(*x) * *x;
  const double share = std::max(kMomentum, 1 / double(++steps_));
  auto *mean = mean_.mutable_data<float>(), *variance = variance_.mutable_data<float>();
  for (size_t f = 0; f < sum.size(); ++f) {
    const double m = sum[f] / double(count), v = std::max(squares[f] / double(count) - m * m, 0.0);
    mean[f] += float(share * (m - mean[f]));
    variance[f] += float(share * (v - variance[f]));
  }
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
