#include "nn/layers.h"

#include <cmath>
#include <sstream>

#include "autograd/checkpoint.h"
#include "autograd/elementwise.h"
#include "autograd/loss.h"
#include "autograd/matmul.h"
#include "autograd/shape.h"
#include "nn/init.h"

namespace ar::nn {
namespace {

template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}
const char* yes_no(bool b) { return b ? "True" : "False"; }
std::string both(Pair p) { return text('(', p.h, ", ", p.w, ')'); }
/// One number if height and width agree, as PyTorch prints what was given as one.
std::string shortest(Pair p) { return p.h == p.w ? text(p.h) : both(p); }

void init_bias(const Parameter& bias, const Parameter& weight) {
  const int64_t fan = init::fans(weight.shape()).in;
  const double bound = fan > 0 ? 1 / std::sqrt(double(fan)) : 0;
  if (bias.defined()) init::uniform_(bias, -bound, bound);
}

}  // namespace

// ---- Linear ----

Linear::Linear(const Options& o) {
  AR_CHECK(o.in > 0 && o.out > 0, "Linear: in and out must be positive, they are ", o.in, " and ", o.out);
  weight = Parameter(empty({o.out, o.in}));
  if (o.bias) bias = Parameter(empty({o.out}));
  init::kaiming_uniform_(weight, {.a = std::sqrt(5.0)});
  init_bias(bias, weight);
}

Variable Linear::forward(const Variable& x) const { return linear(x, weight, bias); }

std::string Linear::describe() const {
  return text("in_features=", weight.size(1), ", out_features=", weight.size(0), ", bias=", yes_no(bias.defined()));
}

// ---- Conv2d ----

Conv2d::Conv2d(const Options& o) : options_(o) {
  AR_CHECK(o.in > 0 && o.out > 0 && o.groups > 0, "Conv2d: in, out and groups must be positive, they are ", o.in, ", ",
           o.out, " and ", o.groups);
  AR_CHECK(o.in % o.groups == 0 && o.out % o.groups == 0, "Conv2d: groups must divide in and out, in is ", o.in,
           ", out is ", o.out, ", groups is ", o.groups);
  AR_CHECK(o.kernel.h > 0 && o.kernel.w > 0 && o.stride.h > 0 && o.stride.w > 0 && o.dilation.h > 0 && o.dilation.w > 0,
           "Conv2d: kernel, stride and dilation must be positive, they are ", both(o.kernel), ", ", both(o.stride),
           " and ", both(o.dilation));
  weight = Parameter(empty({o.out, o.in / o.groups, o.kernel.h, o.kernel.w}));
  if (o.bias) bias = Parameter(empty({o.out}));
  init::kaiming_uniform_(weight, {.a = std::sqrt(5.0)});
  init_bias(bias, weight);
}

Variable Conv2d::forward(const Variable& x) const {
  return conv2d(x, weight, bias,
                {.stride = options_.stride,
                 .padding = options_.padding,
                 .dilation = options_.dilation,
                 .groups = options_.groups});
}

std::string Conv2d::describe() const {
  const Options& o = options_;
  std::string s = text(o.in, ", ", o.out, ", kernel_size=", both(o.kernel), ", stride=", both(o.stride));
  const Padding p = o.padding;
  if (p.top != p.bottom || p.left != p.right)
    s += text(", padding=(top ", p.top, ", left ", p.left, ", bottom ", p.bottom, ", right ", p.right, ')');
  else if (p.top || p.left)
    s += ", padding=" + both({p.top, p.left});
  if (o.dilation.h != 1 || o.dilation.w != 1) s += ", dilation=" + both(o.dilation);
  if (o.groups != 1) s += text(", groups=", o.groups);
  if (!o.bias) s += ", bias=False";
  return s;
}

// ---- BatchNorm ----

BatchNorm::BatchNorm(const Options& o, int min_rank, int max_rank)
    : options_(o), min_rank_(min_rank), max_rank_(max_rank) {
  AR_CHECK(o.features > 0, "BatchNorm: features must be positive, it is ", o.features);
  if (o.affine) weight = Parameter(ones({o.features})), bias = Parameter(zeros({o.features}));
  if (!o.track_running_stats) return;
  running_mean = Buffer(zeros({o.features}));
  running_var = Buffer(ones({o.features}));
  num_batches_tracked = Buffer(zeros({}, {.dtype = Dtype::i64}));
}

void BatchNorm::members(Members& add) {
  add("weight", weight), add("bias", bias);
  add("running_mean", running_mean), add("running_var", running_var);
  add("num_batches_tracked", num_batches_tracked, false);  // published weights of early PyTorch lack it
}

BatchNormOptions BatchNorm::begin_pass() const {
  const bool use_batch = is_training() || !options_.track_running_stats;
  double momentum = options_.momentum.value_or(0);
  if (!options_.momentum && is_training() && num_batches_tracked.defined())
    momentum = 1 / (num_batches_tracked.item() + 1);
  return {.training = use_batch, .momentum = momentum, .eps = options_.eps, .num_batches_tracked = num_batches_tracked};
}

Variable BatchNorm::forward(const Variable& x, Activation activation) const {
  AR_CHECK(x.rank() >= min_rank_ && x.rank() <= max_rank_, type_name(), ": x must have ", min_rank_,
           min_rank_ < max_rank_ ? text(" or ", max_rank_) : "", " dimensions, it is ", x.shape());
  BatchNormOptions options = begin_pass();
  options.activation = activation;
  return batch_norm(x, running_mean, running_var, weight, bias, options);
}

std::string BatchNorm::describe() const {
  const Options& o = options_;
  return text(o.features, ", eps=", o.eps, ", momentum=", o.momentum ? text(*o.momentum) : "None",
              ", affine=", yes_no(o.affine), ", track_running_stats=", yes_no(o.track_running_stats));
}

// ---- without state ----

Variable ReLU::forward(const Variable& x) const { return relu(x); }
Variable ReLU6::forward(const Variable& x) const { return relu6(x); }
Variable LeakyReLU::forward(const Variable& x) const { return leaky_relu(x, negative_slope_); }
std::string LeakyReLU::describe() const { return text("negative_slope=", negative_slope_); }
Variable Sigmoid::forward(const Variable& x) const { return sigmoid(x); }
Variable Tanh::forward(const Variable& x) const { return tanh(x); }
Variable Softmax::forward(const Variable& x) const { return softmax(x, dim_); }
std::string Softmax::describe() const { return text("dim=", dim_); }
Variable LogSoftmax::forward(const Variable& x) const { return log_softmax(x, dim_); }
std::string LogSoftmax::describe() const { return text("dim=", dim_); }

Variable MaxPool2d::forward(const Variable& x) const { return max_pool2d(x, options_); }
std::string MaxPool2d::describe() const {
  const Pool2dOptions& o = options_;
  return text("kernel_size=", shortest(o.kernel), ", stride=", shortest(o.stride.value_or(o.kernel)),
              ", padding=", shortest(o.padding), ", dilation=", shortest(o.dilation),
              ", ceil_mode=", yes_no(o.ceil_mode));
}
Variable AvgPool2d::forward(const Variable& x) const { return avg_pool2d(x, options_); }
std::string AvgPool2d::describe() const {
  const Pool2dOptions& o = options_;
  return text("kernel_size=", shortest(o.kernel), ", stride=", shortest(o.stride.value_or(o.kernel)),
              ", padding=", shortest(o.padding));
}
Variable AdaptiveAvgPool2d::forward(const Variable& x) const { return adaptive_avg_pool2d(x, output_size_); }
std::string AdaptiveAvgPool2d::describe() const { return "output_size=" + shortest(output_size_); }

Variable LocalResponseNorm::forward(const Variable& x) const { return local_response_norm(x, params_); }
std::string LocalResponseNorm::describe() const {
  return text(params_.size, ", alpha=", params_.alpha, ", beta=", params_.beta, ", k=", params_.k);
}

Dropout::Dropout(double p) : p_(p) { AR_CHECK(p >= 0 && p <= 1, "Dropout: p must be in [0, 1], it is ", p); }
Variable Dropout::forward(const Variable& x) const { return dropout(x, p_, is_training()); }
std::string Dropout::describe() const { return text("p=", p_); }

Variable Flatten::forward(const Variable& x) const { return flatten(x, first_, last_); }
std::string Flatten::describe() const { return text("start_dim=", first_, ", end_dim=", last_); }

}  // namespace ar::nn
