#include "tensor/ops_pool.h"

#include <limits>

#include "tensor/ops_checks.h"

namespace ar::ops {
using namespace detail;

namespace {

void check_image(const char* op, const Dims& x) {
  AR_CHECK(x.size() == 4, op, ": x must have 4 dimensions (N,C,H,W), it has shape ", x);
  AR_CHECK(x[1] > 0 && x[2] > 0 && x[3] > 0, op, ": x has no pixels (x ", x, ")");
}

PoolParams params_of(const Pool2dOptions& o) {
  const Pair stride = o.stride.value_or(o.kernel);
  return {.kernel_h = o.kernel.h,
          .kernel_w = o.kernel.w,
          .stride_h = stride.h,
          .stride_w = stride.w,
          .pad_h = o.padding.h,
          .pad_w = o.padding.w,
          .dilation_h = o.dilation.h,
          .dilation_w = o.dilation.w,
          .count_include_pad = o.count_include_pad};
}

int64_t windows(int64_t size, int64_t covered, int64_t stride, int64_t pad, bool ceil_mode) {
  const int64_t room = size + 2 * pad - covered + (ceil_mode ? stride - 1 : 0);
  if (room < 0) return 0;
  const int64_t n = room / stride + 1;
  return ceil_mode && (n - 1) * stride >= size + pad ? n - 1 : n;  // none starts in the far padding
}

Dims pooled_shape(const char* op, const Dims& x, const Pool2dOptions& o) {
  check_image(op, x);
  const PoolParams p = params_of(o);
  AR_CHECK(p.kernel_h > 0 && p.kernel_w > 0, op, ": kernel must be positive, it is ", p.kernel_h, " x ", p.kernel_w);
  AR_CHECK(p.stride_h > 0 && p.stride_w > 0, op, ": stride must be positive, it is ", p.stride_h, " x ", p.stride_w);
  AR_CHECK(p.dilation_h > 0 && p.dilation_w > 0, op, ": dilation must be positive, it is ", p.dilation_h, " x ",
           p.dilation_w);
  const int64_t kh = p.dilation_h * (p.kernel_h - 1) + 1, kw = p.dilation_w * (p.kernel_w - 1) + 1;
  AR_CHECK(p.pad_h >= 0 && p.pad_w >= 0 && p.pad_h <= kh / 2 && p.pad_w <= kw / 2, op,
           ": padding must lie between 0 and half of the window's ", kh, " x ", kw, " pixels, it is ", p.pad_h, " x ",
           p.pad_w);
  const Dims shape{x[0], x[1], windows(x[2], kh, p.stride_h, p.pad_h, o.ceil_mode),
                   windows(x[3], kw, p.stride_w, p.pad_w, o.ceil_mode)};
  AR_CHECK(shape[2] > 0 && shape[3] > 0, op, ": the window covers ", kh, " x ", kw,
           " pixels, more than the padded input's ", x[2] + 2 * p.pad_h, " x ", x[3] + 2 * p.pad_w, " (x ", x, ")");
  return shape;
}

Dims avg_pooled_shape(const char* op, const Dims& x, const Pool2dOptions& o) {
  AR_CHECK(o.dilation.h == 1 && o.dilation.w == 1, op, ": dilation is for max pooling only, it is ", o.dilation.h,
           " x ", o.dilation.w);
  return pooled_shape(op, x, o);
}

Tensor result(const char* op, const Dims& shape, const Tensor& like, const Tensor& out) {
  if (!out.defined()) return empty(shape, {.dtype = like.dtype(), .device = like.device()});
  check_out(op, out, shape, like);
  return out;
}

}  // namespace

Dims max_pool2d_shape(const Dims& x, const Pool2dOptions& options) { return pooled_shape("max_pool2d", x, options); }

MaxPool2dResult max_pool2d(const Tensor& x, const Pool2dOptions& options, const Tensor& out, bool with_indices) {
  const char* op = "max_pool2d";
  const Dims shape = pooled_shape(op, x.shape(), options);
  AR_CHECK(x.size(2) * x.size(3) <= std::numeric_limits<int32_t>::max(), op, ": x has more pixels than an index counts",
           " (x ", x.shape(), ")");
  const auto kernel = kernel_for(kernels_of(x).max_pool2d, x.dtype(), op, kernels_of(x).name);
  MaxPool2dResult r{result(op, shape, x, out), {}};
  if (with_indices) r.indices = empty(shape, {.dtype = Dtype::i32, .device = x.device()});
  if (r.y.numel()) kernel(params_of(options), x.view(), r.y.writable(), with_indices ? r.indices.writable() : View());
  return r;
}

Tensor max_pool2d_backward(const Tensor& gy, const Tensor& indices, const Dims& x_shape, const Pool2dOptions& options) {
  const char* op = "max_pool2d_backward";
  check_shape(op, "indices", indices, pooled_shape(op, x_shape, options));
  AR_CHECK(indices.dtype() == Dtype::i32, op, ": indices must be int32, they are ", indices.dtype());
  check_shape(op, "gradient", gy, indices.shape());
  const auto kernel = kernel_for(kernels_of(gy).max_pool2d_backward, gy.dtype(), op, kernels_of(gy).name);
  const Tensor gx = result(op, x_shape, gy, {});
  if (gx.numel()) kernel(params_of(options), gy.view(), indices.view(), gx.writable());
  return gx;
}

Tensor avg_pool2d(const Tensor& x, const Pool2dOptions& options, const Tensor& out) {
  const char* op = "avg_pool2d";
  const Dims shape = avg_pooled_shape(op, x.shape(), options);
  const auto kernel = kernel_for(kernels_of(x).avg_pool2d, x.dtype(), op, kernels_of(x).name);
  const Tensor y = result(op, shape, x, out);
  if (y.numel()) kernel(params_of(options), x.view(), y.writable());
  return y;
}

Tensor avg_pool2d_backward(const Tensor& gy, const Dims& x_shape, const Pool2dOptions& options) {
  const char* op = "avg_pool2d_backward";
  check_shape(op, "gradient", gy, avg_pooled_shape(op, x_shape, options));
  const auto kernel = kernel_for(kernels_of(gy).avg_pool2d_backward, gy.dtype(), op, kernels_of(gy).name);
  const Tensor gx = result(op, x_shape, gy, {});
  if (gx.numel()) kernel(params_of(options), gy.view(), gx.writable());
  return gx;
}

Tensor adaptive_avg_pool2d(const Tensor& x, Pair output_size, const Tensor& out) {
  const char* op = "adaptive_avg_pool2d";
  check_image(op, x.shape());
  AR_CHECK(output_size.h > 0 && output_size.w > 0, op, ": output size must be positive, it is ", output_size.h, " x ",
           output_size.w);
  const auto kernel = kernel_for(kernels_of(x).adaptive_avg_pool2d, x.dtype(), op, kernels_of(x).name);
  const Tensor y = result(op, {x.size(0), x.size(1), output_size.h, output_size.w}, x, out);
  if (y.numel()) kernel(x.view(), y.writable());
  return y;
}

Tensor adaptive_avg_pool2d_backward(const Tensor& gy, const Dims& x_shape) {
  const char* op = "adaptive_avg_pool2d_backward";
  check_image(op, x_shape);
  AR_CHECK(gy.rank() == 4, op, ": gradient must have 4 dimensions, it has shape ", gy.shape());
  check_shape(op, "gradient", gy, {x_shape[0], x_shape[1], gy.size(2), gy.size(3)});
  const auto kernel = kernel_for(kernels_of(gy).adaptive_avg_pool2d_backward, gy.dtype(), op, kernels_of(gy).name);
  const Tensor gx = result(op, x_shape, gy, {});
  if (gx.numel()) kernel(gy.view(), gx.writable());
  return gx;
}

}  // namespace ar::ops
