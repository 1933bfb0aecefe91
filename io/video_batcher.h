// Decodes a video ahead of whoever works on its frames, into a bounded ring of batches.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/video_reader.h"
#include "tensor/tensor.h"

namespace ar::io {

struct BatcherOptions {
  VideoOptions video = {};
  int64_t batch_size = 64;
  int64_t height = 0, width = 0;  // of the frames in the batch; required
  int64_t every = 1;              // takes frames 0, n, 2n, ... of the video
  double fps = 0;                 // if > 0, instead: the first frame at or after each multiple of 1 / fps seconds
  int ring = 2;                   // batches decoded ahead at most
  Device device = {};             // whom batches are to be copied to: their memory is page-locked for it
};

struct FrameBatch {
  Tensor frames;                 // u8, logical (n,3,H,W), memory n,H,W,C with padded rows; n <= batch_size
  std::vector<FrameTime> times;  // n
};

/// A thread decodes and scales into ring + 1 batches that are used again and again, so memory does not grow with the
/// video and decoding overlaps with what the caller does.
class FrameBatcher {
 public:
  /// Throws Error as VideoReader does.
  FrameBatcher(const std::string& path, const BatcherOptions& options);
  /// Stops decoding where it is.
  ~FrameBatcher();
  FrameBatcher(const FrameBatcher&) = delete;
  FrameBatcher& operator=(const FrameBatcher&) = delete;

  const VideoFacts& facts() const;
  /// The next batch, or none at the end. Its memory is the caller's until the next call. Throws what decoding threw.
  std::optional<FrameBatch> next();
  /// After the end: of the whole video.
  VideoStats stats() const;
  /// Seconds that next() has waited for frames.
  double waited() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ar::io
