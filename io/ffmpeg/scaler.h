// Decoded pictures into RGB bytes of the caller: any pixel format, size and orientation.
#pragma once
#include <array>
#include <string>
#include <vector>

#include "io/ffmpeg/handles.h"
#include "io/video_reader.h"
#include "tensor/tensor.h"

namespace ar::io::ffmpeg {

/// The old "J" formats are the plain ones with full range, which is then set.
AVPixelFormat without_j(AVPixelFormat format, bool& full_range);

class FrameScaler {
 public:
  FrameScaler(std::string path, Orientation orientation, const VideoOptions& options)
      : path_(std::move(path)),
        orientation_(orientation),
        cover_(options.fit == FrameFit::cover),
        zoom_(options.zoom >= 1 ? options.zoom : 1) {}
  /// Writes the picture into slot: u8, logical (3,H,W), memory H x W x 3 with any row stride. Throws Error.
  void write(const AVFrame& frame, const Tensor& slot);

 private:
  struct Rows {
    uint8_t* data;
    int pitch;  // bytes
  };
  void scale(const AVFrame& frame, Rows to, int width, int height);

  std::string path_;
  Orientation orientation_;
  bool cover_;
  double zoom_;
  Scaler scaler_;
  std::array<int, 7> told_ = {};  // what scaler_ was made for, and told of colours: see scale()
  std::vector<uint8_t> scratch_;
};

}  // namespace ar::io::ffmpeg
