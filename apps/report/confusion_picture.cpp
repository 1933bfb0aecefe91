#include "apps/report/confusion_picture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

#include "io/image.h"
#include "io/image_write.h"

namespace ar::apps {
namespace {

using Colour = std::array<double, 3>;

constexpr Colour kWhite{255, 255, 255}, kInk{40, 46, 56}, kBlue{37, 99, 200}, kOrange{225, 90, 20},
    kLine{226, 229, 234};

// Digits of 3 by 5 points, the rows from the top, three bits each.
constexpr uint16_t kDigits[] = {075557, 026227, 071747, 071717, 055711, 074717, 074757, 071111, 075757, 075717};
constexpr int kDigitWidth = 3, kDigitHeight = 5, kDigitScale = 2;

Colour mixed(const Colour& a, const Colour& b, double share_of_b) {
  Colour out;
  for (size_t i = 0; i < 3; ++i) out[i] = a[i] + (b[i] - a[i]) * share_of_b;
  return out;
}

class Canvas {
 public:
  explicit Canvas(int size) : image_(size, size) { rectangle(0, 0, size, size, kWhite); }

  void rectangle(int x, int y, int width, int height, const Colour& colour) {
    const io::MutableImageView view = image_.view();
    for (int row = std::max(y, 0); row < std::min(y + height, view.height); ++row) {
      for (int column = std::max(x, 0); column < std::min(x + width, view.width); ++column) {
        for (int c = 0; c < 3; ++c) view.row(row)[3 * column + c] = uint8_t(std::lround(colour[size_t(c)]));
      }
    }
  }

  static int width_of(const std::string& number) { return (int(number.size()) * (kDigitWidth + 1) - 1) * kDigitScale; }

  /// Centred there.
  void number(int x, int y, const std::string& text, const Colour& colour) {
    x -= width_of(text) / 2;
    y -= kDigitHeight * kDigitScale / 2;
    for (const char c : text) {
      for (int bit = 0; bit < kDigitWidth * kDigitHeight; ++bit) {
        if (!(kDigits[c - '0'] >> (kDigitWidth * kDigitHeight - 1 - bit) & 1)) continue;
        rectangle(x + bit % kDigitWidth * kDigitScale, y + bit / kDigitWidth * kDigitScale, kDigitScale, kDigitScale,
                  colour);
      }
      x += (kDigitWidth + 1) * kDigitScale;
    }
  }

  std::string png() const {
    const std::vector<uint8_t> bytes = io::encode_png(image_);
    return {bytes.begin(), bytes.end()};
  }

 private:
  io::Image image_;
};

}  // namespace

std::string confusion_picture(const ClassificationMetrics& metrics) {
  const auto& confusion = metrics.confusion();
  const int n = int(confusion.size());
  const bool with_numbers = n <= 24;
  const int cell = with_numbers ? 36 : std::max(2, 800 / n), gap = with_numbers ? 2 : 0, margin = with_numbers ? 28 : 0;
  Canvas canvas(margin + n * cell + gap);
  for (int t = 0; t < n; ++t) {
    const auto& row = confusion[size_t(t)];
    int64_t all = 0;
    for (const int64_t count : row) all += count;
    const int middle = margin + t * cell + cell / 2;
    if (with_numbers) {
      canvas.number(margin / 2, middle, std::to_string(t), kInk);
      canvas.number(middle, margin / 2, std::to_string(t), kInk);
    }
    for (int p = 0; p < n; ++p) {
      const int64_t count = row[size_t(p)];
      const double strength = count > 0 ? std::sqrt(double(count) / double(all)) : 0;
      const int x = margin + p * cell + gap, y = margin + t * cell + gap, size = cell - gap;
      if (with_numbers) {
        canvas.rectangle(x, y, size, size, kLine);
        canvas.rectangle(x + 1, y + 1, size - 2, size - 2, mixed(kWhite, t == p ? kBlue : kOrange, strength));
        const std::string text = std::to_string(count);
        if (count > 0 && Canvas::width_of(text) < size) {
          canvas.number(x + size / 2, y + size / 2, text, strength > (t == p ? 0.6 : 0.8) ? kWhite : kInk);
        }
      } else if (count > 0) {
        canvas.rectangle(x, y, size, size, mixed(kWhite, t == p ? kBlue : kOrange, 0.4 + 0.6 * strength));
      }
    }
  }
  return canvas.png();
}

}  // namespace ar::apps
