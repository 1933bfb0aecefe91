// What is known of a video before any of its frames is decoded.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>

namespace ar::io {

struct Rational {
  int64_t num = 0, den = 1;
  double value() const { return den ? double(num) / double(den) : 0; }
  friend bool operator==(const Rational&, const Rational&) = default;
};

/// How stored pictures become shown ones: transposed first, then mirrored. Phones store a rotation this way.
struct Orientation {
  bool transpose = false, flip_x = false, flip_y = false;
  bool identity() const { return !transpose && !flip_x && !flip_y; }
  /// Degrees clockwise that a stored picture is turned by (mirroring aside): 0, 90, 180 or 270.
  int degrees() const { return transpose ? (flip_x ? 90 : 270) : (flip_y ? 180 : 0); }
  friend bool operator==(const Orientation&, const Orientation&) = default;
};

struct VideoFacts {
  int width = 0, height = 0;  // of the picture as shown, in pixels: after the rotation
  Orientation orientation;
  Rational pixel_aspect{1, 1};        // width of a stored pixel over its height
  Rational frame_rate;                // average, frames per second; 0 when unknown
  Rational nominal_frame_rate;        // the rate that the container or codec declares; 0 when unknown
  Rational time_base{1, 1};           // seconds per unit of a timestamp
  int64_t start_pts = 0;              // timestamp of time 0: of the first frame, as the container declares it
  std::optional<double> duration;     // seconds; none when the container does not say
  bool duration_of_pictures = false;  // rather than that of the longest of several streams
  std::string container, codec, pixel_format;
  int streams = 0, video_streams = 0;
  bool has_audio = false;

  /// Seconds from time 0.
  double seconds(int64_t pts) const { return double(pts - start_pts) * time_base.value(); }
  /// The first timestamp at or after this time. A millionth of a unit early: so that the time of a frame, computed in
  /// floating point, finds that frame.
  int64_t pts_at(double seconds) const {
    return start_pts + int64_t(std::ceil(std::clamp(seconds / time_base.value(), -1e17, 1e17) - 1e-6));
  }
};

}  // namespace ar::io
