// Convolution. What surrounds one (reader, epilogue, gate) are passes of their own here; the convolution itself is a
// matrix product where it is one (1x1: the rows are the pixels, a leading dimension skips the channels that are not
// read), else cuDNN's, else one of the plain kernels below: a thread for each result, channels fastest, so a warp reads
// a run of weights or gradients and one shared pixel.
#include "cuda/affine.h"
#include "cuda/each.h"
#include "cuda/families.h"
#include "cuda/images.h"
#include "cuda/libraries.h"

namespace ar::cuda {
namespace {

// ---- plain kernels ----

/// Pixels of type S, weights of type W: beside halves, weights come as packed halves and their gradients are f32.
template <class S, class W = S>
struct Conv {
  ConvParams p;
  Image<S> x, y;
  Image<W> w;
  bool accumulate;

  /// The position in x that tap k of output o reads along one side.
  AR_HD int64_t row_of(int64_t o, int64_t k) const { return o * p.stride_h - p.pad_top + k * p.dilation_h; }
  AR_HD int64_t column_of(int64_t o, int64_t k) const { return o * p.stride_w - p.pad_left + k * p.dilation_w; }
  template <class R>
  AR_HD void store(R& to, double v) const {
    to = narrow<R>(Compute<R>(accumulate ? v + double(widen(to)) : v));
  }
};

// y[n,o,oh,ow] = sum over c, kh, kw of w[o,c,kh,kw] x[n, c of o's group, row(oh,kh), column(ow,kw)]
template <class S>
struct Forward : Conv<S> {
  AR_HD void operator()(int64_t i) const {
    const Place o = this->y.place(i);
    const int64_t channels = this->w.channels, first = o.c / (this->w.images / this->p.groups) * channels;
    Sum<Compute<S>> sum;
    for (int64_t kh = 0; kh < this->w.height; ++kh)
      for (int64_t kw = 0; kw < this->w.width; ++kw) {
        const int64_t h = this->row_of(o.h, kh), w = this->column_of(o.w, kw);
        if (h < 0 || w < 0 || h >= this->x.height || w >= this->x.width) continue;
        for (int64_t c = 0; c < channels; ++c)
          sum.add(widen(this->w.at(o.c, c, kh, kw)) * widen(this->x.at(o.n, first + c, h, w)));
      }
    this->store(this->y.at(o), sum.total());
  }
};

// x[n,c,h,w] = sum over the outputs and taps that read it of w[o,c,kh,kw] y[n,o,oh,ow]
template <class S>
struct BackwardData : Conv<S> {
  AR_HD void operator()(int64_t i) const {
    const ConvParams& p = this->p;
    const Place at = this->x.place(i);
    const int64_t outputs = this->w.images / p.groups, group = at.c / this->w.channels;
    Sum<Compute<S>> sum;
    for (int64_t kh = 0; kh < this->w.height; ++kh) {
      const int64_t h = at.h + p.pad_top - kh * p.dilation_h;
      if (h < 0 || h % p.stride_h != 0 || h / p.stride_h >= this->y.height) continue;
      for (int64_t kw = 0; kw < this->w.width; ++kw) {
        const int64_t w = at.w + p.pad_left - kw * p.dilation_w;
        if (w < 0 || w % p.stride_w != 0 || w / p.stride_w >= this->y.width) continue;
        for (int64_t o = group * outputs; o < (group + 1) * outputs; ++o)
          sum.add(widen(this->w.at(o, at.c % this->w.channels, kh, kw)) *
                  widen(this->y.at(at.n, o, h / p.stride_h, w / p.stride_w)));
      }
    }
    this->store(this->x.at(at), sum.total());
  }
};

// w[o,c,kh,kw] = sum over n, oh, ow of y[n,o,oh,ow] x[n, c of o's group, row(oh,kh), column(ow,kw)]
template <class S>
struct BackwardWeight : Conv<S, Compute<S>> {
  AR_HD void operator()(int64_t i) const {
    const Place k = this->w.place(i);
    const int64_t c = k.n / (this->w.images / this->p.groups) * this->w.channels + k.c;
    Sum<Compute<S>> sum;
    for (int64_t n = 0; n < this->y.images; ++n)
      for (int64_t oh = 0; oh < this->y.height; ++oh) {
        const int64_t h = this->row_of(oh, k.h);
        if (h < 0 || h >= this->x.height) continue;
        for (int64_t ow = 0; ow < this->y.width; ++ow) {
          const int64_t w = this->column_of(ow, k.w);
          if (w < 0 || w >= this->x.width) continue;
          sum.add(widen(this->y.at(n, k.n, oh, ow)) * widen(this->x.at(n, c, h, w)));
        }
      }
    this->store(this->w.at(k), sum.total());
  }
};

// ---- which of the three ways ----

/// A view of this shape that is dense in channels-last order: for weights (O,KH,KW,C/groups), as cuDNN wants them.
View channels_last_like(const View& w, void* data) {
  View v = w;
  v.data = data;
  v.strides[1] = 1, v.strides[3] = w.shape[1], v.strides[2] = w.shape[3] * v.strides[3];
  v.strides[0] = w.shape[2] * v.strides[2];
  return v;
}
bool is_channels_last(const View& w) {
  const View wanted = channels_last_like(w, w.data);
  for (int d = 0; d < 4; ++d)
    if (w.shape[d] != 1 && w.strides[d] != wanted.strides[d]) return false;
  return true;
}

/// Is the convolution a product of matrices: do pixels correspond one to one, in rows of one step each?
bool is_product(const ConvParams& p, const View& x, const View& w, const View& y, int64_t& x_row, int64_t& y_row,
                int64_t& pixels) {
  if (w.shape[2] != 1 || w.shape[3] != 1 || p.stride_h != 1 || p.stride_w != 1 || p.groups != 1) return false;
  if (p.pad_top != 0 || p.pad_left != 0 || x.shape[2] != y.shape[2] || x.shape[3] != y.shape[3]) return false;
  const Walk<2> walk = make_walk<2>({&x, &y}, Order::memory, ~(1u << 1));
  if (walk.rank > 1) return false;
  pixels = walk.numel;
  x_row = walk.rank ? walk.strides[0][0] : x.shape[1];
  y_row = walk.rank ? walk.strides[1][0] : y.shape[1];
  return true;
}

/// x, w and y as the pass has them, two read and one written.
template <class S>
void convolution(Pass pass, const ConvParams& p, const View& x, const View& w, const View& y, bool accumulate) {
  int64_t x_row = 0, y_row = 0, pixels = 0;
  if (is_product(p, x, w, y, x_row, y_row, pixels)) {
    const int64_t in = w.shape[1], out = w.shape[0], wo = w.strides[0], wc = w.strides[1];
    const Product::Matrix xs{x.data, 0, x_row, 1}, ys{y.data, 0, y_row, 1};
    if (pass == Pass::forward)  // (pixels,C) x (C,O)
      product({y.dtype, y.dtype, 1, pixels, out, in, xs, {w.data, 0, wc, wo}, ys, accumulate});
    else if (pass == Pass::backward_data)  // (pixels,O) x (O,C)
      product({y.dtype, y.dtype, 1, pixels, in, out, ys, {w.data, 0, wo, wc}, xs, accumulate});
    else  // (O,pixels) x (pixels,C)
      product({y.dtype, w.dtype, 1, out, in, pixels, {y.data, 0, 1, y_row}, xs, {w.data, 0, wo, wc}, accumulate});
    return;
  }
  if (is_channels_last(w) && library_convolution(pass, p, x, w, y, accumulate)) return;
  if (pass == Pass::backward_weight)
    return each_item(w.numel(), BackwardWeight<S>{{p, Image<S>(x), Image<S>(y), Image<Compute<S>>(w), accumulate}});
  const Conv<S> conv{p, Image<S>(x), Image<S>(y), Image<S>(w), accumulate};
  if (pass == Pass::forward)
    each_item(y.numel(), Forward<S>{conv});
  else
    each_item(x.numel(), BackwardData<S>{conv});
}

// ---- what surrounds it ----

const Kernels kChannels = [] {
  Kernels k;
  add_channels(k);
  return k;
}();

/// x' = activation(x scale + shift), for the time of a call: cuDNN reads no scaled input.
template <class S>
class ReadInput {
 public:
  ReadInput(const View& x, const ConvReader& reader)
      : memory_(reader.scale ? x.numel() * int64_t(sizeof(S)) : 0), view_(x) {
    if (!reader.scale) return;
    view_ = channels_last_like(x, memory_.as<S>());
    kChannels.channel_affine[x.dtype](x, reader.scale, reader.shift, {}, reader.activation, reader.slope, view_);
  }
  const View& view() const { return view_; }

 private:
  Scratch memory_;
  View view_;
};

/// The weights as the kernels read them: of the pixels' type.
View weights_of(const View& w, const void* packed, Dtype dtype) {
  View v = packed ? channels_last_like(w, const_cast<void*>(packed)) : w;
  v.dtype = dtype;
  return v;
}

template <class S>
void conv2d(const ConvParams& p, const View& x, const View& w, const void* packed, const View& y,
            const ConvReader& reader, const ConvEpilogue& e) {
  if (y.numel() == 0) return;
  const ReadInput<S> read(x, reader);
  const View weights = weights_of(w, packed, x.dtype);
  // The residual is added before the activation but after scale and shift: only without these, and where it lies in y
  // already, can the convolution itself add to it. With these it must not be written over.
  const bool in_y = e.residual.data == y.data, adds = in_y && !e.scale && !e.shift, apart = in_y && !adds;
  const bool residual = e.residual.data && !adds;
  const Scratch memory(apart ? y.numel() * int64_t(sizeof(S)) : 0);
  const View sums = apart ? channels_last_like(y, memory.as<S>()) : y;
  convolution<S>(Pass::forward, p, read.view(), weights, sums, adds);
  if (!residual && !e.scale && !e.shift && e.activation == Activation::none) {
    if (e.sum || e.sum_sq) kChannels.channel_sums[y.dtype](y, e.sum, e.sum_sq);
    return;
  }
  affine<S, MomentSums>(sums, e.scale, e.shift, residual ? e.residual : View{}, e.activation, e.slope, y, e.sum,
                        e.sum_sq);
}

template <class S>
void conv2d_backward_data(const ConvParams& p, const View& gy, const View& w, const void* packed, const View& gx,
                          bool accumulate, const ConvGate& gate) {
  if (gx.numel() == 0) return;
  const View weights = weights_of(w, packed, gx.dtype);
  if (!gate.x.data) return convolution<S>(Pass::backward_data, p, gx, weights, gy, accumulate);
  const Scratch memory(gx.numel() * int64_t(sizeof(S)));
  const View ungated = channels_last_like(gx, memory.as<S>());
  convolution<S>(Pass::backward_data, p, ungated, weights, gy, false);
  kChannels.channel_gate[gx.dtype](ungated, gx, accumulate, gate);
}

template <class S>
void conv2d_backward_weight(const ConvParams& p, const View& x, const View& gy, const View& gw, bool accumulate,
                            const ConvReader& reader) {
  if (gw.numel() == 0) return;
  const ReadInput<S> read(x, reader);
  convolution<S>(Pass::backward_weight, p, read.view(), gw, gy, accumulate);
}

/// Bytes. Packed weights are of the pixels' type and dense in channels-last order; what is so already is used as it is.
template <class S>
int64_t packed_size(ConvPack, const ConvParams&, const View& w) {
  return w.dtype == dtype_of<S>() && is_channels_last(w) ? 0 : w.numel() * int64_t(sizeof(S));
}
template <class S>
void pack(ConvPack, const ConvParams&, const View& w, void* packed) {
  Kernels table;
  add_copy(table);
  View to = channels_last_like(w, packed);
  to.dtype = dtype_of<S>();
  table.copy(w, to);
}

}  // namespace

void add_conv(Kernels& k) {
  k.conv2d_packed_size = {.bf16 = &packed_size<bf16>, .f32 = &packed_size<float>, .f64 = &packed_size<double>};
  k.conv2d_pack = {.bf16 = &pack<bf16>, .f32 = &pack<float>, .f64 = &pack<double>};
  k.conv2d = {.bf16 = &conv2d<bf16>, .f32 = &conv2d<float>, .f64 = &conv2d<double>};
  k.conv2d_backward_data = {
      .bf16 = &conv2d_backward_data<bf16>, .f32 = &conv2d_backward_data<float>, .f64 = &conv2d_backward_data<double>};
  k.conv2d_backward_weight = {.bf16 = &conv2d_backward_weight<bf16>,
                              .f32 = &conv2d_backward_weight<float>,
                              .f64 = &conv2d_backward_weight<double>};
}

}  // namespace ar::cuda
