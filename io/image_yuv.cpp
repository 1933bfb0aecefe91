#include "io/image_yuv.h"

#include <algorithm>
#include <cmath>
#include <vector>

#if defined(__x86_64__) || defined(__i386__)
#define AR_HAVE_SSSE3_TARGET
#include <tmmintrin.h>
#endif

namespace ar::io {
namespace {

/// The matrix in fixed point. With 16-bit halves of 32-bit products, (x << 7) * (k << 14) >> 16 has 5 fractional bits.
struct Matrix {
  int16_t y_offset, y, red_cr, green_cb, green_cr, blue_cb;

  explicit Matrix(const YuvPlanes& in) {
    const double luma = in.full_range ? 1 : 255.0 / 219, chroma = in.full_range ? 1 : 255.0 / 224;
    const double kg = 1 - in.kr - in.kb, red = 2 * (1 - in.kr) * chroma, blue = 2 * (1 - in.kb) * chroma;
    const auto fixed = [](double x, int bits) { return int16_t(std::lround(std::ldexp(x, bits))); };
    y_offset = in.full_range ? 0 : 16;
    y = fixed(luma, 14);
    red_cr = fixed(red, 13);
    blue_cb = fixed(blue, 13);
    green_cb = fixed(blue * in.kb / kg, 13);
    green_cr = fixed(red * in.kr / kg, 13);
  }
};

int high_half(int a, int b) { return a * b >> 16; }
uint8_t to_byte(int x) { return uint8_t(std::clamp(x >> 5, 0, 255)); }

void convert_row(const Matrix& m, const uint8_t* y, const uint8_t* cb, const uint8_t* cr, int begin, int end,
                 uint8_t* out) {
  for (int x = begin; x < end; ++x) {
    const int luma = high_half((y[x] - m.y_offset) * 128, m.y) + 16;
    const int blue = (cb[x] - 128) * 256, red = (cr[x] - 128) * 256;
    out[3 * x] = to_byte(luma + high_half(red, m.red_cr));
    out[3 * x + 1] = to_byte(luma - high_half(blue, m.green_cb) - high_half(red, m.green_cr));
    out[3 * x + 2] = to_byte(luma + high_half(blue, m.blue_cb));
  }
}

#ifdef AR_HAVE_SSSE3_TARGET
/// The same, 16 pixels at a time. Returns how many it has done.
__attribute__((target("ssse3"))) int convert_row_ssse3(const Matrix& m, const uint8_t* y, const uint8_t* cb,
                                                       const uint8_t* cr, int width, uint8_t* out) {
  const __m128i zero = _mm_setzero_si128(), centre = _mm_set1_epi8(char(0x80));
  const __m128i offset = _mm_set1_epi16(m.y_offset), round = _mm_set1_epi16(16), scale = _mm_set1_epi16(m.y);
  const __m128i red_cr = _mm_set1_epi16(m.red_cr), green_cr = _mm_set1_epi16(m.green_cr);
  const __m128i green_cb = _mm_set1_epi16(m.green_cb), blue_cb = _mm_set1_epi16(m.blue_cb);
  // Where byte i of the 48 comes from: pixel i/3; 0x80 gives zero.
  alignas(16) uint8_t order[9][16];
  for (int part = 0; part < 3; ++part)
    for (int i = 0; i < 16; ++i)
      for (int channel = 0; channel < 3; ++channel)
        order[3 * part + channel][i] = (16 * part + i) % 3 == channel ? uint8_t((16 * part + i) / 3) : 0x80;
  int x = 0;
  for (; x + 16 <= width; x += 16) {
    const __m128i luma = _mm_loadu_si128(reinterpret_cast<const __m128i*>(y + x));
    const __m128i blue = _mm_sub_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(cb + x)), centre);
    const __m128i red = _mm_sub_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(cr + x)), centre);
    __m128i half[2][3];
    for (int i = 0; i < 2; ++i) {
      // Unpacking above zeros multiplies signed bytes by 256.
      const __m128i b = i ? _mm_unpackhi_epi8(zero, blue) : _mm_unpacklo_epi8(zero, blue);
      const __m128i r = i ? _mm_unpackhi_epi8(zero, red) : _mm_unpacklo_epi8(zero, red);
      const __m128i l = _mm_sub_epi16(i ? _mm_unpackhi_epi8(luma, zero) : _mm_unpacklo_epi8(luma, zero), offset);
      const __m128i base = _mm_add_epi16(_mm_mulhi_epi16(_mm_slli_epi16(l, 7), scale), round);
      const __m128i green = _mm_add_epi16(_mm_mulhi_epi16(b, green_cb), _mm_mulhi_epi16(r, green_cr));
      half[i][0] = _mm_srai_epi16(_mm_add_epi16(base, _mm_mulhi_epi16(r, red_cr)), 5);
      half[i][1] = _mm_srai_epi16(_mm_sub_epi16(base, green), 5);
      half[i][2] = _mm_srai_epi16(_mm_add_epi16(base, _mm_mulhi_epi16(b, blue_cb)), 5);
    }
    __m128i channel[3];
    for (int c = 0; c < 3; ++c) channel[c] = _mm_packus_epi16(half[0][c], half[1][c]);
    for (int part = 0; part < 3; ++part) {
      __m128i mixed = zero;
      for (int c = 0; c < 3; ++c) {
        const __m128i from = _mm_load_si128(reinterpret_cast<const __m128i*>(order[3 * part + c]));
        mixed = _mm_or_si128(mixed, _mm_shuffle_epi8(channel[c], from));
      }
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + ptrdiff_t{3} * x + 16 * part), mixed);
    }
  }
  return x;
}
#endif

/// One chroma plane, enlarged row by row to the size of luma.
class Upsampler {
 public:
  Upsampler(const uint8_t* plane, ptrdiff_t stride, const YuvPlanes& in)
      : plane_(plane),
        stride_(stride),
        width_((in.width + (1 << in.shift_x) - 1) >> in.shift_x),
        height_((in.height + (1 << in.shift_y) - 1) >> in.shift_y),
        shift_x_(in.shift_x),
        shift_y_(in.shift_y),
        sums_(size_t(width_) + 2),
        row_((size_t(width_) << shift_x_) + 1) {}

  /// Row y of luma's height; valid until the next call.
  const uint8_t* row(int y) {
    const uint8_t* near = plane_ + (y >> shift_y_) * stride_;
    if (shift_y_ == 0 && shift_x_ == 0) return near;
    const int other = std::clamp((y >> shift_y_) + (y & 1 ? 1 : -1), 0, height_ - 1);
    const uint8_t* next = shift_y_ == 1 ? plane_ + other * stride_ : near;
    int16_t* const sum = sums_.data() + 1;
    for (int x = 0; x < width_; ++x) sum[x] = int16_t(3 * near[x] + next[x]);
    sum[-1] = sum[0];
    sum[width_] = sum[width_ - 1];
    uint8_t* const out = row_.data();
    if (shift_x_ == 1) {
      for (int x = 0; x < width_; ++x) {
        out[2 * x] = uint8_t((3 * sum[x] + sum[x - 1] + 8) >> 4);
        out[2 * x + 1] = uint8_t((3 * sum[x] + sum[x + 1] + 7) >> 4);
      }
    } else {
      for (int x = 0; x < width_ << shift_x_; ++x) out[x] = uint8_t((sum[x >> shift_x_] + 2) >> 2);
    }
    return out;
  }

 private:
  const uint8_t* plane_;
  ptrdiff_t stride_;
  int width_, height_, shift_x_, shift_y_;
  std::vector<int16_t> sums_;  // three parts of the nearest row and one of the next, with a copy at each end
  std::vector<uint8_t> row_;
};

}  // namespace

void yuv_to_rgb(const YuvPlanes& in, MutableImageView out) {
  const Matrix matrix(in);
  Upsampler cb(in.plane[1], in.stride[1], in), cr(in.plane[2], in.stride[2], in);
#ifdef AR_HAVE_SSSE3_TARGET
  const bool ssse3 = __builtin_cpu_supports("ssse3");
#endif
  for (int y = 0; y < in.height; ++y) {
    const uint8_t *luma = in.plane[0] + y * in.stride[0], *blue = cb.row(y), *red = cr.row(y);
    int done = 0;
#ifdef AR_HAVE_SSSE3_TARGET
    if (ssse3) done = convert_row_ssse3(matrix, luma, blue, red, in.width, out.row(y));
#endif
    convert_row(matrix, luma, blue, red, done, in.width, out.row(y));
  }
}

}  // namespace ar::io
