// Pooling and its gradients. A thread computes one output of the pass (for gradients: one element of gx, which collects
// from the windows that cover it), so nothing is added atomically. Of maxima it computes 16 bytes of neighbouring
// channels where they lie so.
#include "cuda/each.h"
#include "cuda/families.h"
#include "cuda/images.h"

namespace ar::cuda {
namespace {

// ---- windows ----

/// The windows of one side of a pooling.
struct Side {
  int32_t kernel, stride, pad, size, windows;
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
    const int32_t last = int32_t(i) + pad, first = last - kernel + 1;
    return {first > 0 ? (first + stride - 1) / stride : 0, smaller(last / stride + 1, windows)};
  }
};

Side side_of(int64_t kernel, int64_t stride, int64_t pad, int64_t size, int64_t windows, bool count_pad) {
  return {int32_t(kernel), int32_t(stride), int32_t(pad), int32_t(size), int32_t(windows), count_pad};
}

// ---- maximum ----

/// Of V neighbouring channels; their indices are moved by up to 4.
template <class S, int V>
struct MaxPool {
  PoolParams p;
  Image<const S> x;
  Image<S> y;
  Image<int32_t> indices;
  AR_HD void operator()(int64_t i) const {
    using T = Compute<S>;
    const Place o = y.place(i);
    T best[V];
    int32_t where[V];
#pragma unroll
    for (int j = 0; j < V; ++j) best[j] = T(-INFINITY), where[j] = -1;
    for (int64_t kh = 0; kh < p.kernel_h; ++kh)
      for (int64_t kw = 0; kw < p.kernel_w; ++kw) {
        const int64_t h = o.h * p.stride_h - p.pad_h + kh * p.dilation_h;
        const int64_t w = o.w * p.stride_w - p.pad_w + kw * p.dilation_w;
        if (h < 0 || w < 0 || h >= x.height || w >= x.width) continue;
        Pack<S, V> pack;
        pack.load(&x.at(o.n, o.c, h, w));
#pragma unroll
        for (int j = 0; j < V; ++j) {
          const T v = widen(pack.value[j]);
          if (where[j] < 0 || v > best[j] || v != v) {  // the last NaN, as on the CPU
            best[j] = v;
            where[j] = int32_t(h * x.width + w);
          }
        }
      }
    Pack<S, V> result;
#pragma unroll
    for (int j = 0; j < V; ++j) result.value[j] = narrow<S>(best[j]);
    result.store(&y.at(o));
    if (!indices.data) return;
    constexpr int few = V < 4 ? V : 4;
#pragma unroll
    for (int j = 0; j < V; j += few) {
      Pack<int32_t, few> chosen;
#pragma unroll
      for (int m = 0; m < few; ++m) chosen.value[m] = where[j + m];
      chosen.store(&indices.at(o) + j);
    }
  }
};
template <class S, int V>
void run_max_pool(const PoolParams& p, const View& x, const View& y, const View& indices) {
  const Image<S> out(y, V);
  each_item(out.numel(),
            MaxPool<S, V>{p, Image<const S>(x, V), out, indices.data ? Image<int32_t>(indices, V) : Image<int32_t>()});
}
template <class S>
void max_pool2d(const PoolParams& p, const View& x, const View& y, const View& indices) {
  constexpr int V = Pack<S>::size;
  if (in_packs(x, V) && in_packs(y, V) && (!indices.data || in_packs(indices, V)))
    run_max_pool<S, V>(p, x, y, indices);
  else
    run_max_pool<S, 1>(p, x, y, indices);
}

/// Windows overlap, and which of them chose a pixel only the indices tell.
template <class S, int V>
struct MaxPoolBackward {
  Side rows, columns;
  Image<const S> gy;
  Image<const int32_t> indices;
  Image<S> gx;
  AR_HD void operator()(int64_t i) const {
    const Place p = gx.place(i);
    const Range hs = rows.windows_over(p.h), ws = columns.windows_over(p.w);
    const int32_t self = int32_t(p.h * gx.width + p.w);
    Compute<S> sum[V] = {};
    for (int64_t h = hs.begin; h < hs.end; ++h)
      for (int64_t w = ws.begin; w < ws.end; ++w) {
        Pack<S, V> g;
        g.load(&gy.at(p.n, p.c, h, w));
        constexpr int few = V < 4 ? V : 4;
#pragma unroll
        for (int j = 0; j < V; j += few) {
          Pack<int32_t, few> chosen;
          chosen.load(&indices.at(p.n, p.c, h, w) + j);
#pragma unroll
          for (int m = 0; m < few; ++m)
            if (chosen.value[m] == self) sum[j + m] += widen(g.value[j + m]);
        }
      }
    Pack<S, V> result;
#pragma unroll
    for (int j = 0; j < V; ++j) result.value[j] = narrow<S>(sum[j]);
    result.store(&gx.at(p));
  }
};
template <class S, int V>
void run_max_pool_backward(const Side& rows, const Side& columns, const View& gy, const View& indices, const View& gx) {
  const Image<S> out(gx, V);
  each_item(out.numel(),
            MaxPoolBackward<S, V>{rows, columns, Image<const S>(gy, V), Image<const int32_t>(indices, V), out});
}
template <class S>
void max_pool2d_backward(const PoolParams& p, const View& gy, const View& indices, const View& gx) {
  const Side rows = side_of((p.kernel_h - 1) * p.dilation_h + 1, p.stride_h, p.pad_h, gx.shape[2], gy.shape[2], false);
  const Side columns =
      side_of((p.kernel_w - 1) * p.dilation_w + 1, p.stride_w, p.pad_w, gx.shape[3], gy.shape[3], false);
  constexpr int V = Pack<S>::size;
  if (in_packs(gy, V) && in_packs(indices, V) && in_packs(gx, V))
    run_max_pool_backward<S, V>(rows, columns, gy, indices, gx);
  else
    run_max_pool_backward<S, 1>(rows, columns, gy, indices, gx);
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
  return side_of(p.kernel_h, p.stride_h, p.pad_h, x.shape[2], y.shape[2], p.count_include_pad);
}
Side columns_of(const PoolParams& p, const View& x, const View& y) {
  return side_of(p.kernel_w, p.stride_w, p.pad_w, x.shape[3], y.shape[3], p.count_include_pad);
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
