// The axes along which forward convolutions and data gradients run, and the order of their taps in packed weights.
#pragma once
#include "tensor/cpu/isa/images.h"

namespace ar::cpu::AR_ISA {
namespace {

struct KernelAxis {  // one axis of a convolution
  int64_t kernel, stride, pad, dilation;
};
inline KernelAxis rows_of(const ConvParams& p, const View& w) {
  return {w.shape[2], p.stride_h, p.pad_top, p.dilation_h};
}
inline KernelAxis columns_of(const ConvParams& p, const View& w) {
  return {w.shape[3], p.stride_w, p.pad_left, p.dilation_w};
}

inline Axis forward_axis(const KernelAxis& a, int64_t in, int64_t out) {
  return {out, in, a.stride, -a.pad, a.dilation, a.kernel};
}

/// Input i = phase + stride * m receives tap u from output (i + pad - u * dilation) / stride, where that is whole: for
/// one phase these are the taps last, last - tap_step, ... (`count` of them), which meet outputs m + first, m + first +
/// step, ...
struct Phase {
  int64_t last, tap_step, count, first, step;
  int64_t tap(int64_t i) const { return last - i * tap_step; }
};
inline Phase phase_of(const KernelAxis& a, int64_t phase) {
  const int64_t g = gcd(a.stride, a.dilation);
  Phase p{-1, a.stride / g, 0, 0, a.dilation / g};
  for (int64_t u = 0; u < a.kernel; ++u)
    if ((phase + a.pad - u * a.dilation) % a.stride == 0) p.last = u, ++p.count;
  if (p.count) p.first = (phase + a.pad - p.last * a.dilation) / a.stride;
  return p;
}
inline Axis backward_axis(const KernelAxis& a, const Phase& p, int64_t phase, int64_t in, int64_t out) {
  return {in > phase ? ceil_div(in - phase, a.stride) : 0, out, 1, p.first, p.step, p.count};
}

/// f(rows, columns) for the phases in which weights are packed: forward one, with the taps in reading order.
template <class F>
inline void each_phase(ConvPack mode, const ConvParams& p, const View& w, F f) {
  const KernelAxis rows = rows_of(p, w), columns = columns_of(p, w);
  if (mode == ConvPack::forward) return f(Phase{0, -1, rows.kernel, 0, 0}, Phase{0, -1, columns.kernel, 0, 0});
  for (int64_t a = 0; a < rows.stride; ++a)
    for (int64_t b = 0; b < columns.stride; ++b) f(phase_of(rows, a), phase_of(columns, b));
}

/// groups == C: each output channel reads one input channel. Weights are packed as depthwise.h says.
inline bool depthwise(const ConvParams& p, const View& w) { return w.shape[1] == 1 && p.groups > 1; }

inline View weights_of_group(const View& w, int64_t group, int64_t groups, int64_t element_size) {
  View v = w;
  v.shape[0] = w.shape[0] / groups;
  v.data = static_cast<char*>(w.data) + group * v.shape[0] * w.strides[0] * element_size;
  return v;
}

}  // namespace
}  // namespace ar::cpu::AR_ISA
