// Convolution by plain kernels: a thread for each result, channels fastest, so a warp reads a run of weights or
// gradients and one shared pixel. For what no library takes, and for the emulation's.
#pragma once
#include "cuda/each.h"
#include "cuda/images.h"
#include "cuda/libraries.h"

namespace ar::cuda {

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

/// x, w and y as the pass has them, two read and one written.
template <class S>
void plain_convolution(Pass pass, const ConvParams& p, const View& x, const View& w, const View& y, bool accumulate) {
  if (pass == Pass::backward_weight)
    return each_item(w.numel(), BackwardWeight<S>{{p, Image<S>(x), Image<S>(y), Image<Compute<S>>(w), accumulate}});
  const Conv<S> conv{p, Image<S>(x), Image<S>(y), Image<S>(w), accumulate};
  if (pass == Pass::forward)
    each_item(y.numel(), Forward<S>{conv});
  else
    each_item(x.numel(), BackwardData<S>{conv});
}

/// A view of this shape that is dense in channels-last order: images as cuDNN's kernels want them, and weights
/// (O,KH,KW,C/groups).
inline View channels_last_like(const View& w, void* data) {
  View v = w;
  v.data = data;
  v.strides[1] = 1, v.strides[3] = w.shape[1], v.strides[2] = w.shape[3] * v.strides[3];
  v.strides[0] = w.shape[2] * v.strides[2];
  return v;
}
inline bool is_channels_last(const View& w) {
  const View wanted = channels_last_like(w, w.data);
  for (int d = 0; d < 4; ++d)
    if (w.shape[d] != 1 && w.strides[d] != wanted.strides[d]) return false;
  return true;
}
/// As cuDNN's kernels want images above all: without gaps, from a multiple of 16 bytes on.
inline bool lies_well(const View& v) {
  return is_channels_last(v) && reinterpret_cast<std::uintptr_t>(v.data) % 16 == 0;
}

}  // namespace ar::cuda
