// What a picture is, without decoding it.
#include "io/image_info.h"

#include "tests/errors.h"
#include "tests/image/pictures.h"

namespace ar::io::test {
namespace {

TEST(ImageInfo, AgreesWithTheDecoder) {
  int known = 0;
  for (const auto& entry : std::filesystem::directory_iterator(picture_path("."))) {
    if (entry.path().extension() == ".ppm") continue;
    const std::vector<uint8_t> bytes = read_bytes(entry.path());
    Image image;
    decode_image(bytes, {}, image);
    const ImageInfo info = image_info(bytes);
    const std::string ending = entry.path().extension().string();
    EXPECT_TRUE(ending == "." + info.ending || (ending == ".tiff" && info.ending == "tif") ||
                (ending == ".jpeg" && info.ending == "jpg") || ending.starts_with(".p") || ending == ".j2k")
        << entry.path();
    if (info.width == 0) continue;
    EXPECT_EQ(info.width * info.height, int64_t{image.width()} * image.height()) << entry.path();
    ++known;
  }
  EXPECT_GT(known, 10);
  const std::string page = "<!doctype html><p>no picture";
  EXPECT_THAT(error_of([&] {
                image_info({reinterpret_cast<const uint8_t*>(page.data()), page.size()});
              }),
              testing::HasSubstr("not an image"));
}

}  // namespace
}  // namespace ar::io::test
