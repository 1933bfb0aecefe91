// Any bytes as a video: reading, scaling and seeking end with frames or an Error.
#include <cstddef>
#include <cstdint>

#include "io/video_reader.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace ar;
  try {
    io::VideoReader reader({reinterpret_cast<const std::byte*>(data), size}, "input");
    if (int64_t{reader.facts().width} * reader.facts().height > 1 << 22) return 0;  // right, but slow
    const Tensor slot = io::frame_batch(1, 24, 32)[0];
    for (int i = 0; i < 8 && reader.next(slot); ++i) {
    }
    reader.seek(reader.facts().duration.value_or(1) / 2);
    for (int i = 0; i < 4 && reader.next(slot); ++i) {
    }
    (void)reader.stats();
  } catch (const Error&) {
  }
  return 0;
}
