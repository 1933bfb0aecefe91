// Which pieces of a video to cut out: around the strongest responses of a frame classifier.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ar::apps {

/// A piece of a video, in seconds: [start, end).
struct ClipWindow {
  double start = 0, end = 0;
  double peak = 0;    // where the response is greatest
  double score = 0;   // the (smoothed) response there
  int64_t label = 0;  // the class that responds
  friend bool operator==(const ClipWindow&, const ClipWindow&) = default;
};

struct SelectionOptions {
  int64_t n_clips = 2;
  double clip_len = 10;  // seconds
  double smooth = 1;     // standard deviation of the Gaussian, in seconds; 0: none
  double min_gap = 0;    // seconds between two clips at least; negative: they may overlap by so much
  double min_score = 0;  // weaker responses give no clip
  bool raw_top = false;  // the frames of the greatest scores, whether peaks or not, close together or not
};

/// Scores smoothed over time: s'(t) = sum_j w_j g(t - t_j) s_j / sum_j w_j g(t - t_j) with a Gaussian g of deviation
/// `sigma` seconds (cut at 4 sigma) and w_j half the time between the neighbours of frame j, so that frames at uneven
/// distances count by the time they stand for. `seconds` ascends strictly.
std::vector<double> smooth_scores(std::span<const double> seconds, std::span<const double> scores, double sigma);

/// The frames that are no smaller than their neighbours and greater than what surrounds them; of a plateau its middle
/// one. The ends count if the curve falls away from them.
std::vector<size_t> find_peaks(std::span<const double> scores);

/// Candidate windows of one video, greatest score first. `curves[i]` are the scores of class `labels[i]` at `seconds`.
///
/// The rule is that of the Kinetics data set (Kay et al., arXiv 1705.06950, section 3, stage 2, obtaining candidate
/// clips: clips around the top k responses of a frame-level classifier): smooth each curve, take its peaks, and go
/// through the peaks of all curves from the greatest down (of equal ones the earlier, then the first class), accepting
/// one if its window keeps the distance to all accepted before, until n_clips are found. A window is centred on its
/// peak, and shifted where it would leave [0, duration], never shortened. A video no longer than clip_len gives one
/// window, all of it, for its greatest peak. Fewer frames than clips give fewer clips.
std::vector<ClipWindow> select_windows(std::span<const double> seconds, const std::vector<std::vector<double>>& curves,
                                       const std::vector<int64_t>& labels, double duration,
                                       const SelectionOptions& options);

}  // namespace ar::apps
