// Values as the kernels meet them: channels-last images in wider tensors, weights in any order, of any element type.
#pragma once
#include <algorithm>
#include <cmath>
#include <limits>
#include <new>
#include <type_traits>
#include <vector>

#include "tests/conv/reference.h"
#include "tests/kernels/kernel_test.h"

namespace ar::testing {

/// What weights and numbers per channel are beside T.
template <class T>
using Parameter = std::conditional_t<std::is_same_v<T, bf16>, float, T>;

template <class T>
T as(double v) {
  if constexpr (std::is_same_v<T, bf16>)
    return to_bf16(float(v));
  else
    return T(v);
}
inline double number(bf16 v) { return to_f32(v); }
inline double number(double v) { return v; }

/// Memory that begins with a cache line, as tensors' does.
template <class T>
struct OnLine {
  using value_type = T;
  OnLine() = default;
  template <class U>
  OnLine(const OnLine<U>&) {}
  T* allocate(std::size_t n) { return static_cast<T*>(::operator new(n * sizeof(T), std::align_val_t(64))); }
  void deallocate(T* p, std::size_t) { ::operator delete(p, std::align_val_t(64)); }
  bool operator==(const OnLine&) const { return true; }
};

/// A channels-last array of T in exactly as much memory as it needs, NaN where no element lies.
template <class T>
class Nhwc {
 public:
  Nhwc(Shape4 s, int64_t extra, int64_t row_gap) : shape_(s) {
    const int64_t pixel = s.c + extra, row = s.w * pixel + row_gap, image = s.h * row + 3 * row_gap;
    const int64_t used = s.size() == 0 ? 0 : (s.n - 1) * image + (s.h - 1) * row + (s.w - 1) * pixel + s.c;
    data_.assign(std::size_t(used), as<T>(std::numeric_limits<double>::quiet_NaN()));
    view_.data = data_.data();
    view_.dtype = dtype_of<T>();
    view_.rank = 4;
    const int64_t shape[] = {s.n, s.c, s.h, s.w}, strides[] = {image, 1, row, pixel};
    std::copy(shape, shape + 4, view_.shape);
    std::copy(strides, strides + 4, view_.strides);
  }
  Nhwc(const Values& values, int64_t extra, int64_t row_gap) : Nhwc(values.shape, extra, row_gap) { set(values); }
  Nhwc(const Nhwc&) = delete;
  Nhwc& operator=(const Nhwc&) = delete;

  const View& view() const { return view_; }
  void set(const Values& values) {
    each([&](int64_t i, T& t) { t = as<T>(values.v[std::size_t(i)]); });
  }
  Values values() {
    Values r(shape_);
    each([&](int64_t i, T& t) { r.v[std::size_t(i)] = number(t); });
    return r;
  }
  /// Is what lies between the elements still NaN?
  bool surroundings_intact() {
    std::vector<T, OnLine<T>> copy = data_;
    each([&](int64_t, T& t) { t = as<T>(std::numeric_limits<double>::quiet_NaN()); });
    bool intact = true;
    for (T t : data_) intact &= std::isnan(number(t));
    data_.swap(copy);
    std::copy(copy.begin(), copy.end(), copy.begin());
    view_.data = data_.data();
    return intact;
  }

 private:
  template <class F>
  void each(F f) {
    T* base = data_.data();
    for (int64_t n = 0; n < shape_.n; ++n)
      for (int64_t c = 0; c < shape_.c; ++c)
        for (int64_t h = 0; h < shape_.h; ++h)
          for (int64_t w = 0; w < shape_.w; ++w)
            f(shape_.at(n, c, h, w), base[n * view_.strides[0] + c + h * view_.strides[2] + w * view_.strides[3]]);
  }
  Shape4 shape_;
  std::vector<T, OnLine<T>> data_;
  View view_;
};

/// Weights in row-major or channels-last order.
template <class T>
class Weights {
 public:
  Weights(const Values& values, bool channels_last) : shape_(values.shape), data_(values.v.begin(), values.v.end()) {
    const Shape4& s = shape_;
    view_.dtype = dtype_of<T>();
    view_.rank = 4;
    const int64_t shape[] = {s.n, s.c, s.h, s.w};
    const int64_t row_major[] = {s.c * s.h * s.w, s.h * s.w, s.w, 1}, last[] = {s.c * s.h * s.w, 1, s.w * s.c, s.c};
    std::copy(shape, shape + 4, view_.shape);
    std::copy(channels_last ? last : row_major, (channels_last ? last : row_major) + 4, view_.strides);
    view_.data = data_.data();
    each([&](int64_t i, T& t) { t = T(values.v[std::size_t(i)]); });
  }
  Weights(const Weights&) = delete;
  Weights& operator=(const Weights&) = delete;
  const View& view() const { return view_; }
  Values values() {
    Values r(shape_);
    each([&](int64_t i, T& t) { r.v[std::size_t(i)] = double(t); });
    return r;
  }

 private:
  template <class F>
  void each(F f) {
    for (int64_t o = 0; o < shape_.n; ++o)
      for (int64_t c = 0; c < shape_.c; ++c)
        for (int64_t h = 0; h < shape_.h; ++h)
          for (int64_t w = 0; w < shape_.w; ++w)
            f(shape_.at(o, c, h, w), data_[std::size_t(o * view_.strides[0] + c * view_.strides[1] +
                                                       h * view_.strides[2] + w * view_.strides[3])]);
  }
  Shape4 shape_;
  std::vector<T> data_;
  View view_;
};

}  // namespace ar::testing
