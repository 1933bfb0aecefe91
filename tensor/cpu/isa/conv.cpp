// Packing of weights, forward convolution and data gradient.
#include "tensor/cpu/isa/conv_axes.h"
#include "tensor/cpu/isa/correlate.h"
#include "tensor/cpu/isa/depthwise.h"
#include "tensor/cpu/isa/families.h"
#include "tensor/cpu/isa/panels.h"
#include "tensor/cpu/isa/winograd.h"

namespace ar::cpu::AR_ISA {
namespace {

// ---- packed weights: forward [group][panel of O][tap][C][kPanel], data gradient [group][phase][panel of
// C][tap][O][kPanel]. Weights come in the type that is computed in, bf16 is rounded here. ----

template <class T>
int64_t group_size(ConvPack mode, const ConvParams& p, const View& w) {
  const int64_t o = w.shape[0] / p.groups, c = w.shape[1], taps = w.shape[2] * w.shape[3];
  return mode == ConvPack::forward ? round_up(o, kPanel<T>) * taps * depth<T>(c)
                                   : round_up(c, kPanel<T>) * taps * depth<T>(o);
}

template <class T>
int64_t packed_size(ConvPack mode, const ConvParams& p, const View& w) {
  if (depthwise(p, w)) return depthwise_packed_size<Compute<T>>(w) * int64_t(sizeof(Compute<T>));
  if (winograd<T>(p, w)) return group_size<T>(mode, p, w) / 9 * kWinogradProducts * int64_t(sizeof(T));
  return p.groups * group_size<T>(mode, p, w) * int64_t(sizeof(T));
}

/// One panel's taps: `columns` channels from element `from` on, i_step apart.
template <class T>
void pack_taps(const View& w, const Compute<T>* from, const Phase& h, const Phase& v, int64_t k, std::ptrdiff_t k_step,
               int64_t columns, std::ptrdiff_t i_step, T* out) {
  for (int64_t i = 0; i < h.count; ++i)
    for (int64_t j = 0; j < v.count; ++j, out += depth<T>(k) * kPanel<T>)
      pack_panel(from + h.tap(i) * w.strides[2] + v.tap(j) * w.strides[3], k_step, i_step, k, columns, out);
}

template <class T>
void pack_group(ConvPack mode, const ConvParams& p, const View& w, T* out) {
  const int64_t o = w.shape[0], c = w.shape[1];
  const Compute<T>* const data = static_cast<const Compute<T>*>(w.data);
  const bool forward = mode == ConvPack::forward;
  const int64_t k = forward ? c : o, outs = forward ? o : c, panels = ceil_div(outs, kPanel<T>);
  const std::ptrdiff_t k_step = w.strides[forward ? 1 : 0], i_step = w.strides[forward ? 0 : 1];
  each_phase(mode, p, w, [&](const Phase& h, const Phase& v) {
    const int64_t panel_size = h.count * v.count * depth<T>(k) * kPanel<T>;
    parallel_for(panels, most(1, 16384 / most(1, panel_size)), [&](int64_t begin, int64_t end) {
      for (int64_t j = begin; j < end; ++j)
        pack_taps<T>(w, data + j * kPanel<T> * i_step, h, v, k, k_step, least(kPanel<T>, outs - j * kPanel<T>), i_step,
                     out + j * panel_size);
    });
    out += panels * panel_size;
  });
}

template <class T>
void pack(ConvPack mode, const ConvParams& p, const View& w, void* packed) {
  T* out = static_cast<T*>(packed);
  if (depthwise(p, w)) return depthwise_pack(mode, p, w, static_cast<Compute<T>*>(packed));
  if constexpr (kWinograd<T>) {
    if (winograd<T>(p, w)) {
      const int64_t size = group_size<T>(mode, p, w), k = w.shape[mode == ConvPack::forward ? 1 : 0];
      const Buffer<T> taps(size);
      pack_group(mode, p, w, taps.get());
      parallel_for(size / (9 * k * kPanel<T>), 1, [&](int64_t begin, int64_t end) {
        for (int64_t j = begin; j < end; ++j)
          transform_weights(taps.get() + j * 9 * k * kPanel<T>, k, out + j * kWinogradProducts * k * kPanel<T>);
      });
      return;
    }
  }
  for (int64_t g = 0; g < p.groups; ++g, out += group_size<T>(mode, p, w))
    pack_group(mode, p, weights_of_group(w, g, p.groups, sizeof(Compute<T>)), out);
}

// ---- forward ----

template <class T>
void forward(const ConvParams& p, const View& x, const View& w, const void* packed, const View& y,
             const ConvReader& reader, const ConvEpilogue& e) {
  const int64_t groups = p.groups, in = x.shape[1] / groups, out = y.shape[1] / groups;
  using W = Compute<T>;
  Filled<W> zeros, ones, shifts;
  Correlation<T> c;
  c.h = forward_axis(rows_of(p, w), x.shape[2], y.shape[2]);
  c.w = forward_axis(columns_of(p, w), x.shape[3], y.shape[3]);
  c.reader = reader_from(reader, x.shape[1], zeros);
  c.finish.residual = e.residual.data;
  if (e.residual.data) c.beside = Images<const T>(e.residual);
  c.finish.activation = e.activation;
  c.finish.slope = W(e.slope);
  if (e.scale || e.shift) {
    c.finish.scale = ones.get(e.scale, y.shape[1], W(1));
    c.finish.shift = shifts.get(e.shift, y.shape[1], W(0));
  }
  c.packed = static_cast<const T*>(packed);
  c.x = Images<const T>(x);
  c.y = Images<T>(y);
  c.sum = e.sum, c.sum_sq = e.sum_sq;
  if (depthwise(p, w)) return correlate_depthwise(c, out, 1);
  if constexpr (kWinograd<T>)
    if (winograd<T>(p, w)) return correlate_winograd(c);
  const Correlation<T> all = c;
  for (int64_t g = 0; g < groups; ++g) {
    c.x = all.x.channel_range(g * in, in);
    c.reader = all.reader.from(g * in);
    c.y = all.y.channel_range(g * out, out);
    c.beside = all.beside.channel_range(g * out, out);
    if (all.finish.scale) c.finish.scale = all.finish.scale + g * out, c.finish.shift = all.finish.shift + g * out;
    if (all.sum) c.sum = all.sum + g * out;
    if (all.sum_sq) c.sum_sq = all.sum_sq + g * out;
    correlate(c);
    c.packed += group_size<T>(ConvPack::forward, p, w);
  }
}

// ---- data gradient ----

template <class T>
void backward_data(const ConvParams& p, const View& gy, const View& w, const void* packed, const View& gx,
                   bool accumulate, const ConvGate& gate) {
  const int64_t groups = p.groups, in = gx.shape[1] / groups, out = gy.shape[1] / groups;
  const KernelAxis rows = rows_of(p, w), columns = columns_of(p, w);
  using W = Compute<T>;
  Filled<W> ones, zeros, centers;
  Correlation<T> all;
  all.x = Images<const T>(gy);
  all.y = Images<T>(gx);
  all.packed = static_cast<const T*>(packed);
  all.finish.accumulate = accumulate;
  if (gate.x.data) {
    all.beside = Images<const T>(gate.x);
    all.finish.gate = true;
    all.finish.gate_activation = gate.activation;
    all.finish.slope = W(gate.slope);
    all.finish.scale = ones.get(gate.scale, gx.shape[1], W(1));
    all.finish.shift = zeros.get(gate.shift, gx.shape[1], W(0));
    all.finish.center = centers.get(gate.center, gx.shape[1], W(0));
    all.sum = gate.sum_d, all.sum_sq = gate.sum_dx;
  }
  Correlation<T> c = all;
  // Every stride-th row and column of gx is an image of its own.
  auto phase_image = [](auto image, int64_t a, int64_t b, int64_t sh, int64_t sw) {
    if (image.data) image.data += a * image.row + b * image.pixel;
    image.height = image.height > a ? ceil_div(image.height - a, sh) : 0;
    image.width = image.width > b ? ceil_div(image.width - b, sw) : 0;
    image.row *= sh, image.pixel *= sw;
    return image;
  };
  auto each_phase = [&](const Images<T>& y, const Images<const T>& gated, auto f) {
    for (int64_t a = 0; a < rows.stride; ++a)
      for (int64_t b = 0; b < columns.stride; ++b) {
        c.h = backward_axis(rows, phase_of(rows, a), a, gx.shape[2], gy.shape[2]);
        c.w = backward_axis(columns, phase_of(columns, b), b, gx.shape[3], gy.shape[3]);
        c.y = phase_image(y, a, b, rows.stride, columns.stride);
        c.beside = phase_image(gated, a, b, rows.stride, columns.stride);
        f();
      }
  };
  if (depthwise(p, w))
    return each_phase(all.y, all.beside, [&] {
      correlate_depthwise(c, 1, out);
      c.packed += c.h.count * c.w.count * round_up(gy.shape[1], kLanes<T>) * kDepth<T>;
    });
  for (int64_t g = 0; g < groups; ++g) {
    c.x = all.x.channel_range(g * out, out);
    if (all.finish.gate) {
      c.finish.scale = all.finish.scale + g * in, c.finish.shift = all.finish.shift + g * in;
      c.finish.center = all.finish.center + g * in;
    }
    if (all.sum) c.sum = all.sum + g * in;
    if (all.sum_sq) c.sum_sq = all.sum_sq + g * in;
    each_phase(all.y.channel_range(g * in, in), all.beside.channel_range(g * in, in), [&] {
      bool done = false;
      if constexpr (kWinograd<T>)
        if ((done = winograd<T>(p, w))) correlate_winograd(c);
      if (!done) correlate(c);
      c.packed += c.panels() * c.panel_size();
    });
  }
}

}  // namespace

void add_conv(Kernels& k) {
#if defined(__AVX512BF16__)
  k.conv2d_packed_size.bf16 = packed_size<bf16>;
  k.conv2d_pack.bf16 = pack<bf16>;
  k.conv2d.bf16 = forward<bf16>;
  k.conv2d_backward_data.bf16 = backward_data<bf16>;
#else
  k.conv2d_packed_size.f32 = packed_size<float>;
  k.conv2d_packed_size.f64 = packed_size<double>;
  k.conv2d_pack.f32 = pack<float>;
  k.conv2d_pack.f64 = pack<double>;
  k.conv2d.f32 = forward<float>;
  k.conv2d.f64 = forward<double>;
  k.conv2d_backward_data.f32 = backward_data<float>;
  k.conv2d_backward_data.f64 = backward_data<double>;
#endif
}

}  // namespace ar::cpu::AR_ISA
