// Layers as one reads them in the equations, on plain arrays of double: what the library is compared with.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "tensor/ops_conv.h"
#include "tensor/ops_pool.h"
#include "tests/errors.h"
#include "tests/fixtures/recipe.h"

namespace reference {

/// An array (N,C,H,W), row-major.
struct Array {
  ar::Dims shape;
  std::vector<double> v;
  explicit Array(const ar::Dims& shape, double value = 0) : shape(shape), v(shape.product(), value) {}
  explicit Array(const ar::Tensor& t) : shape(t.shape()), v(t.to_vector<double>()) {}
  double& at(int64_t n, int64_t c, int64_t h, int64_t w) {
    return v[((n * shape[1] + c) * shape[2] + h) * shape[3] + w];
  }
  double at(int64_t n, int64_t c, int64_t h, int64_t w) const { return const_cast<Array*>(this)->at(n, c, h, w); }
};

/// Values in [-1, 1) that depend on the name only.
inline ar::Tensor random(const std::string& name, const ar::Dims& shape, ar::Dtype dtype,
                         ar::Layout layout = ar::Layout::channels_last, double scale = 1, double shift = 0) {
  return ar::from_vector(recipe::values(name, shape.product(), scale, shift), shape, layout).to(dtype);
}

/// |actual - expected| <= tolerance * largest |expected|, elementwise.
inline void expect_close(const ar::Tensor& actual, const ar::Dims& shape, const std::vector<double>& expected,
                         double tolerance, const std::string& what) {
  ASSERT_TRUE(actual.defined()) << what;
  ASSERT_EQ(actual.shape(), shape) << what;
  const std::vector<double> a = actual.to_vector<double>();
  double largest = 1e-3;
  for (double e : expected) largest = std::max(largest, std::abs(e));
  for (size_t i = 0; i < a.size(); ++i)
    ASSERT_LE(std::abs(a[i] - expected[i]), tolerance * largest)
        << what << ": element " << i << " is " << a[i] << ", not " << expected[i];
}
inline void expect_close(const ar::Tensor& actual, const Array& expected, double tolerance, const std::string& what) {
  expect_close(actual, expected.shape, expected.v, tolerance, what);
}
inline double tolerance(ar::Dtype dtype) { return dtype == ar::Dtype::f64 ? 1e-12 : 2e-5; }

/// Calls f(n, o, i, j, c, p, q, h, w) for each product x[n,c,h,w] * weight[o,c',p,q] that is part of y[n,o,i,j].
template <class F>
void for_conv_products(const ar::Dims& x, const ar::Dims& weight, const ar::Dims& y, const ar::Conv2dOptions& options,
                       F f) {
  const int64_t outputs_per_group = weight[0] / options.groups;
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t o = 0; o < y[1]; ++o)
      for (int64_t i = 0; i < y[2]; ++i)
        for (int64_t j = 0; j < y[3]; ++j)
          for (int64_t c = 0; c < weight[1]; ++c)
            for (int64_t p = 0; p < weight[2]; ++p)
              for (int64_t q = 0; q < weight[3]; ++q) {
                const int64_t h = i * options.stride.h + p * options.dilation.h - options.padding.top;
                const int64_t w = j * options.stride.w + q * options.dilation.w - options.padding.left;
                if (h >= 0 && h < x[2] && w >= 0 && w < x[3])
                  f(n, o, i, j, c, p, q, o / outputs_per_group * weight[1] + c, h, w);
              }
}

inline Array conv2d(const Array& x, const Array& weight, const std::vector<double>& bias,
                    const ar::Conv2dOptions& options) {
  Array y(ar::ops::conv2d_shape(x.shape, weight.shape, options));
  for_conv_products(x.shape, weight.shape, y.shape, options,
                    [&](auto n, auto o, auto i, auto j, auto c, auto p, auto q, auto channel, auto h, auto w) {
                      y.at(n, o, i, j) += x.at(n, channel, h, w) * weight.at(o, c, p, q);
                    });
  if (!bias.empty())
    for (size_t i = 0; i < y.v.size(); ++i) y.v[i] += bias[i / (y.shape[2] * y.shape[3]) % y.shape[1]];
  return y;
}

/// The gradients of conv2d, added to gx and gw.
inline void conv2d_backward(const Array& x, const Array& weight, const Array& gy, const ar::Conv2dOptions& options,
                            Array& gx, Array& gw) {
  for_conv_products(x.shape, weight.shape, gy.shape, options,
                    [&](auto n, auto o, auto i, auto j, auto c, auto p, auto q, auto channel, auto h, auto w) {
                      gx.at(n, channel, h, w) += gy.at(n, o, i, j) * weight.at(o, c, p, q);
                      gw.at(o, c, p, q) += gy.at(n, o, i, j) * x.at(n, channel, h, w);
                    });
}

/// f of each element with its channel: (c, x) -> double. Any rank with channels in dimension 1.
template <class F>
Array map_channels(const Array& x, F f) {
  Array y = x;
  const int64_t pixels = x.v.empty() ? 1 : int64_t(x.v.size()) / (x.shape[0] * x.shape[1]);
  for (size_t i = 0; i < x.v.size(); ++i) y.v[i] = f(int64_t(i) / pixels % x.shape[1], x.v[i]);
  return y;
}

/// Sums per channel.
inline std::vector<double> channel_sums(const Array& x) {
  std::vector<double> sums(x.shape[1]);
  map_channels(x, [&](int64_t c, double v) { return sums[c] += v; });
  return sums;
}

}  // namespace reference
