// What a frame classifier said about the frames of one video, compact: on disk and in memory.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace ar::apps {

/// Probabilities below 0.001 are not kept, the others are rounded to four digits; so an hour of video takes some
/// megabytes, whatever the number of classes, and what is read back is what was kept.
struct VideoScores {
  std::string path;
  double duration = 0;  // seconds
  int64_t frames = 0;   // in the video; scored were seconds.size() of them
  int64_t damaged = 0;  // frames and packets that could not be decoded as they were
  double missing_seconds = 0;
  bool times_corrected = false;  // see io::VideoStats
  std::vector<double> seconds = {};
  std::vector<std::vector<std::pair<int, float>>> probabilities = {};  // per frame: class and probability, by class

  /// Adds a frame from the probabilities of all classes.
  void add(double at, const float* probability, int64_t classes);
  /// The probability of one class at each frame; 0 where it was not kept.
  std::vector<double> curve(int64_t label) const;
  /// Classes by their greatest probability in any frame, descending, at most this many.
  std::vector<int64_t> strongest(size_t most) const;
};

/// scores/NAME.jsonl: a line about the video, {"video", "duration", "frames", "damaged", "missing_seconds",
/// "times_corrected", "scored", "classes"}, then one per frame, {"t": seconds, "p": {"class number": probability}}.
void write_scores(const std::string& path, const VideoScores& scores, const std::vector<std::string>& classes);
/// Throws Error, starting with the path, on a file that is not complete.
VideoScores read_scores(const std::string& path);

}  // namespace ar::apps
