// What each kernel is called in a profile, and how many operations and bytes its arguments stand for. kernels.h says
// what the kernels compute.
#pragma once
#include <string>

#include "tensor/kernels.h"

namespace ar::profile::detail {

struct Cost {
  std::string kind;
  double flops = 0;  // 0: bound by memory, not counted
};

/// Elements that a view touches: a broadcast one (stride 0) counts once.
inline double elements(const View& v) {
  double n = v.data ? 1 : 0;
  for (int i = 0; i < v.rank; ++i) n *= v.strides[i] == 0 && v.shape[i] > 0 ? 1.0 : double(v.shape[i]);
  return n;
}
inline double bytes_of(const View& v) { return elements(v) * double(size_of(v.dtype)); }
inline double bytes_of(const ConvGate& gate) { return bytes_of(gate.x); }
template <class T>
double bytes_of(const T&) {
  return 0;
}

// ---- convolutions and products ----

/// Of activations x, weights w (O,C/groups,KH,KW), results y: 2 operations for each weight and pixel of y.
inline Cost convolution(const char* suffix, const ConvParams& p, const View& x, const View& w, const View& y) {
  const std::string kernel = std::to_string(w.shape[2]) + "x" + std::to_string(w.shape[3]);
  const bool one_pixel = x.shape[2] * x.shape[3] == 1 && w.shape[2] * w.shape[3] == 1;
  const bool depthwise = p.groups > 1 && w.shape[1] == 1;
  std::string kind = one_pixel ? "linear" : (depthwise ? "depthwise " : "conv ") + kernel;
  if (p.stride_h > 1 || p.stride_w > 1) kind += " stride " + std::to_string(p.stride_h);
  const double pixels = double(y.shape[0]) * double(y.shape[2]) * double(y.shape[3]);
  return {kind + suffix, 2 * pixels * elements(w)};
}

// One function an entry of the table; the first argument only tells which.
template <auto Entry>
struct Tag {};

inline Cost cost(Tag<&Kernels::conv2d>, const ConvParams& p, const View& x, const View& w, const void*, const View& y,
                 const ConvReader&, const ConvEpilogue&) {
  return convolution("", p, x, w, y);
}
inline Cost cost(Tag<&Kernels::conv2d_backward_data>, const ConvParams& p, const View& gy, const View& w, const void*,
                 const View& gx, bool, const ConvGate&) {
  return convolution(" data gradient", p, gx, w, gy);
}
inline Cost cost(Tag<&Kernels::conv2d_backward_weight>, const ConvParams& p, const View& x, const View& gy,
                 const View& gw, bool, const ConvReader&) {
  return convolution(" weight gradient", p, x, gw, gy);
}
inline Cost cost(Tag<&Kernels::gemm>, const View& a, const View&, const View& c, bool) {
  return {"matrix product", 2 * double(c.numel()) * double(a.shape[a.rank - 1])};
}

// ---- the rest is bound by memory ----

#define AR_PROFILE_NAME(entry, name)             \
  template <class... A>                          \
  Cost cost(Tag<&Kernels::entry>, const A&...) { \
    return {name};                               \
  }
AR_PROFILE_NAME(copy, "copy")
AR_PROFILE_NAME(fill, "fill")
AR_PROFILE_NAME(unary, "elementwise")
AR_PROFILE_NAME(unary_backward, "elementwise gradient")
AR_PROFILE_NAME(binary, "elementwise")
AR_PROFILE_NAME(axpby, "elementwise")
AR_PROFILE_NAME(dropout, "dropout")
AR_PROFILE_NAME(uniform, "random numbers")
AR_PROFILE_NAME(normal, "random numbers")
AR_PROFILE_NAME(any_nonfinite, "search for NaN")
AR_PROFILE_NAME(reduce, "reduction")
AR_PROFILE_NAME(arg_max, "reduction")
AR_PROFILE_NAME(conv2d_pack, "packing of weights")
AR_PROFILE_NAME(channel_sums, "norm sums")
AR_PROFILE_NAME(channel_affine, "norm scale and shift")
AR_PROFILE_NAME(channel_gate, "norm gradient")
AR_PROFILE_NAME(channel_affine_add, "norm gradient, last part")
AR_PROFILE_NAME(norm_forward, "norm numbers")
AR_PROFILE_NAME(norm_backward, "norm numbers")
AR_PROFILE_NAME(norm_relu_pool2, "norm, relu, 2x2 mean")
AR_PROFILE_NAME(norm_relu_pool2_backward, "norm, relu, 2x2 mean gradient")
AR_PROFILE_NAME(max_pool2d, "max pool")
AR_PROFILE_NAME(max_pool2d_backward, "max pool gradient")
AR_PROFILE_NAME(avg_pool2d, "average pool")
AR_PROFILE_NAME(avg_pool2d_backward, "average pool gradient")
AR_PROFILE_NAME(adaptive_avg_pool2d, "average pool")
AR_PROFILE_NAME(adaptive_avg_pool2d_backward, "average pool gradient")
AR_PROFILE_NAME(lrn, "local response norm")
AR_PROFILE_NAME(lrn_backward, "local response norm gradient")
AR_PROFILE_NAME(softmax, "softmax and loss")
AR_PROFILE_NAME(softmax_backward, "softmax and loss gradient")
AR_PROFILE_NAME(pick, "softmax and loss")
AR_PROFILE_NAME(pick_backward, "softmax and loss gradient")
AR_PROFILE_NAME(lstm_cell, "lstm cell")
AR_PROFILE_NAME(lstm_cell_backward, "lstm cell gradient")
AR_PROFILE_NAME(normalize_frames, "pixels to numbers")
AR_PROFILE_NAME(sgd, "optimiser")
AR_PROFILE_NAME(adam, "optimiser")
AR_PROFILE_NAME(sgd_many, "optimiser")
AR_PROFILE_NAME(adam_many, "optimiser")
AR_PROFILE_NAME(clip_norm, "clipping of gradients")
#undef AR_PROFILE_NAME

}  // namespace ar::profile::detail
