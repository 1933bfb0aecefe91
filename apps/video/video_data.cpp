#include "apps/video/video_data.h"

#include <algorithm>
#include <map>
#include <set>

#include "apps/common/stop_signal.h"
#include "apps/report/progress.h"
#include "io/atomic_file.h"
#include "io/image_folder.h"
#include "io/image_write.h"
#include "io/resize.h"
#include "io/video_reader.h"
#include "io/video_scan.h"

namespace ar::apps {
namespace {

constexpr double kMissingAllowed = 0.05;

std::string plural(size_t n, const std::string& what) { return std::to_string(n) + " " + what + (n == 1 ? "" : "s"); }

/// "3 videos cannot be read, the first: ... (all in FILE)".
void report_problems(const VideoSet& set, const std::filesystem::path& file) {
  if (set.missing.empty() && set.bad.empty()) return;
  std::string text;
  for (const std::string& name : set.missing) text += name + "\tmissing\n";
  for (const std::string& problem : set.bad) text += problem + "\n";
  if (!file.empty()) io::write_file_atomically(file.string(), text);
  const std::string where = file.empty() ? "" : " (all in " + file.string() + ")";
  if (!set.missing.empty())
    log_line("note: " + plural(set.missing.size(), "video") +
             " of the list missing, the first: " + set.missing.front() + where);
  if (!set.bad.empty())
    log_line("note: " + plural(set.bad.size(), "video") + " cannot be read, the first: " + set.bad.front() + where);
}

void check_missing(const VideoDataOptions& o, const VideoSet& set, size_t listed) {
  if (o.allow_missing || double(set.missing.size()) <= kMissingAllowed * double(listed)) return;
  fail(o.lists.data_dir.string(), ": ", set.missing.size(), " of ", listed,
       " listed videos are missing, the first: ", set.missing.front(), "; is this the right folder for ",
       o.lists.annots_dir.empty() ? "--dataset " + o.lists.dataset : o.lists.annots_dir.string(),
       "? --allow-missing goes on without them");
}

}  // namespace

void add_video_data_options(CLI::App& app, VideoDataOptions& o) {
  auto* const data = app.add_option_group("Videos");
  data->add_option("--dataset", o.lists.dataset, "what the lists look like, or folder: one folder for each class")
      ->check(CLI::IsMember(io::video_dataset_names()));
  data->add_option("--data-dir", o.lists.data_dir, "folder of the videos")->required();
  data->add_option("--annots-dir", o.lists.annots_dir, "folder of the data set's published lists");
  data->add_option("--fold", o.lists.fold, "which of the published splits of UCF-101 and HMDB51")
      ->check(CLI::Range(1, 3));
  data->add_flag("--allow-missing", o.allow_missing, "go on when more than 5 % of the listed videos are not there");
}

VideoSet prepare_videos(const VideoDataOptions& o, Side side, const std::atomic<bool>* stop) {
  io::VideoLists lists = io::read_video_lists(o.lists);
  const std::vector<io::ListedVideo>& list = side == Side::train ? lists.train : lists.test;
  AR_CHECK(!list.empty(), o.lists.data_dir.string(), ": the ", side == Side::train ? "training" : "test",
           " list is empty");
  const io::FoundVideos found = io::find_videos(o.lists.data_dir, list);
  VideoSet set{.classes = std::move(lists.classes), .videos = {}, .groups = {}, .missing = found.missing, .bad = {}};

  std::vector<std::string> paths;
  for (const io::FoundVideo& v : found.videos) paths.push_back(v.path);
  Progress progress({.label = "indexing videos", .total = int64_t(paths.size()), .unit = "videos"});
  io::VideoScan scan = io::scan_videos(
      o.lists.data_dir, paths,
      {.workers = o.workers, .cache = {}, .progress = [&](int64_t done) { progress.update(done); }, .stop = stop});
  if (scan.stopped)
    throw Stopped("stopped while indexing " + o.lists.data_dir.string() + "; what was read is remembered");
  std::map<std::string, int64_t> group_number;
  for (size_t i = 0; i < paths.size(); ++i) {
    if (!scan.videos[i].bad.empty()) {
      set.bad.push_back(paths[i] + ": " + scan.videos[i].bad);
      continue;
    }
    set.videos.push_back({.path = (o.lists.data_dir / paths[i]).string(),
                          .name = paths[i],
                          .label = found.videos[i].label,
                          .index = std::make_shared<io::VideoIndex>(std::move(scan.videos[i].index))});
    set.groups.push_back(group_number.emplace(found.videos[i].group, int64_t(group_number.size())).first->second);
  }
  progress.finish(plural(set.videos.size(), "video") + " of " + std::to_string(set.classes.size()) + " classes in " +
                  o.lists.data_dir.string());
  if (!scan.cache_problem.empty()) log_line("note: " + scan.cache_problem);
  report_problems(set, o.problems);
  check_missing(o, set, list.size());
  AR_CHECK(!set.videos.empty(), o.lists.data_dir.string(), ": not one of ", list.size(), " listed videos can be read");
  return set;
}

VideoSplit split_videos(const VideoSet& set, double fraction, uint64_t seed, const io::SplitLists* saved) {
  VideoSplit result;
  if (saved) {
    const std::set<std::string> train(saved->train.begin(), saved->train.end()),
        validation(saved->validation.begin(), saved->validation.end());
    size_t known = 0;
    for (const io::ClipVideo& v : set.videos) {
      if (train.contains(v.name)) result.training.push_back(v);
      if (validation.contains(v.name)) result.validation.push_back(v);
    }
    known = result.training.size() + result.validation.size();
    if (known < train.size() + validation.size() || known < set.videos.size())
      log_line("note: since the checkpoint " + std::to_string(train.size() + validation.size() - known) +
               " videos vanished and " + std::to_string(set.videos.size() - known) +
               " came (not used); this run will differ from one never stopped");
    result.lists = *saved;
    return result;
  }
  std::vector<int64_t> labels;
  for (const io::ClipVideo& v : set.videos) labels.push_back(v.label);
  const io::Split split = io::stratified_split(labels, set.groups, fraction, seed);
  for (int64_t i : split.train) {
    result.training.push_back(set.videos[size_t(i)]);
    result.lists.train.push_back(set.videos[size_t(i)].name);
  }
  for (int64_t i : split.validation) {
    result.validation.push_back(set.videos[size_t(i)]);
    result.lists.validation.push_back(set.videos[size_t(i)].name);
  }
  return result;
}

std::vector<DataFact> facts_about(const VideoSet& set) {
  std::vector<DataFact> facts{
      {plural(set.videos.size(), "video") + " of " + std::to_string(set.classes.size()) + " classes"}};
  if (!set.missing.empty()) facts.push_back({plural(set.missing.size(), "listed video") + " missing", set.missing});
  if (!set.bad.empty()) facts.push_back({plural(set.bad.size(), "video") + " could not be read", set.bad});
  return facts;
}

namespace {
/// The frame in the middle, as a JPEG file.
std::string thumbnail(const io::ClipVideo& video) try {
  constexpr int64_t kWidth = 160;
  const io::VideoFacts& facts = video.index->facts;
  const int64_t height = std::clamp<int64_t>(facts.width > 0 ? kWidth * facts.height / facts.width : 120, 16, 320);
  const Tensor frame = io::clip_batch(1, 1, height, kWidth)[0];
  io::read_frames(video.path, *video.index, {video.index->frames() / 2}, frame);
  const std::vector<uint8_t> bytes = io::encode_jpeg(io::image_view(frame.select(1, 0)), 80);
  return {bytes.begin(), bytes.end()};
} catch (const Error&) {
  return "";  // gone since; the report does without
}
}  // namespace

void show_videos_of(const std::vector<io::ClipVideo>& videos, const std::function<int64_t(int64_t)>& video_of,
                    Report& report) {
  report.thumbnail = [&videos, video_of](int64_t i) { return thumbnail(videos[size_t(video_of(i))]); };
  report.sample_name = [&videos, video_of](int64_t i) { return videos[size_t(video_of(i))].name; };
}

}  // namespace ar::apps
