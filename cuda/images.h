// Images (N,C,H,W) for kernels whose threads take one pixel and channel each, channels fastest: a warp works on
// neighbouring channels, which lie side by side in channels-last memory.
#pragma once
#include "tensor/hd.h"
#include "tensor/view.h"

namespace ar::cuda {

struct Place {
  int64_t n, c, h, w;
};

template <class S>
struct Image {
  S* data = nullptr;
  int64_t images = 0, channels = 0, height = 0, width = 0;
  int64_t n_step = 0, c_step = 0, h_step = 0, w_step = 0;

  Image() = default;
  explicit Image(const View& v)
      : data(static_cast<S*>(v.data)),
        images(v.shape[0]),
        channels(v.shape[1]),
        height(v.shape[2]),
        width(v.shape[3]),
        n_step(v.strides[0]),
        c_step(v.strides[1]),
        h_step(v.strides[2]),
        w_step(v.strides[3]) {}

  int64_t numel() const { return images * channels * height * width; }
  AR_HD Place place(int64_t i) const {
    Place p;
    p.c = i % channels, i /= channels;
    p.w = i % width, i /= width;
    p.h = i % height, p.n = i / height;
    return p;
  }
  AR_HD S& at(int64_t n, int64_t c, int64_t h, int64_t w) const {
    return data[n * n_step + c * c_step + h * h_step + w * w_step];
  }
  AR_HD S& at(const Place& p) const { return at(p.n, p.c, p.h, p.w); }
};

AR_HD int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
AR_HD int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

/// Whole numbers [begin, end).
struct Range {
  int64_t begin, end;
  AR_HD int64_t length() const { return end - begin; }
};

}  // namespace ar::cuda
