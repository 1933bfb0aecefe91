// A piece of a video's sound, exact to the sample, as AAC.
#pragma once
#include <memory>
#include <string>

#include "io/ffmpeg/input.h"
#include "io/ffmpeg/muxer.h"

namespace ar::io::ffmpeg {

/// Decodes the sound from `start` to about `end` (in seconds of the video's own time) and encodes it. Gaps become
/// silence, so that sound and picture stay together; what cannot be decoded is silent too.
class Sound {
 public:
  /// Reads `source` by itself, if `from_start` without a seek. The muxer's header is not written yet. Throws Error.
  Sound(const std::string& source, double start, double end, bool from_start, Muxer& muxer);
  ~Sound();
  Sound(const Sound&) = delete;
  Sound& operator=(const Sound&) = delete;

  /// Writes packets up to this time, in seconds from the start of the piece.
  void write_until(double seconds);
  /// Writes the rest, up to this time, which may lie a little beside `end`.
  void finish(double seconds);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ar::io::ffmpeg
