// From videos to clips: score the frames, select windows, cut them; many videos, and again where a run was stopped.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "apps/clips/journal.h"
#include "apps/clips/scores.h"
#include "apps/clips/selection.h"
#include "io/video_batcher.h"
#include "io/video_cutter.h"
#include "tensor/tensor.h"

namespace ar::apps {

/// The image classifier, seen from here.
struct FrameClassifier {
  std::vector<std::string> classes;
  int64_t image_size = 224;                                 // side of the square it looks at
  io::FrameFit fit = io::FrameFit::stretch;                 // how a frame becomes that square
  double zoom = 1;                                          // see VideoOptions
  Device device = {};                                       // where it takes frames
  std::function<Tensor(const Tensor&)> probabilities = {};  // u8 (N,3,S,S) -> f32 (N, classes), on any device
};

struct GenerateOptions {
  std::string out_dir;
  std::string action = "any";  // a class, "from-folder" or "any"
  SelectionOptions selection = {};
  io::CutOptions cut = {};
  int64_t every = 2;  // frames
  double fps = 0;     // if > 0, instead
  int64_t batch_size = 64;
  int jobs = 1;
  bool dry_run = false;                                // says what would be cut, writes nothing
  bool report = true;                                  // writes index.html
  bool quiet = false;                                  // no progress display
  std::string split = {};                              // for clips.csv
  nlohmann::json settings = nlohmann::json::object();  // what a run must share with the one it continues
  const std::atomic<bool>* stop = nullptr;             // ends the run early
};

/// Where the time of a run goes, in seconds, summed over the videos that are worked on at a time.
struct GenerateTimes {
  double classifying = 0;  // with the wait for another video's batch
  double waiting = 0;      // for decoded frames
  double cutting = 0;
};

struct GenerateResult {
  int64_t videos = 0;   // worked on by this run
  int64_t skipped = 0;  // done by a former one
  int64_t failed = 0;
  int64_t clips = 0;  // new ones
  bool stopped = false;
  GenerateTimes times = {};
};

/// Is the file named like a video?
bool has_video_ending(const std::string& path);

/// Files as they are; folders are searched for the usual video endings, in the order of their names, but not in the
/// folder `leave_out` below them; "-" stands for the lines of standard input. A file that is named twice, be it by a
/// symbolic link, comes once. Throws Error when there is none, or when `leave_out` itself is to be searched.
std::vector<std::string> find_videos(const std::vector<std::string>& paths, const std::string& leave_out = "");

/// The classes a video is scored for. Throws Error on an action that the classifier does not know. Letter case, '_' and
/// ' ' make no difference, and the safe_name() of a class will do.
std::vector<int64_t> wanted_classes(const std::string& action, const std::string& video,
                                    const std::vector<std::string>& classes);

/// Runs the classifier over a video: a batch is read back when the next one has been asked for. `progress` gets the
/// part done, from 0 to 1, after each batch; false stops. Adds to `times`, if given.
VideoScores score_video(const std::string& path, const FrameClassifier& classifier, const GenerateOptions& options,
                        const std::function<bool(double)>& progress, GenerateTimes* times = nullptr);

/// Leaves in out_dir: LABEL/*.mp4, scores/*.jsonl, journal.jsonl, and clips.csv and index.html of the clips there. A
/// video that cannot be read is reported on standard error and in the journal, and the others go on. Throws Error when
/// the folder cannot be used.
GenerateResult generate_clips(const std::vector<std::string>& videos, const FrameClassifier& classifier,
                              const GenerateOptions& options);

}  // namespace ar::apps
