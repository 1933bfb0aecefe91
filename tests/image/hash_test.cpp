// Fingerprints: equal for what is the same picture to a human, different for different photographs.
#include <cstdlib>

#include "io/image_write.h"
#include "io/perceptual_hash.h"
#include "io/resize.h"
#include "io/sha256.h"
#include "tests/errors.h"
#include "tests/image/pictures.h"

namespace ar::io::test {
namespace {

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

TEST(Sha256, KnownDigests) {  // the examples of FIPS 180-4
  EXPECT_EQ(sha256_hex({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex(bytes_of("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(bytes_of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(PerceptualHash, Hamming) {
  EXPECT_EQ(hamming(0, 0), 0);
  EXPECT_EQ(hamming(0b1011, 0b0110), 3);
  EXPECT_EQ(hamming(0, ~uint64_t{0}), 64);
}

TEST(PerceptualHash, SurvivesWhatCopiesGoThrough) {
  const Image picture = read_ppm("resize");
  const uint64_t hash = perceptual_hash(picture);
  Image copy;
  decode_image(encode_jpeg(picture, 40), {}, copy);
  EXPECT_LE(hamming(hash, perceptual_hash(copy)), kNearIdentical);
  copy.reshape(61, 45);
  resize(picture, copy.view());
  EXPECT_LE(hamming(hash, perceptual_hash(copy)), kNearIdentical);
  resize(picture, {2, 1.5, 97, 72}, copy.view());
  EXPECT_LE(hamming(hash, perceptual_hash(copy)), kNearIdentical);
  copy = read_ppm("resize");
  for (int i = 0; i < 3 * copy.width() * copy.height(); ++i) {
    uint8_t& value = copy.view().data[i];
    value = uint8_t(std::min(255, value * 6 / 5));
  }
  EXPECT_LE(hamming(hash, perceptual_hash(copy)), kNearIdentical);

  resize(picture, copy.view(), true);  // a mirrored picture is another one
  EXPECT_GT(hamming(hash, perceptual_hash(copy)), kNearIdentical);
  EXPECT_ERROR(perceptual_hash(ImageView()), testing::HasSubstr("empty image"));
}

TEST(PerceptualHash, TellsRealPhotographsApart) {
  const char* data = std::getenv("AR_TEST_DATA");
  if (!data || !std::filesystem::exists(std::filesystem::path(data) / "stanford8"))
    GTEST_SKIP() << "AR_TEST_DATA names no folder with stanford8";
  std::vector<uint64_t> hashes;
  Image image, half;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(std::filesystem::path(data) / "stanford8")) {
    if (!entry.is_regular_file()) continue;
    decode_image_file(entry.path(), {}, image);
    hashes.push_back(perceptual_hash(image));
    if (hashes.size() % 8 != 0) continue;
    half.reshape(image.width() / 2, image.height() / 2);
    resize(image, half.view());
    decode_image(encode_jpeg(half, 50), {}, half);
    EXPECT_LE(hamming(hashes.back(), perceptual_hash(half)), kNearIdentical) << entry.path();
  }
  int close = 0;
  for (size_t i = 0; i < hashes.size(); ++i)
    for (size_t j = 0; j < i; ++j) close += hamming(hashes[i], hashes[j]) <= kNearIdentical;
  EXPECT_EQ(close, 0);
  EXPECT_EQ(hashes.size(), 800u);
}

TEST(ImageWrite, PngIsExactJpegIsClose) {
  const Image picture = read_ppm("base");
  // With gaps between rows.
  const ptrdiff_t stride = picture.view().stride + 7;
  std::vector<uint8_t> padded(size_t(stride) * picture.height(), 99);
  for (int y = 0; y < picture.height(); ++y)
    std::copy_n(picture.view().row(y), 3 * picture.width(), padded.data() + y * stride);
  const ImageView view{padded.data(), picture.width(), picture.height(), stride};
  Image back;
  decode_image(encode_png(view), {}, back);
  EXPECT_EQ(difference(back, picture).most, 0);
  decode_image(encode_jpeg(view, 95), {}, back);
  EXPECT_LE(difference(back, picture).mean, 3);
}

TEST(ImageWrite, BadArguments) {
  const Image picture(3, 2);
  EXPECT_EQ(error_of([&] { encode_jpeg(picture, 0); }), "encode_jpeg: quality must be from 1 to 100, is 0");
  EXPECT_EQ(error_of([&] { encode_png(ImageView()); }), "encode_png: empty image (0x0)");
  EXPECT_EQ(error_of([&] {
              encode_jpeg({nullptr, 70000, 1, 210000}, 90);
            }),
            "encode_jpeg: 70000x1 pixels are too many");
}

}  // namespace
}  // namespace ar::io::test
