// What the tests of single kernels share: every table that this processor runs, and arrays that lie in memory in any
// way, with guards around them.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tensor/backend.h"
#include "tensor/dims.h"
#include "tensor/half.h"
#include "tensor/kernels.h"
#include "tensor/parallel.h"

namespace ar::testing {

inline std::vector<std::string> table_names() {
  std::vector<std::string> names;
  for (const char* name : {"baseline", "avx2", "avx512", "avx512bf16"})
    if (cpu_kernels_named(name)) names.push_back(name);
  return names;
}

/// What activations may be made of: f32, f64 and, where the table multiplies bf16, that.
inline std::vector<Dtype> activation_types(const Kernels& k) {
  std::vector<Dtype> types{Dtype::f32, Dtype::f64};
  if (k.conv2d.bf16) types.push_back(Dtype::bf16);
  return types;
}

/// A test that runs once for each table.
class KernelTest : public ::testing::TestWithParam<std::string> {
 protected:
  const Kernels& k() const { return *cpu_kernels_named(GetParam().c_str()); }
  void TearDown() override { set_num_threads(threads_); }

 private:
  const int threads_ = num_threads();
};
#define AR_KERNEL_TESTS(suite)                                                            \
  INSTANTIATE_TEST_SUITE_P(Isa, suite, ::testing::ValuesIn(::ar::testing::table_names()), \
                           [](const ::testing::TestParamInfo<std::string>& i) { return i.param; })

/// How an array lies in memory.
enum class Lie {
  dense,          // row-major
  channels_last,  // dimension 1 fastest
  narrow,         // channels last, inside a wider tensor
  slot,           // the same, and each pixel begins at a multiple of 16 elements after the first
  padded,         // row-major, each row followed by a gap
  transposed,     // column-major
  backwards,      // row-major with negative strides
  expanded        // row-major, dimension 0 repeated: inputs only
};
inline const Lie kInputLies[] = {Lie::dense,      Lie::channels_last, Lie::narrow,  Lie::padded,
                                 Lie::transposed, Lie::backwards,     Lie::expanded};
inline const Lie kOutputLies[] = {Lie::dense,  Lie::channels_last, Lie::narrow,
                                  Lie::padded, Lie::transposed,    Lie::backwards};

inline double read_element(const void* p, Dtype t) {
  return dispatch(t, [&]<class T>() -> double {
    T x;
    std::memcpy(&x, p, sizeof x);
    if constexpr (std::is_same_v<T, f16> || std::is_same_v<T, bf16>)
      return to_f32(x);
    else
      return double(x);
  });
}
inline void write_element(void* p, Dtype t, double v) {
  dispatch(t, [&]<class T>() {
    T x;
    if constexpr (std::is_same_v<T, f16>)
      x = to_f16(float(v));
    else if constexpr (std::is_same_v<T, bf16>)
      x = to_bf16(float(v));
    else
      x = T(v);
    std::memcpy(p, &x, sizeof x);
  });
}

/// Memory with a view into it. All bytes start as a sentinel, elements of floating types as NaN.
class Array {
 public:
  Array(Dims shape, Dtype dtype, Lie lie = Lie::dense) : shape_(shape) {
    const int rank = shape.size();
    std::vector<int> order;  // slowest first
    for (int d = 0; d < rank; ++d) order.push_back(d);
    if ((lie == Lie::channels_last || lie == Lie::narrow || lie == Lie::slot) && rank > 2) {
      order.erase(order.begin() + 1);
      order.push_back(1);
    }
    if (lie == Lie::transposed) std::reverse(order.begin(), order.end());
    view_.dtype = dtype;
    view_.rank = rank;
    int64_t stride = 1, start = 0;
    for (auto d = order.rbegin(); d != order.rend(); ++d) {
      view_.shape[*d] = shape[*d];
      view_.strides[*d] = stride;
      stride *= shape[*d];
      if (d == order.rbegin() && (lie == Lie::narrow || lie == Lie::padded)) stride += 5;
      if (d == order.rbegin() && lie == Lie::slot) stride = stride / 16 * 16 + 32;
    }
    if (lie == Lie::backwards)
      for (int d = 0; d < rank; ++d) {
        start += (shape[d] - 1) * view_.strides[d];
        view_.strides[d] = -view_.strides[d];
      }
    if (lie == Lie::expanded && rank > 0) view_.strides[0] = 0;
    constexpr int64_t guard = 128;
    bytes_.assign(std::size_t((std::max<int64_t>(stride, 1) + 2 * guard) * size_of(dtype)), kSentinel);
    offset_ = (guard + (numel() ? start : 0)) * size_of(dtype);
    view_.data = bytes_.data() + offset_;
    if (is_floating(dtype))
      for (int64_t i = 0; i < numel(); ++i) set(i, std::numeric_limits<double>::quiet_NaN());
  }
  Array(const Array& o) : bytes_(o.bytes_), offset_(o.offset_), shape_(o.shape_), view_(o.view_) {
    view_.data = bytes_.data() + offset_;
  }
  Array& operator=(const Array&) = delete;

  const View& view() const { return view_; }
  operator const View&() const { return view_; }
  int64_t numel() const { return shape_.product(); }
  const Dims& shape() const { return shape_; }
  double get(int64_t i) const { return read_element(at(i), view_.dtype); }
  void set(int64_t i, double v) { write_element(const_cast<unsigned char*>(at(i)), view_.dtype, v); }
  /// All values in logical order.
  std::vector<double> values() const {
    std::vector<double> v;
    for (int64_t i = 0; i < numel(); ++i) v.push_back(get(i));
    return v;
  }
  Array& assign(const std::function<double(int64_t)>& f) {
    for (int64_t i = 0; i < numel(); ++i) set(i, f(i));
    return *this;
  }
  /// Values of a generator, uniform in [lo, hi).
  Array& randomise(unsigned seed, double lo = -2, double hi = 2) {
    std::mt19937 gen(seed);
    std::uniform_real_distribution<double> u(lo, hi);
    return assign([&](int64_t) { return u(gen); });
  }
  const std::vector<unsigned char>& bytes() const { return bytes_; }
  /// Are all bytes that belong to no element as they were?
  bool guards_intact() const {
    std::vector<char> element(bytes_.size());
    for (int64_t i = 0; i < numel(); ++i)
      for (int64_t b = 0; b < size_of(view_.dtype); ++b) element[std::size_t(at(i) - bytes_.data() + b)] = 1;
    for (std::size_t i = 0; i < bytes_.size(); ++i)
      if (!element[i] && bytes_[i] != kSentinel) return false;
    return true;
  }

 private:
  static constexpr unsigned char kSentinel = 0xA5;
  const unsigned char* at(int64_t i) const {
    int64_t offset = 0;
    for (int d = view_.rank - 1; d >= 0; --d) {
      offset += i % view_.shape[d] * view_.strides[d];
      i /= view_.shape[d];
    }
    return bytes_.data() + offset_ + offset * size_of(view_.dtype);
  }

  std::vector<unsigned char> bytes_;
  int64_t offset_ = 0;
  Dims shape_;
  View view_;
};

/// Relative precision of one rounding to the type.
inline double precision_of(Dtype t) {
  switch (t) {
    case Dtype::f16:
      return 0x1p-11;
    case Dtype::bf16:
      return 0x1p-8;
    case Dtype::f32:
      return 0x1p-23;
    default:
      return 0x1p-52;
  }
}

/// |got - want| <= units roundings of max(|want|, scale), where NaN equals NaN.
inline ::testing::AssertionResult near(const std::vector<double>& got, const std::vector<double>& want, Dtype t,
                                       double units = 4, double scale = 0) {
  if (got.size() != want.size()) return ::testing::AssertionFailure() << "sizes " << got.size() << ", " << want.size();
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (std::isnan(got[i]) && std::isnan(want[i])) continue;
    if (got[i] == want[i]) continue;
    if (!(std::abs(got[i] - want[i]) <= units * precision_of(t) * std::max(std::abs(want[i]), scale)))
      return ::testing::AssertionFailure() << "element " << i << " is " << got[i] << ", expected " << want[i];
  }
  return ::testing::AssertionSuccess();
}

/// Runs a kernel on fresh outputs with 1, 2 and 3 threads, twice each: guards stay, repetition gives the same bits.
/// Returns the output's values with 2 threads. make() gives an output, run(output) calls the kernel.
inline std::vector<double> run_checked(const std::function<Array()>& make, const std::function<void(Array&)>& run) {
  std::vector<double> values;
  for (int threads : {1, 3, 2}) {
    set_num_threads(threads);
    Array y = make(), again = make();
    run(y);
    run(again);
    EXPECT_TRUE(y.guards_intact()) << threads << " threads";
    EXPECT_TRUE(y.bytes() == again.bytes()) << "another result on repetition with " << threads << " threads";
    std::vector<double> now = y.values();
    if (!values.empty()) {
      EXPECT_TRUE(near(now, values, y.view().dtype, 16, 1)) << threads << " threads";
    }
    values = std::move(now);
  }
  return values;
}

}  // namespace ar::testing
