#include "io/resize.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "tensor/error.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace ar::io {
namespace {

// Weights are fixed-point numbers with this many fractional bits; those of one output add up to exactly 1.
constexpr int kBits = 14;
constexpr int kOne = 1 << kBits, kHalf = kOne / 2;

/// Which inputs an output is made of, and where their weights lie. The count is even, since multiply-add instructions
/// take pairs: where needed, a weight of zero is added.
struct Span {
  int first, count;
  size_t weights;
};

struct Filter {
  std::vector<Span> spans;  // one for each output
  std::vector<int16_t> weights;
  int most = 0;  // the largest count

  const int16_t* weights_of(const Span& span) const { return weights.data() + span.weights; }

  /// Inputs lie at 0..size-1; the outputs share [start, start + length) evenly.
  void build(int size, double start, double length, int outputs) {
    const double scale = length / outputs, support = std::max(scale, 1.0);
    spans.clear();
    weights.clear();
    most = 0;
    for (int i = 0; i < outputs; ++i) {
      const double centre = start + (i + 0.5) * scale;
      const int from = std::max(int(std::floor(centre - support + 0.5)), 0);
      const int to = std::min(int(std::floor(centre + support + 0.5)), size);
      exact_.clear();
      double sum = 0;
      for (int j = from; j < to; ++j) {
        exact_.push_back(std::max(0.0, 1 - std::abs(j + 0.5 - centre) / support));
        sum += exact_.back();
      }
      const int count = (to - from + 1) & ~1;
      spans.push_back({from, count, weights.size()});
      most = std::max(most, count);
      // Rounding the running sum keeps the total exact, and the shape too where a single weight is below the precision.
      double running = 0;
      int before = 0;
      for (const double weight : exact_) {
        running += weight / sum;
        const int now = int(std::lround(running * kOne));
        weights.push_back(int16_t(now - before));
        before = now;
      }
      if (count > to - from) weights.push_back(0);
    }
  }

 private:
  std::vector<double> exact_;
};

#ifdef __SSE2__
__m128i load_pair(const int16_t* weights) {  // both weights, in all four lanes
  int32_t pair;
  std::memcpy(&pair, weights, sizeof(pair));
  return _mm_set1_epi32(pair);
}
#endif

/// out[i] = sum over t of weights[t] * rows[t][i], for i in [begin, end).
void blend_rows(const uint8_t* const* rows, const int16_t* weights, int count, int begin, int end, uint8_t* out) {
  int i = begin;
#ifdef __SSE2__
  const __m128i zero = _mm_setzero_si128();
  for (; i + 16 <= end; i += 16) {
    __m128i sum0 = _mm_set1_epi32(kHalf), sum1 = sum0, sum2 = sum0, sum3 = sum0;
    for (int t = 0; t < count; t += 2) {
      const __m128i pair = load_pair(weights + t);
      const __m128i a = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[t] + i));
      const __m128i b = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[t + 1] + i));
      const __m128i low = _mm_unpacklo_epi8(a, b), high = _mm_unpackhi_epi8(a, b);
      sum0 = _mm_add_epi32(sum0, _mm_madd_epi16(_mm_unpacklo_epi8(low, zero), pair));
      sum1 = _mm_add_epi32(sum1, _mm_madd_epi16(_mm_unpackhi_epi8(low, zero), pair));
      sum2 = _mm_add_epi32(sum2, _mm_madd_epi16(_mm_unpacklo_epi8(high, zero), pair));
      sum3 = _mm_add_epi32(sum3, _mm_madd_epi16(_mm_unpackhi_epi8(high, zero), pair));
    }
    const __m128i low = _mm_packs_epi32(_mm_srai_epi32(sum0, kBits), _mm_srai_epi32(sum1, kBits));
    const __m128i high = _mm_packs_epi32(_mm_srai_epi32(sum2, kBits), _mm_srai_epi32(sum3, kBits));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), _mm_packus_epi16(low, high));
  }
#endif
  for (; i < end; ++i) {
    int sum = kHalf;
    for (int t = 0; t < count; ++t) sum += weights[t] * rows[t][i];
    out[i] = uint8_t(sum >> kBits);  // weights are positive and add up to 1: no overflow
  }
}

/// One pixel: the weighted sum of `count` neighbours. May read two bytes past the last one.
void blend_pixels(const uint8_t* pixels, const int16_t* weights, int count, uint8_t* out) {
#ifdef __SSE2__
  const __m128i zero = _mm_setzero_si128();
  __m128i sum = _mm_set1_epi32(kHalf);
  for (int t = 0; t < count; t += 2) {
    const __m128i two =
        _mm_loadl_epi64(reinterpret_cast<const __m128i*>(pixels + ptrdiff_t{3} * t));  // r g b R G B . .
    const __m128i mixed = _mm_unpacklo_epi8(two, _mm_srli_epi64(two, 24));             // r R g G b B . .
    sum = _mm_add_epi32(sum, _mm_madd_epi16(_mm_unpacklo_epi8(mixed, zero), load_pair(weights + t)));
  }
  sum = _mm_srai_epi32(sum, kBits);
  const int32_t rgb = _mm_cvtsi128_si32(_mm_packus_epi16(_mm_packs_epi32(sum, sum), zero));
  std::memcpy(out, &rgb, 3);
#else
  int sum[3] = {kHalf, kHalf, kHalf};
  for (int t = 0; t < count; ++t)
    for (int c = 0; c < 3; ++c) sum[c] += weights[t] * pixels[3 * t + c];
  for (int c = 0; c < 3; ++c) out[c] = uint8_t(sum[c] >> kBits);
#endif
}

/// Memory that a thread keeps from one call to the next.
struct Workspace {
  Filter columns, lines;
  std::vector<const uint8_t*> rows;
  std::vector<uint8_t> line;
};

}  // namespace

void resize(ImageView src, RectF box, MutableImageView dst, bool flip) {
  AR_CHECK(src.width > 0 && src.height > 0 && dst.width > 0 && dst.height > 0, "resize: empty image (", src.width, "x",
           src.height, " to ", dst.width, "x", dst.height, ")");
  AR_CHECK(box.x >= 0 && box.y >= 0 && box.width > 0 && box.height > 0 && box.x + box.width <= src.width &&
               box.y + box.height <= src.height,
           "resize: the box (x ", box.x, ", y ", box.y, ", ", box.width, "x", box.height, ") is not inside the image (",
           src.width, "x", src.height, ")");
  thread_local Workspace work;
  work.columns.build(src.width, box.x, box.width, dst.width);
  work.lines.build(src.height, box.y, box.height, dst.height);
  // Rows are blended first, into one line that stays in the cache; only the columns that some output needs. Behind its
  // end lies what weights of zero multiply.
  const Span &left = work.columns.spans.front(), &right = work.columns.spans.back();
  const int begin = 3 * left.first, end = 3 * std::min(right.first + right.count, src.width);
  work.line.resize(size_t{3} * src.width + 8);
  std::fill(work.line.begin() + end, work.line.end(), 0);
  work.rows.resize(work.lines.most);
  for (int y = 0; y < dst.height; ++y) {
    const Span& line = work.lines.spans[y];
    for (int t = 0; t < line.count; ++t) work.rows[t] = src.row(std::min(line.first + t, src.height - 1));
    blend_rows(work.rows.data(), work.lines.weights_of(line), line.count, begin, end, work.line.data());
    uint8_t* out = dst.row(y) + (flip ? ptrdiff_t{3} * (dst.width - 1) : 0);
    for (const Span& span : work.columns.spans) {
      blend_pixels(work.line.data() + ptrdiff_t{3} * span.first, work.columns.weights_of(span), span.count, out);
      out += flip ? -3 : 3;
    }
  }
}

void resize(ImageView src, MutableImageView dst, bool flip) {
  resize(src, {0, 0, double(src.width), double(src.height)}, dst, flip);
}

}  // namespace ar::io
