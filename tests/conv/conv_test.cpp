// The convolution kernels of every instruction set against the definition. All numbers are small multiples of powers of
// two, so sums are exact in f32 too and one wrong or missing product shows. In bf16 what is read is exact as well, and
// what is written is rounded once.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <tuple>
#include <vector>

#include "tensor/parallel.h"
#include "tests/activation.h"
#include "tests/conv/memory.h"
#include "tests/conv/reference.h"
#include "tests/kernels/kernel_test.h"

namespace ar::testing {
namespace {

/// A case: x, w and y, and how wide the tensors around x and y are.
struct Case {
  Shape4 x, w, y;
  ConvParams p;
  int64_t x_extra = 0, y_extra = 0;  // more channels in memory than in the view
  int64_t row_gap = 0;               // elements after each row
  bool w_channels_last = false;
};
std::ostream& operator<<(std::ostream& out, const Shape4& s) {
  return out << '[' << s.n << ',' << s.c << ',' << s.h << ',' << s.w << ']';
}
std::ostream& operator<<(std::ostream& out, const Case& c) {
  return out << "x " << c.x << " w " << c.w << " y " << c.y << " stride " << c.p.stride_h << ',' << c.p.stride_w
             << " pad " << c.p.pad_top << ',' << c.p.pad_left << " dilation " << c.p.dilation_h << ',' << c.p.dilation_w
             << " groups " << c.p.groups << " extra " << c.x_extra << ',' << c.y_extra << " gap " << c.row_gap
             << (c.w_channels_last ? " w channels last" : "");
}

/// The case of a kernel with the usual output size.
Case usual(int64_t n, int64_t c, int64_t h, int64_t w, int64_t o, int64_t k, int64_t stride = 1, int64_t pad = 0,
           int64_t dilation = 1, int64_t groups = 1) {
  Case r;
  r.x = {n, c, h, w};
  r.w = {o, c / groups, k, k};
  auto size = [&](int64_t in) {
    const int64_t reach = in + 2 * pad - (k - 1) * dilation - 1;
    return reach < 0 ? 0 : reach / stride + 1;
  };
  r.y = {n, o, size(h), size(w)};
  r.p = {stride, stride, pad, pad, dilation, dilation, groups};
  return r;
}
Case in_wider(Case c, int64_t x_extra, int64_t y_extra, int64_t row_gap) {
  c.x_extra = x_extra, c.y_extra = y_extra, c.row_gap = row_gap;
  return c;
}

/// Multiples of 1/8 in [-1, 1], seldom 0.
Values numbers(Shape4 s, unsigned seed) {
  Values r(s);
  std::mt19937 gen(seed);
  for (double& v : r.v) v = double(int(gen() % 17) - 8) / 8;
  return r;
}
template <class T>
std::vector<T> channel_numbers(int64_t n, unsigned seed, double largest = 1) {
  std::vector<T> r(static_cast<std::size_t>(n));
  std::mt19937 gen(seed);
  for (T& v : r) v = T((int(gen() % 9) - 4) * largest / 4);
  return r;
}

constexpr double kSlope = 0.25, kPast6 = 8;  // factors of this size bring numbers past relu6's bend

::testing::AssertionResult same(const Values& got, const Values& want, double tolerance = 0) {
  for (int64_t i = 0; i < want.shape.size(); ++i) {
    const double g = got.v[std::size_t(i)], w = want.v[std::size_t(i)];
    if (!(std::abs(g - w) <= tolerance * (1 + std::abs(w)))) {
      const int64_t x = i % want.shape.w, y = i / want.shape.w % want.shape.h;
      const int64_t c = i / (want.shape.w * want.shape.h) % want.shape.c;
      return ::testing::AssertionFailure()
             << "at channel " << c << ", row " << y << ", column " << x << " of image "
             << i / (want.shape.w * want.shape.h * want.shape.c) << ": " << g << ", expected " << w;
    }
  }
  return ::testing::AssertionSuccess();
}

/// As T holds it.
template <class T>
Values rounded(Values v) {
  if constexpr (std::is_same_v<T, bf16>)
    for (double& e : v.v) e = number(as<T>(e));
  return v;
}

template <class T>
struct Entries {  // one element type's column of the table
  const Kernels& k;
  auto size() const { return k.conv2d_packed_size[dtype_of<T>()]; }
  auto pack() const { return k.conv2d_pack[dtype_of<T>()]; }
  auto forward() const { return k.conv2d[dtype_of<T>()]; }
  auto data() const { return k.conv2d_backward_data[dtype_of<T>()]; }
  auto weight() const { return k.conv2d_backward_weight[dtype_of<T>()]; }

  std::vector<std::byte> packed(ConvPack mode, const ConvParams& p, const View& w) const {
    std::vector<std::byte> r(std::size_t(size()(mode, p, w)), std::byte(0xff));  // NaN
    pack()(mode, p, w, r.data());
    T unwritten, v;
    std::memset(&unwritten, 0xff, sizeof(T));
    bool all = true;
    for (std::size_t i = 0; i < r.size(); i += sizeof(T)) {
      std::memcpy(&v, r.data() + i, sizeof(T));
      all &= std::memcmp(&v, &unwritten, sizeof(T)) != 0;
    }
    EXPECT_TRUE(all) << "packed weights were not all written";
    return r;
  }
};

constexpr double kStatistics = 1e-5;  // f32 within a band

template <class T>
void check_forward(const Entries<T>& k, const Case& c, unsigned seed) {
  const Values x = numbers(c.x, seed), w = numbers(c.w, seed + 1);
  const Nhwc<T> xs(x, c.x_extra, c.row_gap);
  const Weights<Parameter<T>> ws(w, c.w_channels_last);
  const auto packed = k.packed(ConvPack::forward, c.p, ws.view());
  {
    Nhwc<T> y(c.y, c.y_extra, c.row_gap);
    k.forward()(c.p, xs.view(), ws.view(), packed.data(), y.view(), {}, {});
    EXPECT_TRUE(same(y.values(), rounded<T>(reference_forward(c.p, x, w, c.y)))) << "plain";
    EXPECT_TRUE(y.surroundings_intact()) << "plain";
  }
  // With everything: a reader, scale, shift, residual, activation, statistics.
  using P = Parameter<T>;
  const std::vector<P> rs = channel_numbers<P>(c.x.c, seed + 2, kPast6);
  const std::vector<P> rh = channel_numbers<P>(c.x.c, seed + 3, kPast6);
  const std::vector<P> es = channel_numbers<P>(c.y.c, seed + 4), eh = channel_numbers<P>(c.y.c, seed + 5);
  const bool scale = seed % 3, residual = seed % 5 > 1, in_place = seed % 5 > 3;
  const Activation reading = Activation((seed + 1) % 4);
  Values read = x;
  for (int64_t i = 0; i < c.x.size(); ++i) {
    const int64_t ch = i / (c.x.h * c.x.w) % c.x.c;
    double& v = read.v[std::size_t(i)];
    v = activated(reading, v * double(rs[std::size_t(ch)]) + double(rh[std::size_t(ch)]), kSlope);
  }
  const Values before = numbers(c.y, seed + 6);
  ConvEpilogue e;
  if (scale) e.scale = es.data();
  e.shift = eh.data();
  e.activation = Activation(seed % 4);
  e.slope = kSlope;
  Values want = reference_forward(c.p, read, w, c.y);
  std::vector<double> sum(std::size_t(c.y.c), 1.0), sum_sq(std::size_t(c.y.c), 2.0), size(std::size_t(c.y.c), 0.0);
  for (int64_t i = 0; i < c.y.size(); ++i) {
    const auto ch = std::size_t(i / (c.y.h * c.y.w) % c.y.c);
    double& v = want.v[std::size_t(i)];
    v = v * (scale ? double(es[ch]) : 1) + double(eh[ch]);
    if (residual) v += before.v[std::size_t(i)];
    v = activated(e.activation, v, kSlope);
    sum[ch] += v, sum_sq[ch] += v * v, size[ch] += std::abs(v);
  }
  for (int threads : {1, 2, 3, 2}) {
    set_num_threads(threads);
    Nhwc<T> y(before, c.y_extra, c.row_gap);
    const Nhwc<T> beside(before, c.y_extra + 3, 2 * c.row_gap);
    if (residual) e.residual = in_place ? y.view() : beside.view();
    std::vector<double> s(std::size_t(c.y.c), 1.0), q(std::size_t(c.y.c), 2.0);
    e.sum = s.data(), e.sum_sq = q.data();
    k.forward()(c.p, xs.view(), ws.view(), packed.data(), y.view(), {rs.data(), rh.data(), reading, kSlope}, e);
    EXPECT_TRUE(same(y.values(), rounded<T>(want))) << "fused, " << threads << " threads";
    EXPECT_TRUE(y.surroundings_intact()) << "fused";
    for (std::size_t i = 0; i < s.size(); ++i) {
      EXPECT_NEAR(s[i], sum[i], kStatistics * (1 + size[i])) << "sum of channel " << i;
      EXPECT_NEAR(q[i], sum_sq[i], kStatistics * (1 + sum_sq[i])) << "sum of squares of channel " << i;
    }
  }
  set_num_threads(2);
}

template <class T>
void check_backward_data(const Entries<T>& k, const Case& c, unsigned seed) {
  const Values gy = numbers(c.y, seed), w = numbers(c.w, seed + 1);
  const Nhwc<T> gys(gy, c.y_extra, c.row_gap);
  const Weights<Parameter<T>> ws(w, c.w_channels_last);
  const auto packed = k.packed(ConvPack::backward_data, c.p, ws.view());
  const Values plain = reference_backward_data(c.p, gy, w, c.x);
  {
    Nhwc<T> gx(c.x, c.x_extra, c.row_gap);
    k.data()(c.p, gys.view(), ws.view(), packed.data(), gx.view(), false, {});
    EXPECT_TRUE(same(gx.values(), rounded<T>(plain))) << "plain";
    EXPECT_TRUE(gx.surroundings_intact()) << "plain";
  }
  const Values x = numbers(c.x, seed + 2), before = numbers(c.x, seed + 3);
  const Nhwc<T> xs(x, c.x_extra + 2, 2 * c.row_gap);
  using P = Parameter<T>;
  const std::vector<P> scale = channel_numbers<P>(c.x.c, seed + 4, kPast6);
  const std::vector<P> shift = channel_numbers<P>(c.x.c, seed + 5, kPast6);
  const std::vector<P> center = channel_numbers<P>(c.x.c, seed + 6);
  const bool centered = seed % 4 > 1;
  const bool accumulate = seed % 2;
  const Activation activation = Activation(seed / 2 % 4);
  Values want = before;
  std::vector<double> sum_d(std::size_t(c.x.c), 1.0), sum_dx(std::size_t(c.x.c), 2.0), size(std::size_t(c.x.c), 0.0);
  for (int64_t i = 0; i < c.x.size(); ++i) {
    const auto ch = std::size_t(i / (c.x.h * c.x.w) % c.x.c), at = std::size_t(i);
    const double d =
        plain.v[at] * activation_slope(activation, x.v[at] * double(scale[ch]) + double(shift[ch]), kSlope);
    want.v[at] = d * double(scale[ch]) + (accumulate ? before.v[at] : 0);
    sum_d[ch] += d, sum_dx[ch] += d * (x.v[at] - (centered ? double(center[ch]) : 0)), size[ch] += std::abs(d);
  }
  for (int threads : {1, 2, 3}) {
    set_num_threads(threads);
    Nhwc<T> gx(before, c.x_extra, c.row_gap);
    std::vector<double> d(std::size_t(c.x.c), 1.0), dx(std::size_t(c.x.c), 2.0);
    ConvGate gate;
    gate.x = xs.view();
    gate.scale = scale.data(), gate.shift = shift.data();
    gate.activation = activation, gate.slope = kSlope;
    gate.sum_d = d.data(), gate.sum_dx = dx.data();
    if (centered) gate.center = center.data();
    if (c.x.size() > 0) {
      k.data()(c.p, gys.view(), ws.view(), packed.data(), gx.view(), accumulate, gate);
      EXPECT_TRUE(same(gx.values(), rounded<T>(want))) << "gated, " << threads << " threads";
      EXPECT_TRUE(gx.surroundings_intact()) << "gated";
      for (std::size_t i = 0; i < d.size(); ++i) {
        EXPECT_NEAR(d[i], sum_d[i], kStatistics * (1 + size[i])) << "sum_d of channel " << i;
        EXPECT_NEAR(dx[i], sum_dx[i], kStatistics * (1 + size[i])) << "sum_dx of channel " << i;
      }
    }
  }
  set_num_threads(2);
}

template <class T>
void check_backward_weight(const Entries<T>& k, const Case& c, unsigned seed) {
  const Values x = numbers(c.x, seed), gy = numbers(c.y, seed + 1);
  const Nhwc<T> xs(x, c.x_extra, c.row_gap), gys(gy, c.y_extra, c.row_gap);
  using P = Parameter<T>;
  const std::vector<P> scale = channel_numbers<P>(c.x.c, seed + 2, kPast6);
  const std::vector<P> shift = channel_numbers<P>(c.x.c, seed + 3, kPast6);
  const Activation activation = Activation((seed + 1) % 4);
  for (bool reader : {false, true})
    for (bool accumulate : {false, true}) {
      Values read = x, before = numbers(c.w, seed + 4);
      if (reader)
        for (int64_t i = 0; i < c.x.size(); ++i) {
          const auto ch = std::size_t(i / (c.x.h * c.x.w) % c.x.c);
          read.v[std::size_t(i)] =
              activated(activation, read.v[std::size_t(i)] * double(scale[ch]) + double(shift[ch]), kSlope);
        }
      Values want = reference_backward_weight(c.p, read, gy, c.w);
      for (std::size_t i = 0; i < want.v.size(); ++i) {
        if (accumulate) want.v[i] += before.v[i];
        if (!accumulate) before.v[i] = std::numeric_limits<double>::quiet_NaN();
      }
      for (int threads : {1, 2, 3}) {
        set_num_threads(threads);
        Weights<Parameter<T>> gw(before, c.w_channels_last);
        ConvReader r;
        if (reader) r = {scale.data(), shift.data(), activation, kSlope};
        k.weight()(c.p, xs.view(), gys.view(), gw.view(), accumulate, r);
        EXPECT_TRUE(same(gw.values(), want))
            << "reader " << reader << " accumulate " << accumulate << ", " << threads << " threads";
      }
    }
  set_num_threads(2);
}

std::vector<Case> cases() {
  std::vector<Case> all = {
      // 1x1: tails of pixels and channels, runs that break at rows and images, strides
      usual(1, 1, 1, 1, 1, 1),
      usual(2, 3, 5, 7, 5, 1),
      usual(1, 48, 14, 14, 64, 1),
      in_wider(usual(2, 48, 7, 7, 33, 1), 5, 31, 0),
      in_wider(usual(3, 17, 5, 3, 70, 1), 1, 2, 7),
      usual(2, 40, 9, 9, 32, 1, 2),
      in_wider(usual(2, 33, 15, 14, 64, 1, 2), 3, 0, 4),
      usual(1, 64, 29, 28, 32, 1),
      usual(1, 260, 6, 5, 16, 1),
      in_wider(usual(3, 271, 9, 9, 21, 1), 8, 1, 3),  // wide: weight gradients lie by tiles, in several blocks
      usual(2, 300, 15, 15, 40, 1, 2),
      usual(1, 19, 1, 1, 200, 1),
      usual(2, 6, 4, 4, 6, 1, 1, 1),  // a padded 1x1
      // 3x3
      usual(1, 3, 5, 5, 4, 3, 1, 1),
      usual(2, 32, 7, 7, 32, 3, 1, 1),
      in_wider(usual(2, 48, 14, 14, 32, 3, 1, 1), 16, 48, 0),
      in_wider(usual(1, 20, 20, 20, 40, 3, 1, 1), 1, 1, 3),
      usual(3, 16, 1, 1, 16, 3, 1, 1),
      usual(3, 16, 2, 2, 48, 3, 1, 1),
      usual(3, 17, 3, 4, 5, 3, 1, 1),
      usual(1, 8, 16, 33, 65, 3, 1, 0),
      usual(2, 32, 14, 14, 64, 3, 2, 1),
      usual(1, 31, 15, 13, 33, 3, 2, 1),
      usual(1, 12, 12, 12, 12, 3, 3, 2),
      usual(1, 16, 13, 13, 16, 3, 1, 2, 2),
      usual(1, 16, 15, 15, 16, 3, 2, 2, 2),
      usual(1, 16, 15, 15, 16, 3, 2, 3, 3),
      usual(1, 4, 9, 9, 4, 3, 4, 6, 6),
      usual(1, 256, 4, 4, 40, 3, 1, 1),  // rows of 1 KB
      // 3x3 in 2x2 tiles of outputs: odd sizes, tiles that hang over, paddings, tails of channels, several blocks and
      // images, tiles of several rows and images in one block
      usual(1, 32, 1, 1, 32, 3, 1, 1),
      usual(5, 40, 1, 1, 33, 3, 1, 2),
      usual(4, 33, 7, 7, 47, 3, 1, 1),
      usual(3, 33, 9, 13, 47, 3, 1, 1),
      in_wider(usual(3, 32, 5, 9, 64, 3, 1, 0), 3, 5, 2),
      in_wider(usual(2, 37, 3, 3, 35, 3, 1, 2), 1, 31, 4),
      in_wider(usual(1, 64, 2, 31, 70, 3, 1, 1), 32, 2, 0),
      in_wider(usual(1, 36, 31, 1, 32, 3, 1, 1), 0, 0, 3),
      usual(1, 128, 20, 18, 32, 3, 1, 1),
      usual(1, 32, 26, 26, 40, 3, 1, 1),
      usual(2, 16, 9, 8, 20, 3, 1, 1),
      usual(1, 32, 4, 4, 32, 3, 1, 5),
      // large kernels, few channels: the stems
      usual(2, 3, 31, 29, 64, 7, 2, 3),
      usual(1, 3, 35, 35, 24, 11, 4, 2),
      usual(1, 1, 20, 20, 6, 5, 1, 2),
      usual(1, 2, 9, 8, 3, 9, 1, 4),
      // padding wider than the image, nothing but padding, kernels wider than the image
      usual(1, 5, 2, 2, 7, 3, 1, 5),
      usual(1, 4, 3, 3, 4, 2, 3, 4),
      usual(1, 3, 2, 2, 2, 7, 1, 3),
      // groups and depthwise
      usual(2, 32, 7, 7, 64, 3, 1, 1, 1, 2),
      usual(1, 12, 9, 9, 18, 3, 2, 1, 1, 3),
      in_wider(usual(2, 32, 9, 9, 32, 3, 1, 1, 1, 32), 4, 2, 3),
      usual(2, 19, 8, 8, 19, 3, 2, 1, 1, 19),
      usual(1, 7, 8, 8, 21, 3, 1, 1, 1, 7),
      usual(1, 6, 9, 10, 12, 5, 2, 3, 2, 6),
      // depthwise, pixels on cache lines: read where they lie
      usual(2, 32, 7, 7, 32, 3, 1, 1, 1, 32),
      usual(1, 96, 14, 15, 96, 3, 2, 1, 1, 96),
      usual(1, 64, 11, 9, 64, 5, 1, 2, 1, 64),
      usual(2, 32, 13, 12, 32, 3, 2, 3, 2, 32),
      usual(1, 32, 9, 16, 32, 3, 3, 2, 1, 32),
      in_wider(usual(1, 19, 8, 6, 19, 3, 1, 1, 1, 19), 45, 2, 0),
      // nothing at all
      usual(0, 4, 5, 5, 4, 3, 1, 1),
      usual(2, 0, 5, 5, 4, 3, 1, 1),
      usual(2, 4, 5, 5, 0, 3, 1, 1),
      usual(2, 4, 0, 5, 4, 3, 1, 1),
      usual(2, 4, 2, 2, 4, 3, 1, 0),
  };
  // asymmetric in everything
  Case a;
  a.x = {2, 10, 11, 17}, a.w = {20, 10, 2, 5}, a.y = {2, 20, 6, 7};
  a.p = {2, 3, 1, 4, 3, 1, 1};
  a.x_extra = 2, a.y_extra = 3, a.row_gap = 5;
  all.push_back(a);
  // 3x3 with unlike paddings on all sides
  Case b = in_wider(usual(2, 35, 9, 10, 34, 3), 3, 1, 2);
  b.p.pad_top = 2, b.p.pad_left = 0;
  b.y.h = 9 + 2 + 1 - 2, b.y.w = 10 + 0 + 3 - 2;
  all.push_back(b);
  b.p.pad_top = 0, b.p.pad_left = 3;
  b.y.h = 9 + 0 + 1 - 2, b.y.w = 10 + 3 - 2 - 2;  // the last two columns are not read
  all.push_back(b);
  // a last panel of each width, in whole tiles of pixels
  for (int64_t out : {3, 8, 11, 16, 21, 24, 29, 36}) all.push_back(usual(1, 5, 14, 12, out, 1));
  for (std::size_t i = 0; i < all.size(); ++i) all[i].w_channels_last = i % 2;
  return all;
}

/// Small shapes of all kinds.
Case random_case(unsigned seed) {
  std::mt19937 gen(seed);
  auto upto = [&](int64_t lo, int64_t hi) { return lo + int64_t(gen() % unsigned(hi - lo + 1)); };
  Case c;
  const int64_t groups = upto(0, 3) ? 1 : upto(1, 4);
  const int64_t in = upto(1, gen() % 2 ? 40 : 5), out = upto(1, gen() % 2 ? 70 : 9);
  c.w = {out * groups, in, upto(1, 4), upto(1, 4)};
  c.x = {upto(1, 3), in * groups, upto(1, 17), upto(1, 17)};
  c.p = {upto(1, 3), upto(1, 3), upto(0, 3), upto(0, 3), upto(1, 3), upto(1, 3), groups};
  c.y = {c.x.n, out * groups, upto(1, 9), upto(1, 17)};  // bottom and right padding are what they turn out to be
  c.x_extra = upto(0, 2), c.y_extra = upto(0, 2), c.row_gap = upto(0, 1) * 3;
  c.w_channels_last = gen() % 2;
  if (seed % 4 == 0) {  // 3x3 over every pixel, channels enough for tiles of outputs
    c.w = {upto(16, 70), upto(16, 50), 3, 3};
    c.x.c = c.w.c, c.y.c = c.w.n;
    c.p = {1, 1, c.p.pad_top, c.p.pad_left, 1, 1, 1};
  }
  if (seed % 4 == 1) {  // depthwise, pixels on cache lines
    c.w.n = c.x.c = c.y.c = c.p.groups = 32 * upto(1, 4);
    c.w.c = 1;
    c.x_extra = c.row_gap = 0;
    if (gen() % 2) c.w.h = c.w.w = 3, c.p.dilation_h = c.p.dilation_w = 1;
  }
  return c;
}

class Conv : public KernelTest {
 protected:
  template <class F>
  void each(F f) {
    const Kernels* table = cpu_kernels_named(GetParam().c_str());
    unsigned seed = 0;
    for (const Case& c : cases()) run(*table, c, ++seed, f);
#if defined(AR_SANITIZE)
    const unsigned count = 20;
#else
    const unsigned count = 80;
#endif
    for (unsigned i = 0; i < count; ++i) run(*table, random_case(1000 + i), 1000 + i, f);
  }
  template <class F>
  void run(const Kernels& table, const Case& c, unsigned seed, F f) {
    std::ostringstream text;
    text << c;
    {
      SCOPED_TRACE("float32 " + text.str());
      f(Entries<float>{table}, c, seed);
    }
    {
      SCOPED_TRACE("float64 " + text.str());
      f(Entries<double>{table}, c, seed);
    }
    if (table.conv2d.bf16) {
      SCOPED_TRACE("bfloat16 " + text.str());
      f(Entries<bf16>{table}, c, seed);
    }
  }
};
AR_KERNEL_TESTS(Conv);

TEST_P(Conv, Forward) {
  each([](const auto& k, const Case& c, unsigned seed) { check_forward(k, c, seed); });
}
TEST_P(Conv, BackwardData) {
  each([](const auto& k, const Case& c, unsigned seed) { check_backward_data(k, c, seed); });
}
TEST_P(Conv, BackwardWeight) {
  each([](const auto& k, const Case& c, unsigned seed) { check_backward_weight(k, c, seed); });
}

TEST_P(Conv, OutputsDoNotDependOnThreads) {  // bit for bit, on numbers that round
  const Kernels* table = cpu_kernels_named(GetParam().c_str());
  const Entries<float> k{*table};
  for (const Case& c : {usual(3, 128, 14, 14, 40, 3, 1, 1), usual(2, 48, 14, 14, 40, 3, 1, 2, 2),
                        usual(3, 70, 9, 9, 64, 1), usual(2, 3, 20, 20, 32, 7, 2, 3)}) {
    Values x(c.x), w(c.w), gy(c.y);
    std::mt19937 gen(5);
    std::normal_distribution<double> d;
    for (Values* v : {&x, &w, &gy})
      for (double& e : v->v) e = d(gen);
    const Nhwc<float> xs(x, 0, 0), gys(gy, 0, 0);
    const Weights<float> ws(w, true);
    const auto packed = k.packed(ConvPack::forward, c.p, ws.view()),
               back = k.packed(ConvPack::backward_data, c.p, ws.view());
    std::vector<std::vector<double>> first;
    for (int threads : {1, 2, 3, 3}) {
      set_num_threads(threads);
      Nhwc<float> y(c.y, 0, 0), gx(c.x, 0, 0);
      Weights<float> gw(w, true);
      k.forward()(c.p, xs.view(), ws.view(), packed.data(), y.view(), {}, {});
      k.data()(c.p, gys.view(), ws.view(), back.data(), gx.view(), false, {});
      k.weight()(c.p, xs.view(), gys.view(), gw.view(), false, {});
      const std::vector<std::vector<double>> now{y.values().v, gx.values().v, gw.values().v};
      if (first.empty()) first = now;
      EXPECT_EQ(now[0], first[0]) << threads << " threads, forward";
      EXPECT_EQ(now[1], first[1]) << threads << " threads, data gradient";
      if (c.x.c > 3) {
        EXPECT_EQ(now[2], first[2]) << threads << " threads, weight gradient";
      }
    }
  }
}

/// The largest error of `got` relative to the largest value.
double error(const Values& got, const Values& want) {
  double worst = 0, largest = 0;
  for (std::size_t i = 0; i < want.v.size(); ++i) {
    worst = std::max(worst, std::abs(got.v[i] - want.v[i]));
    largest = std::max(largest, std::abs(want.v[i]));
  }
  return worst / largest;
}

TEST_P(Conv, RoundsLikeTheDirectSum) {  // 3x3 as such, and as 3x4 with a column of zeros, which is summed directly
  const Entries<float> k{*cpu_kernels_named(GetParam().c_str())};
  for (Case c : {usual(2, 128, 14, 14, 32, 3, 1, 1), usual(2, 32, 7, 7, 128, 3, 1, 1)}) {
    std::mt19937 gen(11);
    std::normal_distribution<float> d;
    Values x(c.x), gy(c.y), w(c.w), wide({c.w.n, c.w.c, 3, 4});
    for (Values* v : {&x, &gy, &w})
      for (double& e : v->v) e = double(d(gen));
    for (int64_t i = 0; i < c.w.size(); ++i) wide.v[std::size_t(i / 3 * 4 + i % 3)] = w.v[std::size_t(i)];
    double errors[3][2];  // forward, data gradient, weight gradient: 3x3, 3x4
    for (int i = 0; i < 2; ++i) {
      const Nhwc<float> xs(x, 0, 0), gys(gy, 0, 0);
      const Weights<float> ws(i ? wide : w, true);
      const auto forward = k.packed(ConvPack::forward, c.p, ws.view()),
                 back = k.packed(ConvPack::backward_data, c.p, ws.view());
      Nhwc<float> y(c.y, 0, 0), gx(c.x, 0, 0);
      Weights<float> gw(i ? wide : w, true);
      k.forward()(c.p, xs.view(), ws.view(), forward.data(), y.view(), {}, {});
      k.data()(c.p, gys.view(), ws.view(), back.data(), gx.view(), false, {});
      k.weight()(c.p, xs.view(), gys.view(), gw.view(), false, {});
      errors[0][i] = error(y.values(), reference_forward(c.p, x, w, c.y));
      errors[1][i] = error(gx.values(), reference_backward_data(c.p, gy, w, c.x));
      errors[2][i] = error(gw.values(), reference_backward_weight(c.p, x, gy, i ? wide.shape : c.w));
    }
    for (auto& [direct_or_not, direct] : errors) {
      EXPECT_LT(direct_or_not, 2e-6);
      EXPECT_LT(direct_or_not, 3 * direct);
    }
  }
}

TEST_P(Conv, NaNReachesAllThatReadIt) {  // a 3x3 in tiles: and perhaps others of their tiles
  const Entries<float> k{*cpu_kernels_named(GetParam().c_str())};
  const Case c = usual(1, 32, 9, 9, 32, 3, 1, 1);
  Values x = numbers(c.x, 1);
  x(0, 7, 2, 3) = std::numeric_limits<double>::quiet_NaN();
  const Nhwc<float> xs(x, 0, 0);
  const Weights<float> ws(numbers(c.w, 2), false);
  const auto packed = k.packed(ConvPack::forward, c.p, ws.view());
  Nhwc<float> y(c.y, 0, 0);
  k.forward()(c.p, xs.view(), ws.view(), packed.data(), y.view(), {}, {});
  const Values v = y.values();
  for (int64_t o = 0; o < 32; ++o)
    for (int64_t h = 0; h < 9; ++h)
      for (int64_t w = 0; w < 9; ++w) {
        const int64_t away = std::max(std::abs(h - 2), std::abs(w - 3));
        if (away <= 1) {
          EXPECT_TRUE(std::isnan(v(0, o, h, w)));
        }
        if (away > 2) {
          EXPECT_FALSE(std::isnan(v(0, o, h, w)));
        }
      }
}

TEST_P(Conv, NaNPasses) {
  const Entries<float> k{*cpu_kernels_named(GetParam().c_str())};
  const Case c = usual(1, 20, 6, 6, 40, 3, 1, 1);
  Values x = numbers(c.x, 1);
  x(0, 7, 2, 3) = std::numeric_limits<double>::quiet_NaN();
  const Nhwc<float> xs(x, 0, 0);
  const Weights<float> ws(numbers(c.w, 2), false);
  const auto packed = k.packed(ConvPack::forward, c.p, ws.view());
  const std::vector<float> ones(20, 1.0f), zeros(20, 0.0f);
  for (Activation a : kActivations) {
    Nhwc<float> y(c.y, 0, 0);
    ConvEpilogue e;
    e.activation = a;
    k.forward()(c.p, xs.view(), ws.view(), packed.data(), y.view(), {ones.data(), zeros.data(), a, 0.5}, e);
    const Values v = y.values();
    for (int64_t o = 0; o < 40; ++o)
      for (int64_t h = 0; h < 6; ++h)
        for (int64_t w = 0; w < 6; ++w)
          EXPECT_EQ(std::isnan(v(0, o, h, w)), std::abs(h - 2) <= 1 && std::abs(w - 3) <= 1);
  }
}

}  // namespace
}  // namespace ar::testing
