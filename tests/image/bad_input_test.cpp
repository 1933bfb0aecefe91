// Files that are broken, forged or no pictures at all: always one clear error, and the old picture is kept.
#include <cstdlib>
#include <functional>
#include <string_view>

#include "tests/errors.h"
#include "tests/image/pictures.h"

namespace ar::io::test {
namespace {

using testing::AnyOf;
using testing::HasSubstr;
using testing::StartsWith;

std::string error_of_bytes(std::span<const uint8_t> bytes, const ImageLimits& limits = {}) {
  Image image;
  return error_of([&] { decode_image(bytes, limits, image); });
}

std::string error_of_text(std::string_view text) {
  return error_of_bytes({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

std::vector<std::string> pictures() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(picture_path(".")))
    if (entry.path().extension() != ".ppm") names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(BadInput, TruncatedAnywhere) {
  for (const std::string& name : pictures()) {
    const std::vector<uint8_t> bytes = read_bytes(picture_path(name));
    for (int tenths = 1; tenths < 10; ++tenths) {
      if (name == "animated.gif" && tenths > 4) continue;  // the frames behind the first do not matter
      EXPECT_THAT(error_of_bytes(std::span(bytes).first(bytes.size() * tenths / 10)),
                  AnyOf(StartsWith("truncated "), StartsWith("broken "), StartsWith("not an image")))
          << name << " cut at " << tenths << "0 %";
    }
  }
}

TEST(BadInput, AJpegWithAHole) {
  for (const char* name : {"420.jpg", "progressive.jpg", "cmyk.jpg", "grey.jpg", "rgb.jpg", "cmyk_plain.jpg"}) {
    std::vector<uint8_t> bytes = read_bytes(picture_path(name));
    bytes.erase(bytes.end() - 300, bytes.end() - 2);  // the marker of the end stays
    EXPECT_THAT(error_of_bytes(bytes), AnyOf(StartsWith("broken JPEG"), StartsWith("truncated JPEG"))) << name;
  }
}

/// Writes `value` at `at`, as a number of `count` bytes.
void put(std::vector<uint8_t>& bytes, size_t at, uint32_t value, int count, bool big_endian) {
  for (int i = 0; i < count; ++i) bytes.at(at + (big_endian ? count - 1 - i : i)) = uint8_t(value >> (8 * i));
}

size_t find(const std::vector<uint8_t>& bytes, std::string_view text) {
  return size_t(std::search(bytes.begin(), bytes.end(), text.begin(), text.end(),
                            [](uint8_t a, char b) { return a == uint8_t(b); }) -
                bytes.begin());
}

TEST(BadInput, ForgedSizes) {
  using Forge = std::function<void(std::vector<uint8_t>&)>;
  const struct {
    const char* file;
    const char* size;
    Forge forge;
  } kCases[] = {
      {"rgb.png", "81000x81000", [](auto& b) { put(b, 16, 81000, 4, true), put(b, 20, 81000, 4, true); }},
      {"rgb.png", "4294967295x4294967295", [](auto& b) { put(b, 16, ~0u, 4, true), put(b, 20, ~0u, 4, true); }},
      {"420.jpg", "65535x65535", [](auto& b) { put(b, find(b, "\xff\xc0") + 5, ~0u, 4, true); }},
      {"progressive.jpg", "65535x65535", [](auto& b) { put(b, find(b, "\xff\xc2") + 5, ~0u, 4, true); }},
      {"lossless_alpha.webp", "16384x16384", [](auto& b) { put(b, find(b, "VP8L") + 9, ~0u, 4, false); }},
      {"orientation8.webp", "16777216x16777216",
       [](auto& b) {
         put(b, find(b, "VP8X") + 12, ~0u, 3, false);
         put(b, find(b, "VP8X") + 15, ~0u, 3, false);
       }},
      {"palette.gif", "65535x65535", [](auto& b) { put(b, 6, ~0u, 4, false); }},
      {"rgb.bmp", "100000x100000", [](auto& b) { put(b, 18, 100000, 4, false), put(b, 22, 100000, 4, false); }},
      {"rgb.tiff", "4294967295x31",
       [](auto& b) {
         put(b, find(b, {"\0\1\4\0\1\0\0\0", 8}) + 8, ~0u, 4, false);
       }},
      {"420.avif", "4294967295x31", [](auto& b) { put(b, find(b, "ispe") + 8, ~0u, 4, true); }},
      {"lossless.jp2", "45x4294967295", [](auto& b) { put(b, find(b, "ihdr") + 4, ~0u, 4, true); }},
  };
  for (const auto& c : kCases) {
    std::vector<uint8_t> bytes = read_bytes(picture_path(c.file));
    c.forge(bytes);
    EXPECT_EQ(error_of_bytes(bytes), std::string(c.size) + " pixels, more than the limit of 89478485") << c.file;
  }
  EXPECT_EQ(error_of_text("P6 30000 30000 255\n..."), "30000x30000 pixels, more than the limit of 89478485");
}

TEST(BadInput, APngWithAFlippedBit) {
  const std::vector<uint8_t> good = read_bytes(picture_path("rgb.png"));
  const size_t data = find(good, "IDAT");
  for (size_t at : {data + 4, data + 40, good.size() - 20}) {
    std::vector<uint8_t> bytes = good;
    bytes[at] ^= 1;
    EXPECT_EQ(error_of_bytes(bytes), "broken PNG: the checksum of a chunk is wrong") << at;
  }
}

TEST(BadInput, TiffsThatWouldComeOutBlack) {
  // An entry is a tag, a type, a count and a value.
  const std::string_view compression("\3\1\3\0\1\0\0\0", 8), strips("\x11\1\4\0\1\0\0\0", 8);
  std::vector<uint8_t> jpeg = read_bytes(picture_path("rgb.tiff")), tiles = jpeg;
  put(jpeg, find(jpeg, compression) + 8, 7, 2, false);
  EXPECT_EQ(error_of_bytes(jpeg), "TIFF of an unsupported kind: compressed as JPEG");
  put(tiles, find(tiles, strips), 324, 2, false);
  EXPECT_EQ(error_of_bytes(tiles), "TIFF of an unsupported kind: in tiles");
}

TEST(BadInput, LimitsOfTheCaller) {
  for (const std::string& name : pictures()) {
    EXPECT_THAT(error_of_bytes(read_bytes(picture_path(name)), {.max_pixels = 45 * 31 - 1}),
                HasSubstr(" pixels, more than the limit of 1394"))
        << name;
    EXPECT_THAT(error_of_bytes(read_bytes(picture_path(name)), {.max_file_bytes = 100}),
                HasSubstr(" bytes, more than the limit of 100"));
  }
  Image image;
  EXPECT_MESSAGE(decode_image_file(picture_path("rgb.png"), {.max_file_bytes = 100}, image), "rgb.png: 2");
}

TEST(BadInput, NoPictures) {
  EXPECT_EQ(error_of_text(""), "empty file");
  EXPECT_EQ(error_of_text("<!DOCTYPE html><html><body>404"), "not an image (HTML page)");
  EXPECT_EQ(error_of_text("\xef\xbb\xbf  \n<!-- x --><HTML>"), "not an image (HTML page)");
  EXPECT_EQ(error_of_text("<?xml version='1.0'?><svg/>"), "not an image (SVG drawing, which is not supported)");
  EXPECT_EQ(error_of_text("<?xml version='1.0'?><Error>AccessDenied</Error>"), "not an image (XML document)");
  EXPECT_EQ(error_of_text("{\"error\": 403}"), "not an image (JSON text)");
  EXPECT_EQ(error_of_text("%PDF-1.4"), "not an image (PDF document)");
  EXPECT_EQ(error_of_text("Not found"), "not an image (text)");
  EXPECT_EQ(error_of_text(std::string(4096, '\0')), "not an image (nothing but zeros)");
  EXPECT_EQ(error_of_text(std::string_view("\0\0\0\x18"
                                           "ftypisom",
                                           12)),
            "not an image (video in an MP4 container)");
  EXPECT_EQ(error_of_text(std::string_view("\0\0\0\x18"
                                           "ftypheic",
                                           12)),
            "not an image (HEIC picture, which is not supported; convert it to JPEG)");
  // FFmpeg 5.1's decoder of JPEG XL never returns from this one.
  EXPECT_EQ(error_of_text({"\0\0\0\x0cJXL \r\n\x87\n\0\0!\0", 16}),
            "not an image (JPEG XL picture, which is not supported; convert it to JPEG)");
  EXPECT_EQ(error_of_text("\x01\x02\x03"), "not an image (unknown data)");
  EXPECT_EQ(error_of_text("\xff\xd8\xff"), "truncated JPEG");
  EXPECT_EQ(error_of_text("\xff\xd8\xff\xd9"), "broken JPEG: holds no picture");
}

TEST(BadInput, FilesAreNamed) {
  Image image;
  EXPECT_EQ(error_of([&] { decode_image_file("/no/such/file.jpg", {}, image); }),
            "/no/such/file.jpg: cannot be opened: No such file or directory");
  const std::string folder = picture_path("").string();
  EXPECT_EQ(error_of([&] { decode_image_file(folder, {}, image); }), folder + ": is a folder, not an image");
  const std::string script = AR_SOURCE_DIR "/README.md";
  EXPECT_EQ(error_of([&] { decode_image_file(script, {}, image); }), script + ": not an image (text)");
  EXPECT_EQ(error_of([&] { decode_image_file("/dev/null", {}, image); }), "/dev/null: is not a regular file");
}

TEST(BadInput, KeepsTheOldPicture) {
  const Image expected = read_ppm("base");
  Image image;
  decode_image_file(picture_path("rgb.png"), {}, image);
  for (const char* name : {"420.jpg", "lossless.webp", "exif6.jpg", "rgb.bmp"}) {
    std::vector<uint8_t> bytes = read_bytes(picture_path(name));
    bytes.resize(bytes.size() / 2);
    error_of([&] { decode_image(bytes, {}, image); });
    EXPECT_EQ(difference(image, expected).most, 0) << name;
  }
}

}  // namespace
}  // namespace ar::io::test
