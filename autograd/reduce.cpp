#include "autograd/reduce.h"

#include "tensor/ops_elementwise.h"
#include "tensor/ops_reduce.h"
#include "tensor/ops_softmax.h"

namespace ar {
namespace {
/// The gradient of a reduction over `dims`, repeated over x's shape: a view.
Tensor spread(const Tensor& g, const Dims& shape, const Dims& dims) {
  return g.reshape_copy(ops::kept_shape(shape, dims)).expand(shape);
}
}  // namespace

Variable sum(const Variable& x, const Dims& dims, bool keepdim) {
  const Dims over = ops::reduced_dims("sum", dims, x.shape());
  return record("sum", ops::sum(x.value(), over, keepdim), {x}, [shape = x.shape(), over](Backward& ctx) {
    return std::vector<Tensor>{spread(ctx.grad(), shape, over)};
  });
}

Variable mean(const Variable& x, const Dims& dims, bool keepdim) {
  AR_CHECK(is_floating(x.dtype()), "mean: x must be floating, it is ", x.dtype());
  const Dims over = ops::reduced_dims("mean", dims, x.shape());
  int64_t count = 1;
  for (int64_t d : over) count *= x.size(int(d));
  AR_CHECK(count > 0, "mean: nothing to average: x is ", x.shape(), ", reduced over ", over);
  const Tensor y = ops::sum(x.value(), over, keepdim);
  const double share = 1 / double(count);
  ops::unary_(UnaryOp::affine, y, {share});
  return record("mean", y, {x}, [shape = x.shape(), over, share](Backward& ctx) {
    return std::vector<Tensor>{spread(ops::affine(ctx.grad(), share), shape, over)};
  });
}

Variable sum(const Variable& x) { return sum(x, Dims{}); }
Variable mean(const Variable& x) { return mean(x, Dims{}); }

Variable max(const Variable& x, int dim, bool keepdim) {
  const int d = int(ops::reduced_dims("max", {dim}, x.shape())[0]);
  AR_CHECK(x.size(d) > 0, "max: nothing to choose from: dimension ", d, " of x ", x.shape(), " is empty");
  const Tensor where = ops::arg_max(x.value(), d);
  Tensor y = ops::pick("max", x.value(), d, where);
  if (keepdim) y = y.unsqueeze(d);
  return record("max", y, {x}, [shape = x.shape(), options = x.value().options(), where, d, keepdim](Backward& ctx) {
    const Tensor g = keepdim ? ctx.grad().squeeze(d) : ctx.grad();
    return std::vector<Tensor>{ops::pick_backward(g, d, where, shape, options)};
  });
}

}  // namespace ar
