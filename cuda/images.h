// Images (N,C,H,W) for kernels whose threads take one pixel and channel each, channels fastest: a warp works on
// neighbouring channels, which lie side by side in channels-last memory.
#pragma once
#include "tensor/hd.h"
#include "tensor/view.h"

namespace ar::cuda {

AR_HD int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
AR_HD int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

struct Place {
  int64_t n, c, h, w;
};

template <class S>
struct Image {
  S* data = nullptr;
  int64_t images = 0, channels = 0, height = 0, width = 0;
  int64_t n_step = 0, c_step = 0, h_step = 0, w_step = 0;

  Image() = default;
  /// pack: of so many neighbouring channels, which then count as one.
  explicit Image(const View& v, int pack = 1)
      : data(static_cast<S*>(v.data)),
        images(v.shape[0]),
        channels(v.shape[1] / pack),
        height(v.shape[2]),
        width(v.shape[3]),
        n_step(v.strides[0]),
        c_step(v.strides[1] * pack),
        h_step(v.strides[2]),
        w_step(v.strides[3]) {}

  AR_HD int64_t numel() const { return images * channels * height * width; }
  AR_HD Place place(int64_t i) const {
    return numel() <= 0x7fffffff ? split(uint32_t(i))
                                 : split(uint64_t(i));  // 32-bit divisions are several times faster
  }
  AR_HD S& at(int64_t n, int64_t c, int64_t h, int64_t w) const {
    return data[n * n_step + c * c_step + h * h_step + w * w_step];
  }
  AR_HD S& at(const Place& p) const { return at(p.n, p.c, p.h, p.w); }

 private:
  template <class Index>
  AR_HD Place split(Index i) const {
    const Index pixel = i / Index(channels), row = pixel / Index(width), n = row / Index(height);
    return {int64_t(n), int64_t(i - pixel * Index(channels)), int64_t(row - n * Index(height)),
            int64_t(pixel - row * Index(width))};
  }
};

/// Do channels lie in packs of so many, each at a multiple of its size, or of 16 bytes?
inline bool in_packs(const View& v, int pack) {
  const int64_t bytes = smaller(pack * size_of(v.dtype), 16);
  bool yes = v.strides[1] == 1 && v.shape[1] % pack == 0 && reinterpret_cast<uintptr_t>(v.data) % uint64_t(bytes) == 0;
  for (int d : {0, 2, 3}) yes &= v.shape[d] == 1 || v.strides[d] % pack == 0;
  return yes;
}

/// Whole numbers [begin, end).
struct Range {
  int64_t begin, end;
  AR_HD int64_t length() const { return end - begin; }
};

}  // namespace ar::cuda
