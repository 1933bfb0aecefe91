// The indices of all videos of a data set, made once and remembered.
#pragma once
#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "io/video_index.h"

namespace ar::io {

/// What is known of one video. Where `bad` is not empty, it says why the video is of no use, and the index is empty.
struct ScannedVideo {
  VideoIndex index;
  std::string bad;
};

struct VideoScan {
  std::vector<ScannedVideo> videos;  // as the paths that were given
  int64_t reused = 0;                // of them known from an earlier scan
  bool stopped = false;              // `stop` became true; what was read is remembered, the rest is missing
  std::string cache_problem;         // why nothing could be remembered; else empty
};

struct VideoScanOptions {
  int workers = 2;
  /// The file that remembers, by path, size and time of change; empty: below cache_root(), named after the root.
  std::filesystem::path cache = {};
  std::function<void(int64_t done)> progress = {};  // called from the calling thread
  const std::atomic<bool>* stop = nullptr;
};

/// Indexes the videos at these paths below a root. An unreadable video is no error; a file that cannot be opened or
/// read is tried again by the next scan. Of the facts the index of a
/// remembered video holds the size, the time base, the start and the rates.
VideoScan scan_videos(const std::filesystem::path& root, const std::vector<std::string>& paths,
                      const VideoScanOptions& options = {});

}  // namespace ar::io
