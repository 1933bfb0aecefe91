#include "apps/clips/selection.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

#include "tensor/error.h"

namespace ar::apps {
namespace {

ClipWindow window_around(double peak, double duration, double length) {
  const double start = std::clamp(peak - length / 2, 0.0, std::max(0.0, duration - length));
  return {.start = start, .end = std::min(start + length, duration), .peak = peak};
}

}  // namespace

std::vector<double> smooth_scores(std::span<const double> seconds, std::span<const double> scores, double sigma) {
  AR_CHECK(seconds.size() == scores.size(), "smooth_scores: ", seconds.size(), " times, ", scores.size(), " scores");
  std::vector<double> smooth(scores.begin(), scores.end());
  const size_t n = scores.size();
  if (!(sigma > 0) || n < 2) return smooth;
  std::vector<double> weights(n);
  for (size_t i = 0; i < n; ++i)
    weights[i] = (seconds[std::min(i + 1, n - 1)] - seconds[i > 0 ? i - 1 : 0]) / (i > 0 && i + 1 < n ? 2 : 1);
  size_t first = 0;
  for (size_t i = 0; i < n; ++i) {
    while (seconds[i] - seconds[first] > 4 * sigma) ++first;
    double sum = 0, norm = 0;
    for (size_t j = first; j < n && seconds[j] - seconds[i] <= 4 * sigma; ++j) {
      const double distance = (seconds[j] - seconds[i]) / sigma;
      const double weight = weights[j] * std::exp(-distance * distance / 2);
      sum += weight * scores[j];
      norm += weight;
    }
    if (norm > 0) smooth[i] = sum / norm;
  }
  return smooth;
}

std::vector<size_t> find_peaks(std::span<const double> scores) {
  std::vector<size_t> peaks;
  for (size_t first = 0; first < scores.size();) {
    size_t end = first + 1;
    while (end < scores.size() && scores[end] == scores[first]) ++end;
    const bool rises = first == 0 || scores[first - 1] < scores[first];
    const bool falls = end == scores.size() || scores[end] < scores[first];
    if (rises && falls) peaks.push_back((first + end - 1) / 2);
    first = end;
  }
  return peaks;
}

std::vector<ClipWindow> select_windows(std::span<const double> seconds, const std::vector<std::vector<double>>& curves,
                                       const std::vector<int64_t>& labels, double duration,
                                       const SelectionOptions& options) {
  AR_CHECK(curves.size() == labels.size(), "select_windows: ", curves.size(), " curves, ", labels.size(), " labels");
  AR_CHECK(options.clip_len > 0, "select_windows: the length of a clip must be positive, it is ", options.clip_len);
  std::vector<ClipWindow> candidates;
  for (size_t c = 0; c < curves.size(); ++c) {
    const auto curve = smooth_scores(seconds, curves[c], options.raw_top ? 0 : options.smooth);
    std::vector<size_t> frames(curve.size());
    std::iota(frames.begin(), frames.end(), size_t{0});
    if (!options.raw_top) frames = find_peaks(curve);
    for (const size_t i : frames) {
      if (!(curve[i] >= options.min_score)) continue;
      ClipWindow window = window_around(seconds[i], duration, options.clip_len);
      window.score = curve[i];
      window.label = labels[c];
      candidates.push_back(window);
    }
  }
  std::stable_sort(candidates.begin(), candidates.end(), [](const ClipWindow& a, const ClipWindow& b) {
    return std::tuple(-a.score, a.peak) < std::tuple(-b.score, b.peak);
  });
  std::vector<ClipWindow> chosen;
  for (const ClipWindow& w : candidates) {
    if (int64_t(chosen.size()) >= options.n_clips) break;
    const bool free = std::all_of(chosen.begin(), chosen.end(), [&](const ClipWindow& other) {
      if (options.raw_top) return w.start != other.start;
      // A nanosecond, so that windows that touch are not kept apart by rounding.
      return std::max(w.start - other.end, other.start - w.end) >= options.min_gap - 1e-9;
    });
    if (free) chosen.push_back(w);
  }
  return chosen;
}

}  // namespace ar::apps
