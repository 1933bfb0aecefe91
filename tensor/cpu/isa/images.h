// What the convolutions share: images in channels-last memory, the grid of positions that a kernel visits, readers,
// scratch.
#pragma once
#include <new>

#include "tensor/cpu/isa/activation.h"
#include "tensor/cpu/isa/tile.h"
#include "tensor/parallel.h"

namespace ar::cpu::AR_ISA {
namespace {

inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }
inline int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }
inline int64_t gcd(int64_t a, int64_t b) {
  while (b) {
    const int64_t r = a % b;
    a = b, b = r;
  }
  return a;
}

/// Into how many pieces each of the units is cut: as few as keep the threads busy for 85 % of the time, at most
/// `limit`.
inline int64_t pieces_of(int64_t units, int64_t threads, int64_t limit) {
  int64_t pieces = 1;
  while (pieces < limit && units * pieces * 100 < 85 * round_up(units * pieces, threads)) ++pieces;
  return pieces;
}

/// Memory that threads share during one call. (thread_scratch is each thread's own.)
template <class T>
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t size) { allocate(size); }
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() { __builtin_free(data_); }
  /// Once, and on the calling thread: running out of memory is an exception.
  void allocate(int64_t size) {
    data_ = static_cast<T*>(__builtin_malloc(std::size_t(most(size, 1)) * sizeof(T)));
    if (!data_) throw std::bad_alloc();
  }
  T* get() const { return data_; }

 private:
  T* data_ = nullptr;
};

/// Hands out 64-byte aligned pieces of a thread's scratch: first ask for the sizes, then take the pieces.
class Scratch {
 public:
  template <class T>
  static int64_t bytes(int64_t count) {
    return round_up(count * int64_t(sizeof(T)), 64);  // NOLINT(bugprone-sizeof-expression): pointers are meant, too
  }
  explicit Scratch(int64_t bytes) : next_(static_cast<char*>(thread_scratch(bytes))) {}
  template <class T>
  T* take(int64_t count) {
    char* p = next_;
    next_ += bytes<T>(count);
    return reinterpret_cast<T*>(p);
  }

 private:
  char* next_;
};

/// (N,H,W,C) with unit channel stride; strides in elements.
template <class T>
struct Images {
  T* data = nullptr;
  int64_t count = 0, height = 0, width = 0, channels = 0;
  std::ptrdiff_t image = 0, row = 0, pixel = 0;

  Images() = default;
  explicit Images(const View& v)
      : data(static_cast<T*>(v.data)),
        count(v.shape[0]),
        height(v.shape[2]),
        width(v.shape[3]),
        channels(v.shape[1]),
        image(v.strides[0]),
        row(v.strides[2]),
        pixel(v.strides[3]) {
    // Strides of sides that are 1 mean nothing: rows of a matrix, for one, are a run of pixels.
    if (width == 1) pixel = height == 1 ? image : row;
    if (height == 1) row = width * pixel;
  }
  T* at(int64_t n, int64_t h, int64_t w) const { return data + n * image + h * row + w * pixel; }
  Images channel_range(int64_t first, int64_t n) const {
    Images r = *this;
    if (data) r.data += first;
    r.channels = n;
    return r;
  }
  /// How many pixels, in reading order, lie at equal distances: a row, an image, or all of them.
  int64_t run() const {
    if (height > 1 && row != width * pixel) return width;
    if (count > 1 && image != height * width * pixel) return height * width;
    return count * height * width;
  }
};

/// One axis of a correlation: output i meets input i * stride + first + t * step for taps t < count; outside [0, in)
/// lies zero.
struct Axis {
  int64_t out, in, stride, first, step, count;

  /// Only every sample()-th input is ever visited, so only those are copied into scratch.
  int64_t sample() const { return count > 1 ? gcd(stride, step) : stride; }
  /// Copied inputs that n consecutive outputs visit.
  int64_t span(int64_t n) const {
    return count > 0 && n > 0 ? ((n - 1) * stride + (count - 1) * step) / sample() + 1 : 0;
  }
  /// Of the inputs that are ever visited, number i is first + i * sample(); those in [exists_from(), exists_to())
  /// exist.
  int64_t exists_from() const { return most(0, -floor_div(first, sample())); }
  int64_t exists_to() const { return floor_div(in - 1 - first, sample()) + 1; }
  /// One tap, all of whose inputs exist.
  bool pointwise() const { return count == 1 && first >= 0 && (out - 1) * stride + first < in; }
};

/// T is the type that is computed in.
template <class T>
struct Reader {
  const T* scale = nullptr;
  const T* shift = nullptr;
  Activation activation = Activation::none;
  T slope = 0;
  Reader from(int64_t channel) const {
    return scale ? Reader{scale + channel, shift + channel, activation, slope} : *this;
  }
};

/// An array of the caller's, or, where it left one out, as many ones or zeros.
template <class T>
class Filled {
 public:
  const T* get(const void* given, int64_t size, T value) {
    if (given) return static_cast<const T*>(given);
    own_.allocate(size);
    for (int64_t i = 0; i < size; ++i) own_.get()[i] = value;
    return own_.get();
  }

 private:
  Buffer<T> own_;
};

/// A caller's reader; `zeros` lives as long as the result.
template <class T>
inline Reader<T> reader_from(const ConvReader& r, int64_t channels, Filled<T>& zeros) {
  if (!r.scale) return {};
  return {static_cast<const T*>(r.scale), zeros.get(r.shift, channels, T(0)), r.activation, T(r.slope)};
}

/// How many values of k a tile reads.
template <class T>
constexpr int64_t depth(int64_t k) {
  return (k + kDepth<T> - 1) / kDepth<T> * kDepth<T>;
}

/// One pixel's k elements, with zeros up to depth().
template <class T>
inline void copy_pixel(const T* x, int64_t k, T* out) {
  using V = Vec<T>;
  const int64_t whole = k / V::kLanes * V::kLanes;
  for (int64_t c = 0; c < whole; c += V::kLanes) V::load(x + c).store(out + c);
  if (whole < k) V::load(x + whole, int(k - whole)).store(out + whole, int(k - whole));
}
#if defined(__AVX512BF16__)
inline void copy_pixel(const bf16* x, int64_t k, bf16* out) {
  for (int64_t c = 0; c < k; c += 32) {
    const int64_t n = least(32, k - c);
    _mm512_mask_storeu_epi16(out + c, __mmask32((uint64_t(1) << depth<bf16>(n)) - 1),
                             _mm512_maskz_loadu_epi16(__mmask32((uint64_t(1) << n) - 1), x + c));
  }
}
#endif

/// Copies pixels through a reader. Writes depth(k) elements of each, zeros after an odd k of bf16.
template <class T>
inline void read_pixels(const T* x, std::ptrdiff_t step, int64_t pixels, int64_t k, Reader<Compute<T>> r, T* out,
                        std::ptrdiff_t out_step) {
  using V = Vec<Compute<T>>;
  constexpr int L = V::kLanes;
  if (pixels <= 0) return;
  if (!r.scale && step == k && out_step == k) {
    __builtin_memcpy(out, x, std::size_t(pixels * k) * sizeof(T));
    return;
  }
  if (!r.scale) {
    for (int64_t p = 0; p < pixels; ++p, x += step, out += out_step) copy_pixel(x, k, out);
    return;
  }
  const int64_t whole = k / L * L;
  const int tail = int(k - whole), written = int(depth<T>(tail));
  const V slope = V::set1(r.slope);
  by_activation(r.activation, [&]<Activation act>() {
    for (int64_t p = 0; p < pixels; ++p, x += step, out += out_step) {
      for (int64_t c = 0; c < whole; c += L)
        activate<act>(fma(V::load(x + c), V::load(r.scale + c), V::load(r.shift + c)), slope).store(out + c);
      if (tail)
        activate<act>(fma(V::load(x + whole, tail), V::load(r.scale + whole, tail), V::load(r.shift + whole, tail)),
                      slope)
            .store(out + whole, written);
    }
  });
}

template <class T>
inline void zero(T* p, int64_t n) {
  if (n > 0) __builtin_memset(p, 0, std::size_t(n) * sizeof(T));
}

/// Copies what outputs [i0, i1) x all columns visit of image n: [h.span][w.span][ld], zeros where there is no input.
template <class T>
inline void read_band(const Images<const T>& x, int64_t n, const Axis& h, const Axis& w, int64_t i0, int64_t i1,
                      Reader<Compute<T>> reader, T* out, int64_t ld) {
  const int64_t rows = h.span(i1 - i0), columns = w.span(w.out), hs = h.sample(), ws = w.sample();
  const int64_t from = least(columns, w.exists_from()), to = most(from, least(columns, w.exists_to()));
  for (int64_t r = 0; r < rows; ++r, out += columns * ld) {
    const int64_t row = i0 * h.stride + h.first + r * hs;
    if (row < 0 || row >= h.in) {
      zero(out, columns * ld);
      continue;
    }
    zero(out, from * ld);
    read_pixels(x.at(n, row, w.first + from * ws), ws * x.pixel, to - from, x.channels, reader, out + from * ld, ld);
    zero(out + to * ld, (columns - to) * ld);
  }
}

/// Distance of packed rows of k elements: whole cache lines, an odd number of them, lest the rows of a tile meet in one
/// cache set.
template <class T>
inline int64_t padded_step(int64_t k) {
  constexpr int64_t line = 64 / int64_t(sizeof(T));
  const int64_t lines = ceil_div(k, line);
  return (lines | 1) * line;
}

}  // namespace
}  // namespace ar::cpu::AR_ISA
