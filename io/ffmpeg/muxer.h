// An MP4 file being written, under a temporary name until it is complete.
#pragma once
#include <string>

#include "io/ffmpeg/handles.h"

namespace ar::io::ffmpeg {

class Muxer {
 public:
  /// Creates "PATH.tmp". Throws Error, path first.
  explicit Muxer(const std::string& path);
  /// Removes what commit() has not completed.
  ~Muxer();
  Muxer(const Muxer&) = delete;
  Muxer& operator=(const Muxer&) = delete;

  const std::string& path() const { return path_; }
  const std::string& temporary() const { return temporary_; }
  AVFormatContext* format() const { return format_; }
  AVStream* new_stream();
  /// After all streams are there.
  void write_header();
  /// The packet's timestamps are in `time_base`. Takes the packet over.
  void write(AVPacket* packet, AVStream* stream, AVRational time_base);
  /// Completes the temporary file and brings it to the disk.
  void finish();
  /// Gives it its name.
  void commit();
  /// Throws Error for libav's code, if it is one.
  void check(int code, const char* what) const;

 private:
  std::string path_, temporary_;
  AVFormatContext* format_ = nullptr;
  bool exists_ = false;
};

}  // namespace ar::io::ffmpeg
