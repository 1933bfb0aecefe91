// Reads the frames of a video file, exactly timed, as RGB bytes in the caller's memory.
#pragma once
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/video_facts.h"
#include "io/video_index.h"
#include "tensor/tensor.h"

namespace ar::io {

/// How a picture is fitted into a slot of another aspect ratio.
enum class FrameFit {
  stretch,  // all of it, both axes scaled on their own
  cover,    // the middle part that has the slot's aspect ratio
};

struct VideoOptions {
  int threads = 1;  // of the decoder (by frames, where the codec can); 0: one per core
  FrameFit fit = FrameFit::stretch;
  double zoom = 1;  // with cover, >= 1: only the middle 1 / zoom of that part, each way
};

/// When a frame is shown.
struct FrameTime {
  int64_t pts = 0;       // in VideoFacts::time_base; strictly increasing from frame to frame
  int64_t duration = 0;  // in the same units; the nominal one where the file does not say
  double seconds = 0;    // since the video's start
};

/// What was read so far, and what of it was damaged.
struct VideoStats {
  int64_t frames = 0;       // decoded
  int64_t concealed = 0;    // of these, how many the decoder patched up or marked as corrupt
  int64_t bad_packets = 0;  // not decodable
  int64_t read_errors = 0;  // places where the container could not be read
  bool at_end = false;      // nothing more comes
  /// Seconds without a frame: gaps in a video of constant rate, and what the declared duration promises beyond the last
  /// frame, each longer than half a second.
  double missing_seconds = 0;
  /// Timestamps went back, and times go on from the frame before: a seek, which knows no frame before, would give
  /// others.
  bool times_corrected = false;
  double end_seconds = 0;  // when the last frame decoded so far ends
  bool damaged() const { return concealed || bad_packets || read_errors || missing_seconds > 0; }
};

/// Bytes from one row of a frame to the next that leave the scaler room for its vector stores: a multiple of 64.
int64_t frame_row_bytes(int64_t width);
/// A fresh u8 batch for frames, logical (N,3,H,W), memory N,H,W,C with padded rows: frames are scaled straight into
/// batch[n]. What lies between the rows means nothing.
Tensor frame_batch(int64_t n, int64_t height, int64_t width);
/// The same for clips: logical (B,3,T,H,W), memory B,T,H,W,C; a frame's slot is clips[b].select(1, t).
Tensor clip_batch(int64_t batch, int64_t frames, int64_t height, int64_t width);

/// The frames of one video stream (the largest; cover pictures do not count), in the order in which they are shown,
/// turned as the file says. One local file is read and nothing that it refers to: playlists are no videos here.
/// Damaged and cut files give the frames that can be decoded; stats() counts the rest.
class VideoReader {
 public:
  /// Throws Error, path first: cannot be read, empty, not a video, a still image, no video stream, encrypted (or
  /// that only when the first frame is asked for).
  explicit VideoReader(const std::string& path, const VideoOptions& options = {});
  /// A video in memory, kept alive by the caller; `name` stands for the path in messages.
  VideoReader(std::span<const std::byte> bytes, const std::string& name, const VideoOptions& options = {});
  ~VideoReader();
  VideoReader(VideoReader&&) noexcept;
  VideoReader& operator=(VideoReader&&) noexcept;

  const VideoFacts& facts() const;
  const std::string& path() const;
  VideoStats stats() const;

  /// The next frame, scaled (bilinear, over the whole area when shrinking) into slot: u8, logical (3,H,W), memory
  /// H x W x 3 with any row stride. Where rows have frame_row_bytes() of room the scaler writes there itself, and may
  /// change the bytes between the rows; else the rows are copied. None at the end.
  std::optional<FrameTime> next(const Tensor& slot);
  /// The next frame in its own size, as a fresh (3,H,W) view of a padded batch.
  std::optional<FrameTime> next(Tensor* frame);
  /// Decodes the next frame, unscaled; write() then puts it, any number of times, into slots.
  std::optional<FrameTime> decode();
  void write(const Tensor& slot);

  /// The next frame will be the first one at or after this time, exactly: decoding starts at the key frame before.
  void seek(double seconds);
  void seek_pts(int64_t pts);
  /// From now on only these frames come, numbered as in the index of this file; ascending. Frames that nothing wanted
  /// depends on are not decoded, and long gaps are jumped over. A frame that cannot be decoded is left out or replaced
  /// by the one after it.
  void select(const VideoIndex& index, const std::vector<int64_t>& frames);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ar::io
