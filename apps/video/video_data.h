// From lists of videos to the clips of a training or an evaluation: what is missing, what cannot be read, the split.
#pragma once
#include <CLI/CLI.hpp>
#include <atomic>
#include <filesystem>
#include <string>
#include <vector>

#include "apps/report/html_report.h"
#include "io/annotations.h"
#include "io/clips.h"
#include "io/split.h"

namespace ar::apps {

struct VideoDataOptions {
  io::AnnotationOptions lists = {};
  bool allow_missing = false;
  int workers = 2;                      // that index videos
  std::filesystem::path problems = {};  // a file for the names of missing and unreadable videos; empty: none
};

/// --dataset, --data-dir, --annots-dir, --fold, --allow-missing.
void add_video_data_options(CLI::App& app, VideoDataOptions& options);

/// Videos that are there and can be read.
struct VideoSet {
  std::vector<std::string> classes;
  std::vector<io::ClipVideo> videos;
  std::vector<int64_t> groups;  // of each video: those cut from one recording share a number
  std::vector<std::string> missing;
  std::vector<std::string> bad;  // "NAME: reason"
};

enum class Side { train, test };

/// Reads the lists, looks for the videos and indexes them, with progress and a summary on the terminal. Throws Error as
/// io::read_video_lists() and io::find_videos() do, when more than 5 % of the list are missing (unless allow_missing),
/// when no video is left, and Stopped when `stop` was set meanwhile.
VideoSet prepare_videos(const VideoDataOptions& options, Side side, const std::atomic<bool>* stop);

/// Two sets from one, recordings undivided; `saved` (of a checkpoint) decides where it knows a video.
struct VideoSplit {
  std::vector<io::ClipVideo> training, validation;
  io::SplitLists lists;  // names
};
VideoSplit split_videos(const VideoSet& set, double fraction, uint64_t seed, const io::SplitLists* saved);

/// What reports say about the data.
std::vector<DataFact> facts_about(const VideoSet& set);
/// Gives the report the thumbnails and names of a data set's samples, whose indices the metrics know; the videos must
/// outlive the report.
void show_videos_of(const std::vector<io::ClipVideo>& videos, const std::function<int64_t(int64_t)>& video_of,
                    Report& report);

}  // namespace ar::apps
