#include "apps/train/image_report.h"

#include <algorithm>
#include <cstring>

#include "io/image_write.h"
#include "io/resize.h"

namespace ar::apps {
namespace {

std::string as_text(const std::vector<uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace

std::string thumbnail(const std::filesystem::path& file) try {
  constexpr int kSide = 160;
  io::Image picture;
  io::decode_image_file(file, {}, picture);
  const double scale = std::min(1.0, double(kSide) / std::max(picture.width(), picture.height()));
  io::Image small(std::max(1, int(picture.width() * scale)), std::max(1, int(picture.height() * scale)));
  io::resize(picture, small.view());
  return as_text(io::encode_jpeg(small, 80));
} catch (const Error&) {
  return "";  // gone since; the report does without
}

void show_images_of(const io::ImageDataset& images, Report& report) {
  report.thumbnail = [&images](int64_t index) { return thumbnail(images.file(index)); };
  report.sample_name = [&images](int64_t index) { return images.name(index); };
}

std::vector<DataFact> facts_about(const ImageData& data) {
  std::vector<DataFact> facts;
  facts.push_back({std::to_string(data.training->size()) + " images to train on, " +
                   std::to_string(data.validation ? data.validation->size() : 0) + " to validate on"});
  if (!data.bad.empty()) {
    DataFact fact{std::to_string(data.bad.size()) + " files could not be read"};
    for (const io::BadFile& bad : data.bad) fact.details.push_back(bad.path + ": " + bad.reason);
    facts.push_back(std::move(fact));
  }
  if (data.duplicates.identical + data.duplicates.similar > 0)
    facts.push_back({std::to_string(data.duplicates.identical) + " copies and " +
                     std::to_string(data.duplicates.similar) +
                     " near copies of other images; none stands on both sides of the split"});
  return facts;
}

std::string sample_picture(const io::Batch& batch) {
  const Tensor pixels = batch.inputs.to(Device{});
  const int64_t count = std::min<int64_t>(batch.size(), 16), columns = std::min<int64_t>(count, 8);
  const int64_t rows = (count + columns - 1) / columns, height = batch.inputs.size(2), width = batch.inputs.size(3);
  io::Image sheet(int(columns * width), int(rows * height));
  const io::MutableImageView all = sheet.view();
  std::memset(all.data, 0, size_t(all.stride) * size_t(all.height));
  for (int64_t i = 0; i < count; ++i) {
    const io::MutableImageView image = io::image_view(pixels[i]);
    for (int y = 0; y < image.height; ++y)
      std::memcpy(all.row(int(i / columns * height) + y) + 3 * (i % columns) * width, image.row(y), size_t(3 * width));
  }
  return as_text(io::encode_png(sheet));
}

}  // namespace ar::apps
