#include "tensor/ops_reduce.h"

#include "tensor/ops_common.h"

namespace ar::ops {
namespace {

constexpr const char* kReduceNames[] = {"sum", "max", "min"};
static_assert(std::size(kReduceNames) == size_t(ReduceOp::count));

/// A fresh result, and the same memory with x's rank for the kernel.
struct Result {
  Tensor y, kept;
};
Result reduced_result(const Tensor& x, const Dims& dims, bool keepdim, Dtype dtype) {
  const Dims kept = kept_shape(x.shape(), dims);
  Dims shape = kept;
  if (!keepdim)
    for (int i = dims.size() - 1; i >= 0; --i) shape.erase(int(dims[i]));
  TensorOptions options = x.options();
  options.dtype = dtype;
  Result r;
  r.y = r.kept = empty(shape, options);
  if (!keepdim)
    for (int64_t d : dims) r.kept = r.kept.unsqueeze(int(d));
  return r;
}

}  // namespace

Dims reduced_dims(const char* op, const Dims& dims, const Dims& shape) {
  bool reduced[kMaxRank] = {};
  for (int64_t d : dims) {
    bool& seen = reduced[checked_dim(op, d, shape)];
    AR_CHECK(!seen, op, ": a dimension appears twice in ", dims, " for shape ", shape);
    seen = true;
  }
  Dims result;
  for (int d = 0; d < shape.size(); ++d)
    if (dims.empty() || reduced[d]) result.push_back(d);
  return result;
}

Dims kept_shape(const Dims& shape, const Dims& dims) {
  Dims kept = shape;
  for (int64_t d : dims) kept[int(d)] = 1;
  return kept;
}

Tensor reduce(ReduceOp op, const Tensor& x, const Dims& dims, bool keepdim) {
  const char* name = kReduceNames[int(op)];
  AR_CHECK(x.defined(), name, ": an undefined tensor");
  const auto kernel = kernel_for(kernels_of(x).reduce, x.dtype(), name, kernels_of(x).name);
  const Dims over = reduced_dims(name, dims, x.shape());
  const Result r = reduced_result(x, over, keepdim, x.dtype());
  if (x.numel()) {
    kernel(op, x.view(), r.kept.writable());
  } else if (r.y.numel()) {
    AR_CHECK(op == ReduceOp::sum, name, ": nothing to choose from: x is ", x.shape(), ", reduced over ", over);
    r.y.fill(0);
  }
  return r.y;
}

Tensor sum_to(const Tensor& x, const Dims& shape) {
  if (x.shape() == shape) return x;
  const int added = x.rank() - shape.size();
  Dims over;
  for (int d = 0; d < x.rank(); ++d)
    if (d < added || (shape[d - added] == 1 && x.size(d) != 1)) over.push_back(d);
  return sum(x, over, true).reshape(shape);
}

Tensor arg_max(const Tensor& x, int dim, bool keepdim) {
  AR_CHECK(x.defined(), "arg_max: an undefined tensor");
  const int d = checked_dim("arg_max", dim, x.shape());
  AR_CHECK(x.size(d) > 0, "arg_max: dimension ", d, " of shape ", x.shape(), " is empty");
  const auto kernel = kernel_for(kernels_of(x).arg_max, x.dtype(), "arg_max", kernels_of(x).name);
  const Result r = reduced_result(x, {d}, keepdim, Dtype::i64);
  if (x.numel()) kernel(d, x.view(), r.kept.writable());
  return r.y;
}

}  // namespace ar::ops
