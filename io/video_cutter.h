// Cuts a piece out of a video into an MP4 file of its own.
#pragma once
#include <cstdint>
#include <string>

namespace ar::io {

struct CutOptions {
  /// Takes the packets over as they are, instead of encoding again: fast and without loss, but the clip begins at the
  /// key frame at or before the start, and may end with a few frames more. For codecs that MP4 can hold.
  bool copy = false;
  bool audio = true;
  /// Decodes all frames from the file's start on, as VideoReader does without a seek: for sources whose
  /// VideoStats::times_corrected is true. Behind the place where its timestamps go back, clips have no sound.
  bool from_start = false;
  int crf = 18;                     // x264's quality: 0 (lossless) to 51
  std::string preset = "veryfast";  // x264's speed
  int threads = 0;                  // of decoder and encoder each; 0: one per core
};

struct Cut {
  int64_t frames = 0;         // in the file, counted after writing
  double start = 0;           // seconds in the source of the clip's first frame
  double end = 0;             // seconds in the source at which its last frame ends
  double lead = 0;            // seconds that copying had to begin before the start asked for
  int width = 0, height = 0;  // of the clip as shown
  bool cropped = false;       // an odd size lost its last row or column: H.264 in 4:2:0 has even sizes
  bool audio = false;         // a sound track was written
  int64_t damaged = 0;  // frames and packets of the source, within the clip, that could not be decoded as they were
  double missing_seconds = 0;  // of it that the damaged source has no frames for
};

/// Writes the frames of `source` whose times lie in [start, end) seconds to `out`, with the sound of the same time:
/// H.264 and AAC in MP4, index in front, to be played while it loads. Size, rotation, pixel aspect, colours and the
/// source's timestamps stay as they are (the clip begins at 0 with its first frame), also at variable frame rates.
///
/// `out` appears only when it is complete, on the disk, and has as many frames as were meant; before, "out.tmp" is
/// written, which goes on failure. Throws Error, path first: a source that cannot be read, no frame in the window, a
/// folder that cannot be written, a full disk; with copy also a codec that MP4 does not hold, frames whose times the
/// container does not tell, a key frame that is none.
Cut cut_clip(const std::string& source, double start, double end, const std::string& out,
             const CutOptions& options = {});

}  // namespace ar::io
