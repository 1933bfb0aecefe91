// Every format and colour model against the pixels that Pillow reads.
#include <gtest/gtest.h>

#include <atomic>
#include <ostream>
#include <thread>

#include "tests/image/pictures.h"

namespace ar::io::test {
namespace {

struct Case {
  const char* file;
  const char* expected = nullptr;  // the .ppm to compare with; the file's own if there is none
  double mean = 0;                 // the largest mean difference allowed, of 255
  int most = 0;
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.file; }

class DecodeFormat : public testing::TestWithParam<Case> {};

TEST_P(DecodeFormat, AsPillow) {
  const Case& c = GetParam();
  Image image;
  decode_image_file(picture_path(c.file), {}, image);
  const Difference d = difference(image, read_ppm(c.expected ? c.expected : c.file));
  RecordProperty("mean", std::to_string(d.mean));
  RecordProperty("most", d.most);
  EXPECT_LE(d.mean, c.mean);
  EXPECT_LE(d.most, c.most);
}

// Lossless formats are exact. Lossy ones differ by the rounding of the inverse DCT and of the colour conversion; CMYK
// by that of libavcodec's product of colour and black, which rounds down; subsampled YCCK, by chroma that it repeats
// instead of interpolating.
constexpr Case kCases[] = {
    {"444.jpg", nullptr, 0.5, 4},
    {"422.jpg", nullptr, 0.5, 4},
    {"420.jpg", nullptr, 0.5, 4},
    {"411.jpg", nullptr, 0.5, 4},
    {"progressive.jpg", nullptr, 0.5, 4},
    {"restarts.jpg", nullptr, 0.5, 4},
    {"grey.jpg", nullptr, 0.5, 4},
    {"grey_progressive.jpg", nullptr, 0.5, 4},
    {"rgb.jpg", nullptr, 0.5, 4},
    {"cmyk.jpg", nullptr, 1.1, 4},
    {"cmyk_plain.jpg", nullptr, 1.1, 4},
    {"jfif_adobe_rgb.jpg", nullptr, 0.5, 4},
    {"ycck.jpg", nullptr, 1.1, 4},
    {"ycck_420.jpg", nullptr, 3, 40},
    {"cmyk_numbered.jpg", nullptr, 1.1, 4},
    {"cmyk_plain_numbered.jpg", nullptr, 1.1, 4},
    {"exif1.jpg", "base", 3, 30},
    {"exif2.jpg", "base", 3, 30},
    {"exif3.jpg", "base", 3, 30},
    {"exif4.jpg", "base", 3, 30},
    {"exif5.jpg", "base", 3, 30},
    {"exif6.jpg", "base", 3, 30},
    {"exif7.jpg", "base", 3, 30},
    {"exif8.jpg", "base", 3, 30},
    {"rgb.png", "base"},
    {"grey.png", "grey"},
    {"alpha.png", "on_white", 0.5, 1},
    {"orientation6.png", "base"},
    {"colour_key.png"},
    {"palette.png"},
    {"bilevel.png"},
    {"palette_transparent.png"},
    {"grey_alpha.png", nullptr, 0.5, 1},
    {"sixteen.png", "base"},
    {"grey_sixteen.png", "grey"},
    {"lossy.webp", nullptr, 0.5, 4},
    {"lossless.webp", "base"},
    {"lossy_alpha.webp", nullptr, 0.5, 4},
    {"lossless_alpha.webp", "on_white", 0.5, 1},
    {"orientation8.webp", "base"},
    {"animated.webp", "base"},
    {"partial.webp"},
    {"420.avif", nullptr, 1, 8},
    {"444.avif", nullptr, 0.5, 4},
    {"limited.avif", nullptr, 1, 8},
    {"orientation5.avif", nullptr, 0.5, 4},
    {"orientation6.avif", nullptr, 0.5, 4},
    {"orientation7.avif", nullptr, 0.5, 4},
    {"alpha.avif", nullptr, 1, 8},
    {"palette.gif"},
    {"animated.gif"},
    {"transparent.gif"},
    {"rgb.bmp", "base"},
    {"palette.bmp"},
    {"rgb.tiff", "base"},
    {"lzw.tiff", "base"},
    {"deflate.tiff", "base"},
    {"grey.tiff", "grey"},
    {"cmyk.tiff", nullptr, 1, 1},
    {"orientation3.tiff", "base"},
    {"lossless.jp2", "base"},
    {"rgb.pnm", "base"},
    {"grey.pnm", "grey"},
};

std::string test_name(const testing::TestParamInfo<Case>& info) {
  std::string name = info.param.file;
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

TEST(Decode, IntoThePicturesOwnMemory) {
  Image image;
  decode_image_file(picture_path("rgb.png"), {}, image);
  const Image expected = read_ppm("base");
  for (const char* name : {"420.jpg", "exif6.jpg", "lossless.webp", "rgb.png"}) {
    const std::vector<uint8_t> bytes = read_bytes(picture_path(name));
    decode_image(bytes, {}, image);
    EXPECT_LE(difference(image, expected).mean, 8) << name;
  }
}

TEST(Decode, KeepsMemoryUnlessItIsLarge) {
  Image image(100, 100);
  const uint8_t* first = image.view().data;
  image.reshape(99, 99);
  EXPECT_EQ(image.view().data, first);
  image.reshape(6000, 4000);
  const uint8_t* large = image.view().data;
  image.reshape(6000, 3900);
  EXPECT_EQ(image.view().data, large);
  image.reshape(100, 100);
  EXPECT_NE(image.view().data, large);
}

TEST(Decode, ByContentWhateverTheName) {
  const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "ar image test";
  const std::filesystem::path path = folder / "F\xc3\xbc\xc3\x9f\x65 \xe5\x86\x99\xe7\x9c\x9f.png";
  std::filesystem::create_directories(folder);
  std::filesystem::copy_file(picture_path("420.jpg"), path, std::filesystem::copy_options::overwrite_existing);
  Image image;
  decode_image_file(path, {}, image);
  std::filesystem::remove_all(folder);
  EXPECT_LE(difference(image, read_ppm("420.jpg")).mean, 0.5);
}

TEST(Decode, FromManyThreads) {
  std::vector<std::jthread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t, &wrong] {
      Image image;
      for (size_t i = 0; i < 3 * std::size(kCases); ++i) {
        const Case& c = kCases[(i + 11 * t) % std::size(kCases)];
        decode_image_file(picture_path(c.file), {}, image);
        if (difference(image, read_ppm(c.expected ? c.expected : c.file)).mean > c.mean) ++wrong;
      }
    });
  threads.clear();
  EXPECT_EQ(wrong, 0);
}

TEST(Decode, RealPhotographs) {
  const char* data = std::getenv("AR_TEST_DATA");
  if (!data || !std::filesystem::exists(std::filesystem::path(data) / "stanford8"))
    GTEST_SKIP() << "AR_TEST_DATA names no folder with stanford8";
  Image image;
  int count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(std::filesystem::path(data) / "stanford8")) {
    if (!entry.is_regular_file()) continue;
    decode_image_file(entry.path(), {}, image);
    EXPECT_GE(std::min(image.width(), image.height()), 100) << entry.path();
    ++count;
  }
  EXPECT_EQ(count, 800);
}

INSTANTIATE_TEST_SUITE_P(, DecodeFormat, testing::ValuesIn(kCases), test_name);

}  // namespace
}  // namespace ar::io::test
