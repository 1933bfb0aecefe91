// What came of the demonstration: its figures, whether they are good enough, and the page that shows them.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

namespace ar::apps::demo {

/// Figures below these are failures. Shares are of 1.
struct Bounds {
  double validation = 0;  ///< share of validation pictures that the image classifier names
  double clips = 0;       ///< share of clips with their middle inside the action
  double video = 0;       ///< share of test videos that the LRCN names
  double gain = 0;        ///< that less the same for single frames
};

struct Figures {
  int results = 0, kept = 0;  ///< pictures: found by the search, and kept
  int bad = 0, bad_kept = 0;  ///< results that are wrong, doubled or broken, and those of them that were kept
  double validation = 0;      ///< best epoch's
  int clips = 0, clips_right = 0;
  double video = 0, single_frame = 0;  ///< of the test videos
  int ordered = 0, ordered_right = 0;  ///< test videos of "sitting down" and "standing up", and those named
};

/// Reads what scripts/demo.sh leaves in a folder: data/, images/manifest.jsonl, logs/image/metrics.jsonl,
/// clips/clips.csv, lrcn.json. Throws Error where something is missing.
Figures read_figures(const std::filesystem::path& folder);
/// One line for each figure that is below its bound.
std::vector<std::string> failures(const Figures& figures, const Bounds& bounds);
/// "612 of 732 pictures kept; ..." in a few lines for the terminal.
std::string summary(const Figures& figures, const Bounds& bounds);
/// FOLDER/index.html.
void write_overview(const std::filesystem::path& folder, const Figures& figures, const Bounds& bounds);

}  // namespace ar::apps::demo
