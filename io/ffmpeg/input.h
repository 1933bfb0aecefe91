// An opened video file: container, the chosen video stream, and nothing else that the file may refer to.
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "io/ffmpeg/handles.h"
#include "io/video_facts.h"

namespace ar::io::ffmpeg {

/// Reads one local file, or memory. Playlists, references to other files and network addresses inside the file are
/// refused: libav gets no way to open anything but these bytes.
class Input {
 public:
  /// Throws Error, path first: missing, empty, not a video, a still image, no video stream, encrypted. (Some
  /// encrypted files only show it in their packets; then read() throws.)
  explicit Input(const std::string& path);
  /// The same for bytes in memory, which the caller keeps alive. `name` stands for the path.
  Input(std::span<const std::byte> bytes, const std::string& name);
  ~Input();
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  const std::string& path() const { return path_; }
  AVFormatContext* format() const { return format_; }
  /// The video stream.
  AVStream* stream() const { return stream_; }
  /// The best sound stream that can be decoded, or null.
  AVStream* audio() const { return audio_; }
  const VideoFacts& facts() const { return facts_; }
  /// Packets of other streams than these are skipped from now on (audio only if asked for).
  void keep_streams(bool with_audio);
  /// The next packet, into an unreferenced one. False at the end; read errors are counted, and the file goes on behind
  /// them where it can.
  bool read(AVPacket* packet);
  int64_t read_errors() const { return read_errors_; }
  /// Do frames have the same timestamps after a seek as before? Some containers leave most of them to be guessed from
  /// the frames before.
  bool seeks_exactly() const;
  /// Back to the key frame at or before this timestamp of the video stream. False where the file cannot seek.
  bool seek(int64_t pts);
  /// Back to the very beginning.
  void rewind();

 private:
  struct Source;
  void open();
  void close();
  void choose_streams();
  void read_facts();
  void read_duration();

  std::string path_;
  std::unique_ptr<Source> source_;
  AVFormatContext* format_ = nullptr;
  AVStream* stream_ = nullptr;
  AVStream* audio_ = nullptr;
  VideoFacts facts_;
  int64_t read_errors_ = 0;
  bool with_audio_ = false;
};

/// A decoder for the stream, opened. Throws Error.
CodecContext open_decoder(const Input& input, AVStream* stream, int threads);

}  // namespace ar::io::ffmpeg
