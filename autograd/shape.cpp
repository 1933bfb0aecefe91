#include "autograd/shape.h"

#include "tensor/ops_common.h"
#include "tensor/ops_reduce.h"
#include "tensor/ops_shape.h"

namespace ar {

Variable reshape(const Variable& x, const Dims& shape) {
  return record("reshape", x.value().reshape_copy(shape), {x},
                [shape = x.shape()](Backward& ctx) { return std::vector<Tensor>{ctx.grad().reshape_copy(shape)}; });
}

Variable flatten(const Variable& x, int first, int last) {
  const int from = ops::checked_dim("flatten", first, x.shape()), to = ops::checked_dim("flatten", last, x.shape());
  AR_CHECK(from <= to, "flatten: dimension ", first, " comes after ", last, " in shape ", x.shape());
  Dims shape(x.shape().begin(), x.shape().begin() + from);
  shape.push_back(Dims(x.shape().begin() + from, x.shape().begin() + to + 1).product());
  for (int d = to + 1; d < x.rank(); ++d) shape.push_back(x.size(d));
  return reshape(x, shape);
}

Variable permute(const Variable& x, const Dims& order) {
  const Tensor y = x.value().permute(order);
  Dims inverse = order;
  for (int i = 0; i < order.size(); ++i) inverse[ops::checked_dim("permute", order[i], order)] = i;
  return record("permute", y, {x},
                [inverse](Backward& ctx) { return std::vector<Tensor>{ctx.grad().permute(inverse)}; });
}

Variable transpose(const Variable& x, int a, int b) {
  return record("transpose", x.value().transpose(a, b), {x},
                [a, b](Backward& ctx) { return std::vector<Tensor>{ctx.grad().transpose(a, b)}; });
}

Variable narrow(const Variable& x, int dim, int64_t start, int64_t length) {
  return record("narrow", x.value().narrow(dim, start, length), {x},
                [shape = x.shape(), options = x.value().options(), dim, start, length](Backward& ctx) {
                  const Tensor gx = zeros(shape, options);
                  gx.narrow(dim, start, length).copy_from(ctx.grad());
                  return std::vector<Tensor>{gx};
                });
}

Variable select(const Variable& x, int dim, int64_t index) {
  return record("select", x.value().select(dim, index), {x},
                [shape = x.shape(), options = x.value().options(), dim, index](Backward& ctx) {
                  const Tensor gx = zeros(shape, options);
                  gx.select(dim, index).copy_from(ctx.grad());
                  return std::vector<Tensor>{gx};
                });
}

Variable expand(const Variable& x, const Dims& shape) {
  return record("expand", x.value().expand(shape), {x},
                [shape = x.shape()](Backward& ctx) { return std::vector<Tensor>{ops::sum_to(ctx.grad(), shape)}; });
}

Variable squeeze(const Variable& x, int dim) {
  const int d = ops::checked_dim("squeeze", dim, x.shape());
  return record("squeeze", x.value().squeeze(d), {x},
                [d](Backward& ctx) { return std::vector<Tensor>{ctx.grad().unsqueeze(d)}; });
}

Variable unsqueeze(const Variable& x, int dim) {
  const Tensor y = x.value().unsqueeze(dim);
  const int d = ops::checked_dim("unsqueeze", dim, y.shape());
  return record("unsqueeze", y, {x}, [d](Backward& ctx) { return std::vector<Tensor>{ctx.grad().squeeze(d)}; });
}

Variable cat(const std::vector<Variable>& xs, int dim) {
  std::vector<Tensor> values;
  for (const Variable& x : xs) values.push_back(x.value());
  const Tensor y = ops::cat(values, dim);
  const int at = ops::checked_dim("cat", dim, y.shape());
  std::vector<int64_t> sizes;
  for (const Tensor& v : values) sizes.push_back(v.size(at));
  return record("cat", y, xs, [sizes, at](Backward& ctx) {
    std::vector<Tensor> gx(sizes.size());
    int64_t start = 0;
    for (size_t i = 0; i < sizes.size(); ++i) {
      if (ctx.wanted(int(i))) gx[i] = ctx.grad().narrow(at, start, sizes[i]);
      start += sizes[i];
    }
    return gx;
  });
}

Variable stack(const std::vector<Variable>& xs, int dim) {
  std::vector<Tensor> values;
  for (const Variable& x : xs) values.push_back(x.value());
  const Tensor y = ops::stack(values, dim);
  const int at = ops::checked_dim("stack", dim, y.shape());
  return record("stack", y, xs, [count = xs.size(), at](Backward& ctx) {
    std::vector<Tensor> gx(count);
    for (size_t i = 0; i < count; ++i)
      if (ctx.wanted(int(i))) gx[i] = ctx.grad().select(at, int64_t(i));
    return gx;
  });
}

Variable fold_time(const Variable& x) {
  const Tensor y = ops::fold_time(x.value());
  return record("fold_time", y, {x}, [frames = x.size(2)](Backward& ctx) {
    return std::vector<Tensor>{ops::unfold_time(ctx.grad(), frames)};
  });
}

}  // namespace ar
