// Convolution by its definition: f64 loops one can read, over logical (N,C,H,W) arrays.
#pragma once
#include <vector>

#include "tensor/kernels.h"

namespace ar::testing {

struct Shape4 {
  int64_t n = 0, c = 0, h = 0, w = 0;
  int64_t size() const { return n * c * h * w; }
  int64_t at(int64_t i, int64_t j, int64_t k, int64_t l) const { return ((i * c + j) * h + k) * w + l; }
};

/// A logical array of doubles.
struct Values {
  Shape4 shape;
  std::vector<double> v;
  explicit Values(Shape4 s) : shape(s), v(std::size_t(s.size()), 0.0) {}
  double& operator()(int64_t n, int64_t c, int64_t h, int64_t w) { return v[std::size_t(shape.at(n, c, h, w))]; }
  double operator()(int64_t n, int64_t c, int64_t h, int64_t w) const { return v[std::size_t(shape.at(n, c, h, w))]; }
};

/// Calls f(n, o, oh, ow, c, ih, iw, kh, kw) for each product of a convolution; c counts all input channels.
template <class F>
void for_products(const ConvParams& p, Shape4 x, Shape4 w, Shape4 y, F f) {
  const int64_t out = w.n / p.groups;
  for (int64_t n = 0; n < y.n; ++n)
    for (int64_t o = 0; o < y.c; ++o)
      for (int64_t oh = 0; oh < y.h; ++oh)
        for (int64_t ow = 0; ow < y.w; ++ow)
          for (int64_t c = 0; c < w.c; ++c)
            for (int64_t kh = 0; kh < w.h; ++kh)
              for (int64_t kw = 0; kw < w.w; ++kw) {
                const int64_t ih = oh * p.stride_h - p.pad_top + kh * p.dilation_h;
                const int64_t iw = ow * p.stride_w - p.pad_left + kw * p.dilation_w;
                if (ih >= 0 && ih < x.h && iw >= 0 && iw < x.w) f(n, o, oh, ow, o / out * w.c + c, ih, iw, kh, kw);
              }
}

inline Values reference_forward(const ConvParams& p, const Values& x, const Values& w, Shape4 y) {
  Values r(y);
  for_products(p, x.shape, w.shape, y,
               [&](auto n, auto o, auto oh, auto ow, auto c, auto ih, auto iw, auto kh, auto kw) {
                 r(n, o, oh, ow) += x(n, c, ih, iw) * w(o, c % w.shape.c, kh, kw);
               });
  return r;
}
inline Values reference_backward_data(const ConvParams& p, const Values& gy, const Values& w, Shape4 x) {
  Values r(x);
  for_products(p, x, w.shape, gy.shape,
               [&](auto n, auto o, auto oh, auto ow, auto c, auto ih, auto iw, auto kh, auto kw) {
                 r(n, c, ih, iw) += gy(n, o, oh, ow) * w(o, c % w.shape.c, kh, kw);
               });
  return r;
}
inline Values reference_backward_weight(const ConvParams& p, const Values& x, const Values& gy, Shape4 w) {
  Values r(w);
  for_products(p, x.shape, w, gy.shape,
               [&](auto n, auto o, auto oh, auto ow, auto c, auto ih, auto iw, auto kh, auto kw) {
                 r(o, c % w.c, kh, kw) += x(n, c, ih, iw) * gy(n, o, oh, ow);
               });
  return r;
}

}  // namespace ar::testing
