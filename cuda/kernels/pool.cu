// Pooling and its gradients. A thread computes one output of the pass (for gradients: one element of gx, which collects
// from the windows that cover it), so nothing is added atomically.
#include "cuda/each.h"
#include "cuda/families.h"
#include "cuda/images.h"

namespace ar::cuda {
namespace {

// ---- windows ----

/// The windows of one side of a pooling.
struct Side {
  int64_t kernel, stride, pad, size, windows;
  bool count_pad;
  AR_HD Range inside(int64_t o) const {
    const int64_t start = o * stride - pad, begin = larger(start, 0);
    return {begin, larger(smaller(smaller(start + kernel, size + pad), size), begin)};
  }
  AR_HD int64_t divisor(int64_t o) const {
    const int64_t start = o * stride - pad;
    return count_pad ? smaller(start + kernel, size + pad) - start : inside(o).length();
  }
  AR_HD Range windows_over(int64_t i) const {
    const int64_t first = i + pad - kernel + 1;
    return {first > 0 ? (first + stride - 1) / stride : 0, smaller((i + pad) / stride + 1, windows)};
  }
};

// ---- maximum ----

template <class S>
struct MaxPool {
  PoolParams p;
  Image<const S> x;
  Image<S> y;
  Image<int32_t> indices;
  AR_HD void operator()(int64_t i) const {
    using T = Compute<S>;
    const Place o = y.place(i);
    T best = T(-INFINITY);
    int32_t where = -1;
    for (int64_t kh = 0; kh < p.kernel_h; ++kh)
      for (int64_t kw = 0; kw < p.kernel_w; ++kw) {
        const int64_t h = o.h * p.stride_h - p.pad_h + kh * p.dilation_h;
        const int64_t w = o.w * p.stride_w - p.pad_w + kw * p.dilation_w;
        if (h < 0 || w < 0 || h >= x.height || w >= x.width) continue;
        const T v = widen(x.at(o.n, o.c, h, w));
        if (where < 0 || v > best || v != v) best = v, where = int32_t(h * x.width + w);  // the last NaN, as on the CPU
      }
    y.at(o) = narrow<S>(best);
    if (indices.data) indices.at(o) = where;
  }
};
template <class S>
void max_pool2d(const PoolParams& p, const View& x, const View& y, const View& indices) {
  const Image<S> out(y);
  each_item(out.numel(),
            MaxPool<S>{p, Image<const S>(x), out, indices.data ? Image<int32_t>(indices) : Image<int32_t>()});
}

/// Windows overlap, and which of them chose a pixel only the indices tell.
template <class S>
struct MaxPoolBackward {
  Side rows, columns;
  Image<const S> gy;
  Image<const int32_t> indices;
  Image<S> gx;
  AR_HD void operator()(int64_t i) const {
    const Place p = gx.place(i);
    const Range hs = rows.windows_over(p.h), ws = columns.windows_over(p.w);
    const int32_t self = int32_t(p.h * gx.width + p.w);
    Compute<S> sum = 0;
    for (int64_t h = hs.begin; h < hs.end; ++h)
      for (int64_t w = ws.begin; w < ws.end; ++w)
        if (indices.at(p.n, p.c, h, w) == self) sum += widen(gy.at(p.n, p.c, h, w));
    gx.at(p) = narrow<S>(sum);
  }
};
template <class S>
void max_pool2d_backward(const PoolParams& p, const View& gy, const View& indices, const View& gx) {
  const Image<S> out(gx);
  const Side rows{(p.kernel_h - 1) * p.dilation_h + 1, p.stride_h, p.pad_h, gx.shape[2], gy.shape[2], false};
  const Side columns{(p.kernel_w - 1) * p.dilation_w + 1, p.stride_w, p.pad_w, gx.shape[3], gy.shape[3], false};
  each_item(out.numel(), MaxPoolBackward<S>{rows, columns, Image<const S>(gy), Image<const int32_t>(indices), out});
}

// ---- averages: windows that are a product of a range of rows and one of columns ----

/// The windows of one side of adaptive pooling: output o is the mean of pixels floor(o size / windows) .. ceil((o+1)
/// size / windows).
struct AdaptiveSide {
  int64_t size, windows;
  AR_HD Range inside(int64_t o) const { return {o * size / windows, ((o + 1) * size + windows - 1) / windows}; }
  AR_HD int64_t divisor(int64_t o) const { return inside(o).length(); }
  AR_HD Range windows_over(int64_t i) const {
    const int64_t near = i * windows / size;
    Range r{near, near + 1};
    while (r.begin > 0 && inside(r.begin - 1).end > i) --r.begin;
    while (r.end < windows && inside(r.end).begin <= i) ++r.end;
    return r;
  }
};

template <class S, class W>
struct Average {
  W rows, columns;
  Image<const S> x;
  Image<S> y;
  AR_HD void operator()(int64_t i) const {
    using T = Compute<S>;
    const Place o = y.place(i);
    const Range hs = rows.inside(o.h), ws = columns.inside(o.w);
    T sum = 0;
    for (int64_t h = hs.begin; h < hs.end; ++h)
      for (int64_t w = ws.begin; w < ws.end; ++w) sum += widen(x.at(o.n, o.c, h, w));
    y.at(o) = narrow<S>(sum * T(1.0 / double(larger(rows.divisor(o.h) * columns.divisor(o.w), 1))));
  }
};
template <class S, class W>
struct AverageBackward {
  W rows, columns;
  Image<const S> gy;
  Image<S> gx;
  AR_HD void operator()(int64_t i) const {
    using T = Compute<S>;
    const Place p = gx.place(i);
    const Range hs = rows.windows_over(p.h), ws = columns.windows_over(p.w);
    T sum = 0;
    for (int64_t h = hs.begin; h < hs.end; ++h)
      for (int64_t w = ws.begin; w < ws.end; ++w)
        sum += widen(gy.at(p.n, p.c, h, w)) * T(1.0 / double(rows.divisor(h) * columns.divisor(w)));
    gx.at(p) = narrow<S>(sum);
  }
};

template <class S, class W>
void average(const W& rows, const W& columns, const View& x, const View& y) {
  const Image<S> out(y);
  each_item(out.numel(), Average<S, W>{rows, columns, Image<const S>(x), out});
}
template <class S, class W>
void average_backward(const W& rows, const W& columns, const View& gy, const View& gx) {
  const Image<S> out(gx);
  each_item(out.numel(), AverageBackward<S, W>{rows, columns, Image<const S>(gy), out});
}

Side rows_of(const PoolParams& p, const View& x, const View& y) {
  return {p.kernel_h, p.stride_h, p.pad_h, x.shape[2], y.shape[2], p.count_include_pad};
}
Side columns_of(const PoolParams& p, const View& x, const View& y) {
  return {p.kernel_w, p.stride_w, p.pad_w, x.shape[3], y.shape[3], p.count_include_pad};
}
AdaptiveSide adaptive(const View& x, const View& y, int dim) { return {x.shape[dim], y.shape[dim]}; }

template <class S>
void avg_pool2d(const PoolParams& p, const View& x, const View& y) {
  average<S>(rows_of(p, x, y), columns_of(p, x, y), x, y);
}
template <class S>
void avg_pool2d_backward(const PoolParams& p, const View& gy, const View& gx) {
  average_backward<S>(rows_of(p, gx, gy), columns_of(p, gx, gy), gy, gx);
}
template <class S>
void adaptive_avg_pool2d(const View& x, const View& y) {
  average<S>(adaptive(x, y, 2), adaptive(x, y, 3), x, y);
}
template <class S>
void adaptive_avg_pool2d_backward(const View& gy, const View& gx) {
  average_backward<S>(adaptive(gx, gy, 2), adaptive(gx, gy, 3), gy, gx);
}

}  // namespace

void add_pool(Kernels& k) {
  k.max_pool2d = {.bf16 = &max_pool2d<bf16>, .f32 = &max_pool2d<float>, .f64 = &max_pool2d<double>};
  k.max_pool2d_backward = {
      .bf16 = &max_pool2d_backward<bf16>, .f32 = &max_pool2d_backward<float>, .f64 = &max_pool2d_backward<double>};
  k.avg_pool2d = {.bf16 = &avg_pool2d<bf16>, .f32 = &avg_pool2d<float>, .f64 = &avg_pool2d<double>};
  k.avg_pool2d_backward = {
      .bf16 = &avg_pool2d_backward<bf16>, .f32 = &avg_pool2d_backward<float>, .f64 = &avg_pool2d_backward<double>};
  k.adaptive_avg_pool2d = {
      .bf16 = &adaptive_avg_pool2d<bf16>, .f32 = &adaptive_avg_pool2d<float>, .f64 = &adaptive_avg_pool2d<double>};
  k.adaptive_avg_pool2d_backward = {.bf16 = &adaptive_avg_pool2d_backward<bf16>,
                                    .f32 = &adaptive_avg_pool2d_backward<float>,
                                    .f64 = &adaptive_avg_pool2d_backward<double>};
}

}  // namespace ar::cuda
