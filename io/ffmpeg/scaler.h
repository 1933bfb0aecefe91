// Decoded pictures into RGB bytes of the caller: any pixel format, size and orientation.
#pragma once
#include <string>
#include <vector>

#include "io/ffmpeg/handles.h"
#include "io/video_facts.h"
#include "tensor/tensor.h"

namespace ar::io::ffmpeg {

class FrameScaler {
 public:
  /// `cover`: the middle of the picture that has the slot's aspect ratio; else all of it, stretched.
  FrameScaler(std::string path, Orientation orientation, bool cover)
      : path_(std::move(path)), orientation_(orientation), cover_(cover) {}
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
  Scaler scaler_;
  int colours_[3] = {-1, -1, -1};  // what scaler_ was told of colours: source format, matrix, range
  std::vector<uint8_t> scratch_;
};

}  // namespace ar::io::ffmpeg
