#include "io/video_reader.h"

#include <utility>

#include "io/ffmpeg/frame_decoder.h"
#include "io/ffmpeg/scaler.h"

namespace ar::io {

using namespace ffmpeg;

namespace {

int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

Tensor padded(Dims shape) {
  const int last = shape.size() - 1;
  const int64_t width = shape[last];
  shape[last] = round_up(width, 16);
  return empty(shape, {.dtype = Dtype::u8, .row_align = 64}).narrow(last, 0, width);
}

}  // namespace

int64_t frame_row_bytes(int64_t width) { return round_up(3 * round_up(width, 16), 64); }

Tensor frame_batch(int64_t n, int64_t height, int64_t width) { return padded({n, 3, height, width}); }

Tensor clip_batch(int64_t batch, int64_t frames, int64_t height, int64_t width) {
  return padded({batch, 3, frames, height, width});
}

struct VideoReader::State {
  State(const VideoOptions& options, std::unique_ptr<Input> input)
      : decoder(std::move(input), options.threads), scaler(decoder.path(), decoder.facts().orientation, options) {}

  FrameDecoder decoder;
  FrameScaler scaler;
};

VideoReader::VideoReader(const std::string& path, const VideoOptions& options)
    : state_(std::make_unique<State>(options, std::make_unique<Input>(path))) {}

VideoReader::VideoReader(std::span<const std::byte> bytes, const std::string& name, const VideoOptions& options)
    : state_(std::make_unique<State>(options, std::make_unique<Input>(bytes, name))) {}

VideoReader::~VideoReader() = default;
VideoReader::VideoReader(VideoReader&&) noexcept = default;
VideoReader& VideoReader::operator=(VideoReader&&) noexcept = default;

const VideoFacts& VideoReader::facts() const { return state_->decoder.facts(); }
const std::string& VideoReader::path() const { return state_->decoder.path(); }
VideoStats VideoReader::stats() const { return state_->decoder.stats(); }

std::optional<FrameTime> VideoReader::decode() {
  if (!state_->decoder.decode()) return std::nullopt;
  return state_->decoder.time();
}

void VideoReader::write(const Tensor& slot) {
  AR_CHECK(state_->decoder.frame().width > 0, path(), ": no frame was decoded yet");
  state_->scaler.write(state_->decoder.frame(), slot);
}

std::optional<FrameTime> VideoReader::next(const Tensor& slot) {
  const auto time = decode();
  if (time) write(slot);
  return time;
}

std::optional<FrameTime> VideoReader::next(Tensor* frame) {
  const auto time = decode();
  if (time) {
    *frame = frame_batch(1, facts().height, facts().width)[0];
    write(*frame);
  }
  return time;
}

void VideoReader::seek(double seconds) { state_->decoder.seek(seconds); }
void VideoReader::seek_pts(int64_t pts) { state_->decoder.seek_pts(pts); }

void VideoReader::select(const VideoIndex& index, const std::vector<int64_t>& frames) {
  state_->decoder.select(index, frames);
}

}  // namespace ar::io
