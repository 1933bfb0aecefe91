// Videos of actions from the web: searched and fetched by yt-dlp, or from addresses of files.
#pragma once
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "scrape/builder.h"

namespace ar::apps {

struct FetchOptions {
  std::string out_dir;
  int64_t count = 20;                      // videos per action
  double max_duration = 600;               // seconds
  int64_t max_bytes = int64_t{200} << 20;  // per video
  int64_t rate = 0;                        // bytes per second; 0: no limit
  int max_height = 480;                    // of the pictures, where there is a choice
  std::string yt_dlp = "yt-dlp";           // name or path of the program
  const std::atomic<bool>* stop = nullptr;
};

struct FetchResult {
  int64_t fetched = 0, present = 0,
          failed = 0;  // videos: new, of former runs; addresses and searches that gave nothing
};

/// For each class the queries are search terms, or addresses (http, https). Addresses whose path ends like a video file
/// are fetched as they are; for other addresses and for searches yt-dlp is started, its arguments as a list, no shell
/// between.
///
/// Leaves out_dir/CLASS/*.mp4 (or as the file is), manifest.jsonl with a line per video {"action", "url", "id",
/// "title", "license", "uploader", "duration", "file"}, archive.txt (yt-dlp's, so that nothing is fetched twice) and
/// yt-dlp.log. What a killed run fetched and did not list is listed by the next. What fails is reported on standard
/// error, the rest goes on. Throws Error when yt-dlp is needed and missing, out_dir cannot be written, or another run
/// writes there.
FetchResult fetch_videos(const std::vector<scrape::ActionClass>& actions, const FetchOptions& options);

/// yt-dlp's arguments for one search or address: at most `count` videos into `folder`, a JSON line for each in `lines`.
std::vector<std::string> yt_dlp_arguments(const std::string& query, const std::string& folder, const std::string& lines,
                                          int64_t count, int64_t look_at, const FetchOptions& options);

}  // namespace ar::apps
