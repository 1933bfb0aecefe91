#include "autograd/matmul.h"

#include "autograd/shape.h"
#include "tensor/ops_matmul.h"
#include "tensor/ops_reduce.h"

namespace ar {

Variable matmul(const Variable& a, const Variable& b) {
  if (a.rank() > 2 && b.rank() == 2) {
    // One product of all rows: faster than many small ones, and b's gradient is summed on the way.
    Dims shape = a.shape();
    const int64_t rows = Dims(shape.begin(), shape.end() - 1).product();
    const Variable y = matmul(reshape(a, {rows, shape.back()}), b);
    shape[shape.size() - 1] = b.size(1);
    return reshape(y, shape);
  }
  const Saved sa("matmul", "a", a.value()), sb("matmul", "b", b.value());
  return record("matmul", ops::matmul(a.value(), b.value()), {a, b}, [sa, sb](Backward& ctx) {
    std::vector<Tensor> gx(2);
    if (ctx.wanted(0)) gx[0] = ops::sum_to(ops::matmul(ctx.grad(), sb.get().transpose(-1, -2)), sa.shape());
    if (ctx.wanted(1)) gx[1] = ops::sum_to(ops::matmul(sa.get().transpose(-1, -2), ctx.grad()), sb.shape());
    return gx;
  });
}

}  // namespace ar
