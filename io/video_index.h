// The frames of a video file without their pictures: how many, when, and which are key frames.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "io/video_facts.h"

namespace ar::io {

struct VideoIndex {
  VideoFacts facts;
  std::vector<int64_t> pts;         // of every frame in the order shown, strictly increasing, in facts.time_base
  std::vector<int64_t> key_frames;  // numbers of those that the file calls key frames, ascending

  int64_t frames() const { return int64_t(pts.size()); }
  /// When frame i is shown, in seconds since the video's start.
  double seconds(int64_t i) const { return facts.seconds(pts[size_t(i)]); }
  /// The number of the first frame at or after this time; frames() when there is none.
  int64_t frame_at(double seconds) const;
  /// The last key frame at or before frame i; 0 when there is none.
  int64_t key_frame_before(int64_t i) const;
};

/// Reads the packets of the file without decoding them, except where the container does not say when frames are shown;
/// there it decodes. A frame whose packet is there but damaged counts. Throws Error as VideoReader does, and when there
/// is no frame at all.
VideoIndex index_video(const std::string& path);

}  // namespace ar::io
