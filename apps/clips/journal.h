// What a run that cuts clips has done so far, on disk, so that it can be stopped at any moment and go on.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/clips/naming.h"

namespace ar::apps {

/// A clip that lies in the output folder.
struct ClipRecord {
  std::string file = {};                // inside the output folder
  std::string label = {};               // as the class is called
  double start = 0, end = 0, peak = 0;  // of the window, seconds in the source
  double score = 0;
  int64_t rank = 0;    // 1: the strongest of its video
  int64_t frames = 0;  // in the clip
  double lead = 0;     // seconds that the clip begins before `start`
};

struct VideoRecord {
  std::string path, name;
  int64_t bytes = 0, modified = 0;
  bool scored = false, done = false;
  std::string error = {};  // why it failed last
  std::vector<ClipRecord> clips = {};
};

/// OUT/journal.jsonl, append-only: one event per line. While it is open no other process can open that of the same
/// folder. All functions may be called from several threads.
class Journal {
 public:
  /// Makes the folder. Throws Error: it cannot be written, another run is at work there, or it was begun with other
  /// settings (a flat JSON object), naming the first that differs.
  Journal(const std::string& folder, const nlohmann::json& settings);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  /// The record of a video, which gets its name here. A file that has changed since begins anew. Throws Error when the
  /// file is not there.
  VideoRecord begin(const std::string& path);
  void scored(const VideoRecord& video);
  void clip(VideoRecord& video, const ClipRecord& clip);
  void done(VideoRecord& video);
  void failed(const VideoRecord& video, const std::string& error);
  /// All videos of this and former runs, by path.
  std::vector<VideoRecord> videos() const;

 private:
  void load(const nlohmann::json& settings);
  void append(const nlohmann::json& event);

  struct File;
  std::string folder_;
  std::unique_ptr<File> file_;
  mutable std::mutex mutex_;
  std::map<std::string, VideoRecord> videos_;
  VideoNames names_;
};

/// clips.csv: label, youtube_id (the video's stem), time_start, time_end, split as the Kinetics data set has them, then
/// score, rank, file. RFC 4180. The split of a candidate clip is left to its user; `split` goes into every row.
void write_clip_table(const std::string& path, const std::vector<VideoRecord>& videos, const std::string& split);
/// A field of RFC 4180, quoted where need be.
std::string csv_field(const std::string& text);

}  // namespace ar::apps
