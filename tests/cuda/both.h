// One call on two devices: the CPU's baseline kernels and the CUDA backend's, compared. The backend is whatever library
// AR_CUDA_LIBRARY names: the kernels emulated on the CPU, or those of a GPU.
#pragma once
#include <cstdlib>
#include <memory>

#include "cuda/switches.h"
#include "tests/kernels/kernel_test.h"

namespace ar::testing {

inline constexpr Device kCuda{Device::Type::cuda, 0};

/// A visible skip where there is no CUDA device; a failure with AR_REQUIRE_CUDA=1.
#define AR_NEEDS_CUDA()                                                                           \
  if (const std::string reason = why_unavailable(::ar::testing::kCuda); !reason.empty()) {        \
    if (::ar::testing::switched_on("AR_REQUIRE_CUDA")) FAIL() << "AR_REQUIRE_CUDA=1: " << reason; \
    GTEST_SKIP() << reason;                                                                       \
  }

using cuda::switched_on;
/// Are the kernels run by the emulation?
inline bool emulated() { return std::getenv("AR_CUDA_LIBRARY"); }
/// Do convolutions go by a library?
inline bool convolutions_by_library() {
  return emulated() ? switched_on("AR_EMULATION_CONVOLUTION") : !switched_on("AR_CUDA_OWN");
}
/// Must a call give the same bits again? Our own kernels do; cuBLAS and cuDNN promise it only where they are asked to.
inline bool bits_are_promised() { return emulated() || switched_on("AR_CUDA_OWN") || switched_on("AR_DETERMINISTIC"); }

/// While it lives, a variable of the environment is 1.
class Switched {
 public:
  explicit Switched(const char* variable) : variable_(variable) { setenv(variable_, "1", 1); }
  ~Switched() { unsetenv(variable_); }
  Switched(const Switched&) = delete;
  Switched& operator=(const Switched&) = delete;

 private:
  const char* variable_;
};
/// While they live, LSTMs and convolutions go by a library: on a GPU they do anyway, in the emulation plain ones stand
/// in for it.
struct LstmByLibrary : Switched {
  LstmByLibrary() : Switched("AR_EMULATION_LSTM") {}
};
struct ConvolutionByLibrary : Switched {
  ConvolutionByLibrary() : Switched("AR_EMULATION_CONVOLUTION") {}
};

/// About how many elements the large cases have: less where every access is followed.
inline int64_t many() {
  const char* const value = std::getenv("AR_TEST_ELEMENTS");
  return value ? std::atoll(value) : 100'000;
}
/// AR_CUDA_CACHE=0: device blocks are exactly as large as asked for. Then arrays are copied without the guards around
/// them, so that a checker of memory sees the first byte outside.
inline bool exact() {
  const char* const value = std::getenv("AR_CUDA_CACHE");
  return value && std::string(value) == "0";
}

/// A copy of an array in the device's memory.
class OnDevice {
 public:
  explicit OnDevice(const Array& array) : view_(array.view()), begin_(array.bytes().data()) {
    int64_t low = 0, high = 0, bytes = int64_t(array.bytes().size()), before = static_cast<char*>(view_.data) - start();
    if (exact()) {
      for (int d = 0; d < view_.rank; ++d) {
        const int64_t reach = (view_.shape[d] - 1) * view_.strides[d];
        (reach < 0 ? low : high) += reach;
      }
      const int64_t size = size_of(view_.dtype);
      begin_ += before + low * size;
      bytes = array.numel() ? (high - low + 1) * size : 0;
      before = -low * size;
    }
    bytes_ = bytes;
    data_ = static_cast<char*>(backend(kCuda).allocate(bytes_));
    if (bytes_) backend(kCuda).upload(data_, begin_, bytes_);
    view_.data = data_ + before;
  }
  ~OnDevice() { backend(kCuda).release(data_, bytes_); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  const View& view() const { return view_; }
  /// Back to where it came from: the array must still be there.
  void download() const {
    if (bytes_) backend(kCuda).download(const_cast<unsigned char*>(begin_), data_, bytes_);
  }

 private:
  const char* start() const { return reinterpret_cast<const char*>(begin_); }
  View view_;
  const unsigned char* begin_;
  char* data_;
  int64_t bytes_;
};

/// What a call under test sees of a device.
struct Side {
  const Kernels& k;
  std::vector<View> v;  // of the arrays
  std::function<void*(int64_t bytes)> memory;
  bool on_device = false;
  const View& operator[](std::size_t i) const { return v[i]; }
};

/// f64 numbers in a side's memory, which kernels add to or write.
class Numbers {
 public:
  Numbers(const Side& side, int64_t count, double start)
      : on_device_(side.on_device),
        count_(count),
        data_(static_cast<double*>(side.memory(std::max<int64_t>(count, 1) * int64_t(sizeof(double))))) {
    const std::vector<double> values(std::size_t(count), start);
    if (on_device_)
      backend(kCuda).upload(data_, values.data(), bytes());
    else
      std::copy(values.begin(), values.end(), data_);
  }
  double* data() const { return data_; }
  std::vector<double> values() const {
    std::vector<double> all(static_cast<std::size_t>(count_));
    if (on_device_)
      backend(kCuda).download(all.data(), data_, bytes());
    else
      std::copy(data_, data_ + count_, all.begin());
    return all;
  }

 private:
  int64_t bytes() const { return count_ * int64_t(sizeof(double)); }
  bool on_device_;
  int64_t count_;
  double* data_;
};
/// Calls kernels; what they gave besides the arrays (sums, flags) is returned.
using Call = std::function<std::vector<double>(const Side&)>;

struct Tolerance {
  double units = 8;  // roundings of the type
  double scale = 1;  // of at least so large numbers
};

/// The array itself, or its values as f32 where they are bf16 (channels last, as convolutions want it).
inline Array widened(const Array& a) {
  if (a.view().dtype != Dtype::bf16) return a;
  Array wide(a.shape(), Dtype::f32, a.shape().size() == 4 ? Lie::channels_last : Lie::dense);
  for (int64_t i = 0; i < a.numel(); ++i) wide.set(i, a.get(i));
  return wide;
}

/// Runs the call on the CPU and on the device with copies of the arrays; compares all of these, and what is returned. A
/// CPU without kernels for bf16 computes the same in f32. The device is asked twice and must give the same bits, where
/// they are promised.
inline void compare(const std::vector<const Array*>& arrays, const Call& call, Tolerance tolerance = {},
                    bool cpu_has_halves = false) {
  const Kernels& cpu = *cpu_kernels_named("baseline");
  std::vector<std::unique_ptr<Array>> expected;
  std::vector<std::vector<char>> blocks;
  Side host{cpu, {}, [&](int64_t bytes) {
              blocks.emplace_back(std::size_t(bytes) + 64);
              return static_cast<void*>(blocks.back().data());
            }};
  for (const Array* a : arrays) {
    expected.push_back(std::make_unique<Array>(cpu_has_halves ? *a : widened(*a)));
    host.v.push_back(expected.back()->view());
  }
  const std::vector<double> returned = call(host);

  std::vector<std::vector<unsigned char>> first;
  const int rounds = many() < 100'000 || exact() ? 1 : 2;  // once under checkers
  for (int round = 0; round < rounds; ++round) {
    std::vector<std::unique_ptr<Array>> results;
    std::vector<std::unique_ptr<OnDevice>> copies;
    std::vector<std::pair<void*, int64_t>> taken;
    Side device{*backend(kCuda).kernels,
                {},
                [&](int64_t bytes) {
                  taken.emplace_back(backend(kCuda).allocate(bytes), bytes);
                  return taken.back().first;
                },
                true};
    for (const Array* a : arrays) {
      results.push_back(std::make_unique<Array>(*a));
      copies.push_back(std::make_unique<OnDevice>(*results.back()));
      device.v.push_back(copies.back()->view());
    }
    const std::vector<double> got = call(device);
    for (const auto& c : copies) c->download();
    for (auto [data, bytes] : taken) backend(kCuda).release(data, bytes);
    if (round == 1 && bits_are_promised()) {
      for (std::size_t i = 0; i < arrays.size(); ++i)
        EXPECT_TRUE(results[i]->bytes() == first[i]) << "array " << i << ": other bits on repetition";
      return;
    }
    EXPECT_TRUE(near(got, returned, Dtype::f32, 64, 20 * tolerance.scale)) << "what is returned";
    for (std::size_t i = 0; i < arrays.size(); ++i) {
      EXPECT_TRUE(results[i]->guards_intact()) << "array " << i;
      EXPECT_TRUE(
          near(results[i]->values(), expected[i]->values(), arrays[i]->view().dtype, tolerance.units, tolerance.scale))
          << "array " << i;
      first.push_back(results[i]->bytes());
    }
  }
}

/// An array of random values.
inline Array random(const Dims& shape, Dtype t, Lie lie = Lie::dense, unsigned seed = 1, double lo = -2,
                    double hi = 2) {
  Array a(shape, t, lie);
  a.randomise(seed, lo, hi);
  return a;
}
/// Beside halves, numbers per channel and weights are f32.
inline Dtype parameter_type(Dtype t) { return t == Dtype::bf16 || t == Dtype::f16 ? Dtype::f32 : t; }

}  // namespace ar::testing
