#include "autograd/loss.h"

#include "autograd/elementwise.h"
#include "autograd/reduce.h"
#include "tensor/ops_elementwise.h"
#include "tensor/ops_reduce.h"
#include "tensor/ops_softmax.h"

namespace ar {

Variable softmax(const Variable& x, int dim) {
  const Tensor y = ops::softmax(x.value(), dim, false);
  return record("softmax", y, {x}, [saved = Saved("softmax", "result", y), dim](Backward& ctx) {
    return std::vector<Tensor>{ops::softmax_backward(saved.get(), ctx.grad(), dim, false)};
  });
}

Variable log_softmax(const Variable& x, int dim) {
  const Tensor y = ops::softmax(x.value(), dim, true);
  return record("log_softmax", y, {x}, [saved = Saved("log_softmax", "result", y), dim](Backward& ctx) {
    return std::vector<Tensor>{ops::softmax_backward(saved.get(), ctx.grad(), dim, true)};
  });
}

namespace {

/// What the targets say, for x (N,C,...).
struct Targets {
  Tensor index;   // (N,...): the class, negative where it does not count
  Tensor weight;  // (N,...): the class's weight, 0 where it does not count

  /// factor / (the sum of the weights) for a mean, else the factor: () of x's dtype, with which results are multiplied.
  Tensor scale(double factor, Reduction reduction) const {
    const Tensor total = reduction == Reduction::mean ? ops::sum(weight).to(Dtype::f64)
                                                      : ones({}, {.dtype = Dtype::f64, .device = weight.device()});
    return ops::affine(ops::unary(UnaryOp::reciprocal, total), factor).to(weight.dtype());
  }
};

/// The class weights (C), or ones, as a view of x's shape.
Tensor class_weights(const Tensor& x, const Tensor& weight) {
  Dims shape = Dims::filled(x.rank(), 1);
  if (!weight.defined()) return ones(shape, x.options()).expand(x.shape());
  shape[1] = x.size(1);
  return weight.reshape(shape).expand(x.shape());
}

/// Checked on the host, which waits for targets on a GPU only where ignore_index is not negative: else these serve as
/// they are.
Tensor class_index(const char* op, const Tensor& x, const Tensor& target, const LossOptions& options) {
  if (target.device() == x.device() && !x.device().is_cpu() && options.ignore_index < 0) return target;
  const int64_t classes = x.size(1);
  std::vector<int64_t> index = target.to_vector<int64_t>();
  bool any = false;
  for (int64_t& t : index) {
    AR_CHECK((t >= 0 && t < classes) || t == options.ignore_index, op, ": target ", t, " is outside [0, ", classes,
             ") and not ignore_index (", options.ignore_index, ")");
    if (t == options.ignore_index) t = -1;
    any = any || t >= 0;
  }
  AR_CHECK(any || options.reduction != Reduction::mean, op, ": nothing to average: none of the ", index.size(),
           " targets counts");
  return from_vector(index, target.shape()).to(x.device());
}

Targets read_targets(const char* op, const Tensor& x, const Tensor& target, const LossOptions& options) {
  AR_CHECK(x.rank() >= 2, op, ": x must be (N,C) or (N,C,...), it is ", x.shape());
  AR_CHECK(target.defined() && target.dtype() == Dtype::i64, op, ": targets must be int64, they are ", target.dtype());
  Dims expected = x.shape();
  expected.erase(1);
  AR_CHECK(target.shape() == expected, op, ": x ", x.shape(), " needs targets of shape ", expected, ", not ",
           target.shape());
  const int64_t classes = x.size(1);
  if (options.weight.defined()) {
    AR_CHECK(options.weight.shape() == Dims{classes}, op, ": ", classes, " classes need weights of shape [", classes,
             "], not ", options.weight.shape());
    AR_CHECK(options.weight.dtype() == x.dtype(), op, ": weights must be ", x.dtype(), " as x is, not ",
             options.weight.dtype());
  }
  Targets t;
  t.index = class_index(op, x, target, options);
  t.weight = ops::pick(op, class_weights(x, options.weight), 1, t.index);
  return t;
}

Variable nll(const char* op, const Variable& x, const Targets& t, Reduction reduction) {
  const Tensor each = ops::mul(ops::pick(op, x.value(), 1, t.index), t.weight);
  const Tensor factor = t.scale(-1, reduction);
  const Tensor y = ops::mul(reduction == Reduction::none ? each : ops::sum(each), factor);
  return record(op, y, {x}, [t, factor, shape = x.shape(), options = x.value().options()](Backward& ctx) {
    const Tensor g = ops::mul(ops::mul(t.weight, ctx.grad()), factor);
    return std::vector<Tensor>{ops::pick_backward(g, 1, t.index, shape, options)};
  });
}

}  // namespace

Variable nll_loss(const Variable& x, const Tensor& target, const LossOptions& options) {
  AR_CHECK(options.label_smoothing == 0, "nll_loss: label smoothing is cross_entropy's");
  return nll("nll_loss", x, read_targets("nll_loss", x.value(), target, options), options.reduction);
}

Variable cross_entropy(const Variable& logits, const Tensor& target, const LossOptions& options) {
  const double eps = options.label_smoothing;
  AR_CHECK(eps >= 0 && eps <= 1, "cross_entropy: label smoothing must be in [0, 1], it is ", eps);
  const Targets t = read_targets("cross_entropy", logits.value(), target, options);
  const Variable x = log_softmax(logits, 1);
  const Variable loss = nll("cross_entropy", x, t, options.reduction);
  if (eps == 0) return loss;
  // Every class's share: -eps / C * sum over c of weight[c] * x[n,c] where target n counts.
  const Tensor counts = ops::pick("cross_entropy", class_weights(x.value(), {}), 1, t.index).unsqueeze(1);
  const Tensor share = ops::mul(ops::mul(class_weights(x.value(), options.weight), counts),
                                t.scale(-eps / double(x.size(1)), options.reduction));
  // x may be infinite where it does not count: select zeros there, which is what relu's gradient does.
  const Tensor shares = ops::unary_backward(UnaryOp::relu, counts.expand(x.shape()), ops::mul(x.value(), share));
  const Variable smooth = record("cross_entropy", shares, {x},
                                 [share](Backward& ctx) { return std::vector<Tensor>{ops::mul(share, ctx.grad())}; });
  return loss * (1 - eps) + (options.reduction == Reduction::none ? sum(smooth, {1}) : sum(smooth));
}

}  // namespace ar
