#include "apps/video/clip_pictures.h"

#include <algorithm>
#include <cstring>

#include "io/image_write.h"

namespace ar::apps {

std::string clip_picture(const io::Batch& batch, int64_t crop) {
  const Tensor pixels = batch.inputs.to(Device{});
  const int64_t side = std::max<int64_t>(crop / 2, 1), clips = std::min<int64_t>(batch.size(), 4);
  const int64_t steps = batch.inputs.size(2), columns = std::min<int64_t>(steps, 8);
  io::Image sheet(int(columns * side), int(clips * side));
  const io::MutableImageView view = sheet.view();
  for (int64_t i = 0; i < clips * columns; ++i) {
    const int64_t clip = i / columns, column = i % columns;
    const Tensor frame = pixels[clip].select(1, column * steps / columns);  // (3,H,W)
    const FrameWindow window = batch.windows.empty() ? FrameWindow() : batch.windows[size_t(clip)];
    for (int64_t y = 0; y < side; ++y) {
      const auto* row = frame.select(1, window.top + 2 * y).data<uint8_t>();
      uint8_t* const out = view.row(int(clip * side + y)) + 3 * column * side;
      for (int64_t x = 0; x < side; ++x)
        std::memcpy(out + 3 * x, row + 3 * (window.left + (window.flip ? crop - 1 - 2 * x : 2 * x)), 3);
    }
  }
  const std::vector<uint8_t> png = io::encode_png(sheet);
  return {png.begin(), png.end()};
}

}  // namespace ar::apps
