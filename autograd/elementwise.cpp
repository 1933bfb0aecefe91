#include "autograd/elementwise.h"

#include "autograd/checkpoint.h"
#include "tensor/live_numbers.h"
#include "tensor/ops_elementwise.h"
#include "tensor/ops_reduce.h"

namespace ar {

// ---- of two operands: gradients are summed over what broadcasting repeated ----

Variable add(const Variable& a, const Variable& b) {
  Tensor y = ops::add(a.value(), b.value());
  return record("add", y, {a, b}, [sa = a.shape(), sb = b.shape()](Backward& ctx) {
    std::vector<Tensor> gx(2);
    if (ctx.wanted(0)) gx[0] = ops::sum_to(ctx.grad(), sa);
    if (ctx.wanted(1)) gx[1] = ops::sum_to(ctx.grad(), sb);
    return gx;
  });
}

Variable sub(const Variable& a, const Variable& b) {
  Tensor y = ops::sub(a.value(), b.value());
  return record("sub", y, {a, b}, [sa = a.shape(), sb = b.shape()](Backward& ctx) {
    std::vector<Tensor> gx(2);
    if (ctx.wanted(0)) gx[0] = ops::sum_to(ctx.grad(), sa);
    if (ctx.wanted(1)) gx[1] = ops::affine(ops::sum_to(ctx.grad(), sb), -1);
    return gx;
  });
}

Variable mul(const Variable& a, const Variable& b) {
  Tensor y = ops::mul(a.value(), b.value());
  const Saved sa("mul", "a", a.value()), sb("mul", "b", b.value());
  return record("mul", y, {a, b}, [sa, sb](Backward& ctx) {
    std::vector<Tensor> gx(2);
    if (ctx.wanted(0)) gx[0] = ops::sum_to(ops::mul(ctx.grad(), sb.get()), sa.shape());
    if (ctx.wanted(1)) gx[1] = ops::sum_to(ops::mul(ctx.grad(), sa.get()), sb.shape());
    return gx;
  });
}

Variable div(const Variable& a, const Variable& b) {
  Tensor y = ops::div(a.value(), b.value());
  const Saved sa("div", "a", a.value()), sb("div", "b", b.value());
  return record("div", y, {a, b}, [sa, sb](Backward& ctx) {
    std::vector<Tensor> gx(2);
    const Tensor g = ops::div(ctx.grad(), sb.get());
    if (ctx.wanted(0)) gx[0] = ops::sum_to(g, sa.shape());
    if (ctx.wanted(1)) gx[1] = ops::affine(ops::sum_to(ops::div(ops::mul(g, sa.get()), sb.get()), sb.shape()), -1);
    return gx;
  });
}

namespace {
/// With s = sign(a - b): the share of a is (1 + s) / 2 for the maximum and (1 - s) / 2 for the minimum.
Variable larger_or_smaller(const char* op, BinaryOp kind, const Variable& a, const Variable& b) {
  Tensor y = ops::binary(kind, a.value(), b.value());
  const Saved sa(op, "a", a.value()), sb(op, "b", b.value());
  const double side = kind == BinaryOp::max ? 0.5 : -0.5;
  return record(op, y, {a, b}, [sa, sb, side](Backward& ctx) {
    const Tensor signed_g = ops::unary_backward(UnaryOp::abs, ops::sub(sa.get(), sb.get()), ctx.grad());
    const auto share = [&](double s, const Dims& shape) {
      const Tensor g = ops::affine(signed_g, s);
      ops::axpby_(0.5, ctx.grad(), 1, g);
      return ops::sum_to(g, shape);
    };
    std::vector<Tensor> gx(2);
    if (ctx.wanted(0)) gx[0] = share(side, sa.shape());
    if (ctx.wanted(1)) gx[1] = share(-side, sb.shape());
    return gx;
  });
}
}  // namespace

Variable maximum(const Variable& a, const Variable& b) { return larger_or_smaller("maximum", BinaryOp::max, a, b); }
Variable minimum(const Variable& a, const Variable& b) { return larger_or_smaller("minimum", BinaryOp::min, a, b); }

Variable affine(const Variable& x, double a, double b) {
  return record("affine", ops::affine(x.value(), a, b), {x},
                [a](Backward& ctx) { return std::vector<Tensor>{ops::affine(ctx.grad(), a)}; });
}

Variable cast(const Variable& x, Dtype dtype) {
  if (x.dtype() == dtype) return x;
  AR_CHECK(is_floating(x.dtype()) && is_floating(dtype), "cast: ", x.dtype(), " to ", dtype, ": both must be floating");
  return record("cast", x.value().to(dtype), {x},
                [from = x.dtype()](Backward& ctx) { return std::vector<Tensor>{ctx.grad().to(from)}; });
}

// ---- of one operand: the kernels know each function and its gradient ----

namespace {
Variable unary(const char* op, UnaryOp kind, const Variable& x, Params params = {}) {
  Tensor y = ops::unary(kind, x.value(), params);
  const Saved saved = unary_saves_output(kind) ? Saved(op, "result", y) : Saved(op, "input", x.value());
  return record(op, y, {x}, [kind, params, saved](Backward& ctx) {
    return std::vector<Tensor>{ops::unary_backward(kind, saved.get(), ctx.grad(), params)};
  });
}
}  // namespace

Variable relu(const Variable& x) { return unary("relu", UnaryOp::relu, x); }
Variable relu6(const Variable& x) { return unary("relu6", UnaryOp::relu6, x); }
Variable leaky_relu(const Variable& x, double slope) { return unary("leaky_relu", UnaryOp::leaky_relu, x, {slope}); }
Variable sigmoid(const Variable& x) { return unary("sigmoid", UnaryOp::sigmoid, x); }
Variable tanh(const Variable& x) { return unary("tanh", UnaryOp::tanh, x); }
Variable exp(const Variable& x) { return unary("exp", UnaryOp::exp, x); }
Variable log(const Variable& x) { return unary("log", UnaryOp::log, x); }
Variable sqrt(const Variable& x) { return unary("sqrt", UnaryOp::sqrt, x); }
Variable square(const Variable& x) { return unary("square", UnaryOp::square, x); }
Variable abs(const Variable& x) { return unary("abs", UnaryOp::abs, x); }

Variable clamp(const Variable& x, double lo, double hi) {
  AR_CHECK(lo <= hi, "clamp: the lower bound ", lo, " is above the upper bound ", hi);
  return unary("clamp", UnaryOp::clamp, x, {lo, hi});
}

Variable dropout(const Variable& x, double p, bool training, Generator& g) {
  AR_CHECK(p >= 0 && p <= 1, "dropout: probability must be in [0, 1], it is ", p);
  if (!training || p == 0) return x;
  if (p == 1)
    return record("dropout", zeros_like(x.value()), {x},
                  [](Backward& ctx) { return std::vector<Tensor>{zeros_like(ctx.grad())}; });
  // The gradient draws the same mask again rather than keeping it.
  AR_CHECK(!recorded_numbers() || !recomputing(), "dropout: a step that is recorded cannot recompute its masks");
  const PhiloxState state = take_numbers(g, x.numel(), x.value().device());
  return record("dropout", ops::dropout(x.value(), p, state), {x},
                [p, state](Backward& ctx) { return std::vector<Tensor>{ops::dropout(ctx.grad(), p, state)}; });
}

}  // namespace ar
