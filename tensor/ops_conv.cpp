#include "tensor/ops_conv.h"

#include "tensor/hash.h"
#include "tensor/ops_checks.h"

namespace ar::ops {
using namespace detail;

namespace {

ConvParams params_of(const Conv2dOptions& o) {
  return {.stride_h = o.stride.h,
          .stride_w = o.stride.w,
          .pad_top = o.padding.top,
          .pad_left = o.padding.left,
          .dilation_h = o.dilation.h,
          .dilation_w = o.dilation.w,
          .groups = o.groups};
}

/// conv2d_shape, with the name of the op that asks.
Dims checked_shape(const char* op, const Dims& x, const Dims& w, const Conv2dOptions& o) {
  AR_CHECK(x.size() == 4, op, ": x must have 4 dimensions (N,C,H,W), it has shape ", x);
  AR_CHECK(w.size() == 4, op, ": weight must have 4 dimensions (O,C/groups,KH,KW), it has shape ", w);
  AR_CHECK(o.stride.h > 0 && o.stride.w > 0, op, ": stride must be positive, it is ", o.stride.h, " x ", o.stride.w);
  AR_CHECK(o.dilation.h > 0 && o.dilation.w > 0, op, ": dilation must be positive, it is ", o.dilation.h, " x ",
           o.dilation.w);
  AR_CHECK(std::min({o.padding.top, o.padding.left, o.padding.bottom, o.padding.right}) >= 0, op,
           ": padding must not be negative, it is ", o.padding.top, ", ", o.padding.left, ", ", o.padding.bottom, ", ",
           o.padding.right, " (top, left, bottom, right)");
  AR_CHECK(o.groups > 0 && w[0] % o.groups == 0, op, ": groups must divide ", w[0], " output channels, groups is ",
           o.groups, " (weight ", w, ")");
  AR_CHECK(w.product() > 0, op, ": weight ", w, " is empty");
  AR_CHECK(w[1] * o.groups == x[1], op, ": weight expects ", w[1] * o.groups, " input channels, x has ", x[1], " (x ",
           x, ", weight ", w, ")");
  const int64_t h = x[2] + o.padding.top + o.padding.bottom, kh = o.dilation.h * (w[2] - 1) + 1;
  const int64_t width = x[3] + o.padding.left + o.padding.right, kw = o.dilation.w * (w[3] - 1) + 1;
  AR_CHECK(x[2] > 0 && x[3] > 0, op, ": x has no pixels (x ", x, ")");
  AR_CHECK(kh <= h && kw <= width, op, ": the kernel covers ", kh, " x ", kw, " pixels, more than the padded input's ",
           h, " x ", width, " (x ", x, ", weight ", w, ")");
  return {x[0], w[0], (h - kh) / o.stride.h + 1, (width - kw) / o.stride.w + 1};
}

/// `out` if given, after checks, else a fresh channels-last tensor.
Tensor result(const char* op, const Dims& shape, const Tensor& like, const Tensor& out, bool accumulate) {
  if (!out.defined()) {
    AR_CHECK(!accumulate, op, ": accumulate needs an out tensor");
    return empty(shape, {.dtype = like.dtype(), .device = like.device()});
  }
  check_out(op, out, shape, like);
  AR_CHECK(channels_are_together(out), op, ": out must have channels side by side, its strides are ", out.strides());
  return out;
}

ConvReader reader_of(const char* op, const Reader& r, int64_t channels, const Tensor& x) {
  AR_CHECK(r.scale.defined() == r.shift.defined() && (r.scale.defined() || r.activation == Activation::none), op,
           ": a reader needs both scale and shift");
  return {.scale = vector_data(op, "the reader's scale", r.scale, channels, x),
          .shift = vector_data(op, "the reader's shift", r.shift, channels, x),
          .activation = r.activation,
          .slope = r.slope};
}

/// Weights in the kernels' order, for activations of `dtype`; null when they read w itself.
std::shared_ptr<Storage> packed(const char* op, ConvPack mode, const ConvParams& p, const Tensor& w, Dtype dtype,
                                Packing packing) {
  const Kernels& k = kernels_of(w);
  const auto size = kernel_for(k.conv2d_packed_size, dtype, op, k.name);
  const int64_t bytes = size(mode, p, w.view());
  if (bytes == 0) return nullptr;
  const auto make = [&] {
    auto storage = Storage::allocate(bytes, w.device());
    kernel_for(k.conv2d_pack, dtype, op, k.name)(mode, p, w.view(), storage->data());
    return storage;
  };
  if (packing == Packing::temporary) return make();
  Hash key;  // views of one storage have packings of their own
  for (int64_t v :
       {int64_t(mode), int64_t(dtype), w.offset(), p.stride_h, p.stride_w, p.dilation_h, p.dilation_w, p.groups})
    key << uint64_t(v);
  if (mode == ConvPack::backward_data) key << uint64_t(p.pad_top) << uint64_t(p.pad_left);
  key << w.shape() << w.strides();
  return w.storage()->derived(key.value(), make);
}

const void* data_of(const std::shared_ptr<Storage>& s) { return s ? s->data() : nullptr; }

}  // namespace

Dims conv2d_shape(const Dims& x, const Dims& weight, const Conv2dOptions& options) {
  return checked_shape("conv2d", x, weight, options);
}

Tensor conv2d(const Tensor& x, const Tensor& weight, const Conv2dOptions& options, const Reader& reader,
              const Epilogue& e, const Tensor& out, Packing packing) {
  const char* op = "conv2d";
  const Dims shape = checked_shape(op, x.shape(), weight.shape(), options);
  check_parameter(op, "weight", weight, x);
  const auto kernel = kernel_for(kernels_of(x).conv2d, x.dtype(), op, kernels_of(x).name);
  const ConvReader read = reader_of(op, reader, x.size(1), x);
  const int64_t channels = shape[1];
  Tensor residual = e.residual;
  if (residual.defined()) {
    check_shape(op, "residual", residual, shape);
    check_alike(op, "residual", residual, x);
    residual = channels_together(residual);
  }
  const ConvEpilogue finish{.scale = vector_data(op, "the epilogue's scale", e.scale, channels, x),
                            .shift = vector_data(op, "bias", e.shift, channels, x),
                            .residual = residual.defined() ? residual.view() : View{},
                            .activation = e.activation,
                            .slope = e.slope,
                            .sum = sum_data(op, "the epilogue's sum", e.sum, channels, x),
                            .sum_sq = sum_data(op, "the epilogue's sum_sq", e.sum_sq, channels, x)};
  const Tensor y = result(op, shape, x, out, false);
  if (y.numel() == 0) return y;
  const ConvParams p = params_of(options);
  const auto w = packed(op, ConvPack::forward, p, weight, x.dtype(), packing);
  kernel(p, channels_together(x).view(), weight.view(), data_of(w), y.writable(), read, finish);
  return y;
}

Tensor conv2d_backward_data(const Tensor& gy, const Tensor& weight, const Dims& x_shape, const Conv2dOptions& options,
                            const Gate& gate, const Tensor& out, bool accumulate, Packing packing) {
  const char* op = "conv2d_backward_data";
  const Dims shape = checked_shape(op, x_shape, weight.shape(), options);
  check_shape(op, "gradient", gy, shape);
  check_parameter(op, "weight", weight, gy);
  const auto kernel = kernel_for(kernels_of(gy).conv2d_backward_data, gy.dtype(), op, kernels_of(gy).name);
  Gate together = gate;
  if (gate.x.defined()) together.x = channels_together(gate.x);
  const ConvGate g = gate_view(op, together, x_shape, gy);
  const Tensor gx = result(op, x_shape, gy, out, accumulate);
  if (gx.numel() == 0) return gx;
  const ConvParams p = params_of(options);
  const auto w = packed(op, ConvPack::backward_data, p, weight, gy.dtype(), packing);
  kernel(p, channels_together(gy).view(), weight.view(), data_of(w), gx.writable(), accumulate, g);
  return gx;
}

Tensor conv2d_backward_weight(const Tensor& x, const Tensor& gy, const Tensor& weight, const Conv2dOptions& options,
                              const Reader& reader, const Tensor& out, bool accumulate) {
  const char* op = "conv2d_backward_weight";
  const Dims shape = checked_shape(op, x.shape(), weight.shape(), options);
  check_shape(op, "gradient", gy, shape);
  check_alike(op, "gradient", gy, x);
  const auto kernel = kernel_for(kernels_of(x).conv2d_backward_weight, x.dtype(), op, kernels_of(x).name);
  const ConvReader read = reader_of(op, reader, x.size(1), x);
  AR_CHECK(out.defined() || !accumulate, op, ": accumulate needs an out tensor");
  const Tensor gw = out.defined() ? out : empty_like(weight);
  check_parameter(op, out.defined() ? "out" : "weight", gw, x);
  check_shape(op, "out", gw, weight.shape());
  if (gy.numel() > 0)
    kernel(params_of(options), channels_together(x).view(), channels_together(gy).view(), gw.writable(), accumulate,
           read);
  else if (!accumulate)
    gw.fill(0);
  return gw;
}

}  // namespace ar::ops
