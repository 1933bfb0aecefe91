// Pictures into an H.264 video.
#pragma once
#include <memory>
#include <string>

#include "io/image.h"

namespace ar::io {

struct VideoWriterOptions {
  int width = 0, height = 0;  // even, as 4:2:0 needs
  int rate = 25;              // frames per second
  int crf = 20;               // x264's quality: 0 (lossless) to 51
  std::string preset = "veryfast";
};

/// Writes an MP4 file, index in front. One thread encodes, so that the same pictures give the same bytes.
/// The file appears under its name by finish(); before, "PATH.tmp" is written, which goes with the object.
/// All functions throw Error, path first.
class VideoWriter {
 public:
  VideoWriter(const std::string& path, const VideoWriterOptions& options);
  ~VideoWriter();
  VideoWriter(const VideoWriter&) = delete;
  VideoWriter& operator=(const VideoWriter&) = delete;

  /// The next frame, of the video's size.
  void write(ImageView picture);
  void finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ar::io
