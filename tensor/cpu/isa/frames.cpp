// Pixels of images and videos to the floats that networks read.
#include "tensor/cpu/isa/families.h"
#include "tensor/cpu/isa/rows.h"

namespace ar::cpu::AR_ISA {
namespace {

constexpr int64_t kChunk = 256;  // pixels that are gathered or narrowed at a time; they stay in the first cache

/// As many bytes as a register has lanes, widened.
template <class T>
Vec<T> load_bytes(const uint8_t* p);
#if defined(__AVX512F__)
template <>
inline Vec<float> load_bytes(const uint8_t* p) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(p));
  return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes))};
}
template <>
inline Vec<double> load_bytes(const uint8_t* p) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i_u*>(p));
  return {_mm512_cvtepi32_pd(_mm256_cvtepu8_epi32(bytes))};
}
#elif defined(__AVX2__)
template <>
inline Vec<float> load_bytes(const uint8_t* p) {
  const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i_u*>(p));
  return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes))};
}
template <>
inline Vec<double> load_bytes(const uint8_t* p) {
  int four;
  __builtin_memcpy(&four, p, sizeof four);
  return {_mm256_cvtepi32_pd(_mm_cvtepu8_epi32(_mm_cvtsi32_si128(four)))};
}
#else
template <class T>
inline Vec<T> load_bytes(const uint8_t* p) {
  Vec<T> v;
  for (int i = 0; i < Vec<T>::kLanes; ++i) v.raw[i] = T(p[i]);
  return v;
}
#endif

/// y = x * scale + shift over pixels of three channels: three registers hold as many pixels as one has lanes.
template <class T>
class PixelRow {
 public:
  explicit PixelRow(const FrameTransform& f) {
    for (int i = 0; i < kStep; ++i) {
      scale_[i] = T(f.scale[i % 3]);
      shift_[i] = T(f.shift[i % 3]);
    }
  }
  /// `n` bytes, whole pixels.
  void run(const uint8_t* x, T* y, int64_t n) const {
    const V s0 = V::load(scale_), s1 = V::load(scale_ + L), s2 = V::load(scale_ + 2 * L);
    const V b0 = V::load(shift_), b1 = V::load(shift_ + L), b2 = V::load(shift_ + 2 * L);
    int64_t i = 0;
    for (; i + kStep <= n; i += kStep) {
      fma(load_bytes<T>(x + i), s0, b0).store(y + i);
      fma(load_bytes<T>(x + i + L), s1, b1).store(y + i + L);
      fma(load_bytes<T>(x + i + 2 * L), s2, b2).store(y + i + 2 * L);
    }
    if (i == n) return;
    uint8_t rest[kStep] = {};
    __builtin_memcpy(rest, x + i, std::size_t(n - i));
    const V v[3] = {fma(load_bytes<T>(rest), s0, b0), fma(load_bytes<T>(rest + L), s1, b1),
                    fma(load_bytes<T>(rest + 2 * L), s2, b2)};
    for (int k = 0; k < 3 && i < n; ++k, i += L) v[k].store(y + i, int(n - i < L ? n - i : L));
  }

 private:
  using V = Vec<T>;
  static constexpr int L = V::kLanes;
  static constexpr int kStep = 3 * L;
  T scale_[kStep], shift_[kStep];
};

/// n pixels, `pixel` apart, whose channels are `channel` apart, side by side into `out`, which has room for kSlack more
/// bytes.
constexpr int64_t kSlack = 16;
inline void gather_pixels(const uint8_t* x, int64_t pixel, int64_t channel, int64_t n, uint8_t* out) {
  int64_t i = 0;
#if defined(__AVX2__)
  if (channel == 1 && pixel == -3 && n > 0) {
    // A mirrored row: five pixels of 16 bytes at a time. The sixteenth belongs to the pixel before, so there must be
    // one.
    for (int c = 0; c < 3; ++c) out[c] = x[c];
    i = 1;
    const __m128i mirror = _mm_setr_epi8(12, 13, 14, 9, 10, 11, 6, 7, 8, 3, 4, 5, 0, 1, 2, 15);
    for (; i + 5 <= n; i += 5) {
      const __m128i five = _mm_loadu_si128(reinterpret_cast<const __m128i_u*>(x - 3 * (i + 4)));
      _mm_storeu_si128(reinterpret_cast<__m128i_u*>(out + 3 * i), _mm_shuffle_epi8(five, mirror));
    }
  }
#endif
  for (; i < n; ++i)
    for (int c = 0; c < 3; ++c) out[3 * i + c] = x[i * pixel + c * channel];
}

template <class S>
void normalize_frames(const View& x, const FrameTransform& f, const View& y) {
  using T = Compute<S>;
  const int64_t frames = y.shape[2], height = y.shape[3], width = y.shape[4];
  const PixelRow<T> pixels(f);
  parallel_for(y.shape[0] * frames * height, 32768 / (3 * width) + 1, [&](int64_t begin, int64_t end) {
    uint8_t gathered[3 * kChunk + kSlack];
    alignas(64) T computed[3 * kChunk];
    for (int64_t i = begin; i < end; ++i) {
      const int64_t b = i / (frames * height), t = i / height % frames, h = i % height;
      const FrameWindow w = f.windows ? f.windows[b] : FrameWindow{};
      const int64_t first = w.flip ? w.left + width - 1 : w.left, pixel = w.flip ? -x.strides[4] : x.strides[4];
      const uint8_t* from =
          x.as<uint8_t>() + b * x.strides[0] + t * x.strides[2] + (w.top + h) * x.strides[3] + first * x.strides[4];
      S* to = y.as<S>() + b * y.strides[0] + t * y.strides[2] + h * y.strides[3];
      const bool direct = pixel == 3 && x.strides[1] == 1;
      if constexpr (__is_same(S, T)) {
        if (direct) {
          pixels.run(from, to, 3 * width);
          continue;
        }
      }
      for (int64_t j = 0; j < width; j += kChunk) {
        const int64_t n = width - j < kChunk ? width - j : kChunk;
        const uint8_t* bytes = from + j * pixel;
        if (!direct) {
          gather_pixels(bytes, pixel, x.strides[1], n, gathered);
          bytes = gathered;
        }
        if constexpr (__is_same(S, T)) {
          pixels.run(bytes, to + 3 * j, 3 * n);
        } else {
          pixels.run(bytes, computed, 3 * n);
          for (int64_t k = 0; k < 3 * n; ++k) to[3 * j + k] = narrow<S>(computed[k]);
        }
      }
    }
  });
}

}  // namespace

void add_frames(Kernels& k) {
  k.normalize_frames.f16 = &normalize_frames<f16>;
  k.normalize_frames.bf16 = &normalize_frames<bf16>;
  k.normalize_frames.f32 = &normalize_frames<float>;
  k.normalize_frames.f64 = &normalize_frames<double>;
}

}  // namespace ar::cpu::AR_ISA
