// Says how good a video classifier is, by the protocol of Donahue et al. 2015: all clips of a video at a stride,
// probabilities averaged over steps and clips; and what its features say frame by frame.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "apps/common/json_text.h"
#include "apps/common/program.h"
#include "apps/common/stop_signal.h"
#include "apps/model/saved_split.h"
#include "apps/report/html_page.h"
#include "apps/report/progress.h"
#include "apps/train/options.h"
#include "apps/video/video_data.h"
#include "apps/video/video_scores.h"
#include "io/atomic_file.h"
#include "io/checkpoint_file.h"

namespace {

using namespace ar;
using namespace ar::apps;

struct Options {
  std::filesystem::path checkpoint, json, report, feature_cache;
  VideoDataOptions data;
  int64_t stride = 8;
  bool ten_crop = false;
  MachineOptions machine;
};

nlohmann::json top_k(const ClassificationMetrics& metrics) {
  return {{"top1", metrics.top(1)}, {"top3", metrics.top(3)}, {"top5", metrics.top(5)}, {"count", metrics.count()}};
}

void print(const char* what, const ClassificationMetrics& metrics) {
  std::printf("%-13s top-1 %6.2f %%, top-3 %6.2f %%, top-5 %6.2f %%  (%lld)\n", what, 100 * metrics.top(1),
              100 * metrics.top(3), 100 * metrics.top(5), static_cast<long long>(metrics.count()));
}

int run(const Options& o) {
  apply_machine_options(o.machine);
  const StopSignal stop_signal;
  VideoJudge judge(o.checkpoint, {.stride = o.stride,
                                  .ten_crop = o.ten_crop,
                                  .feature_cache = o.feature_cache.empty() ? feature_cache_folder() : o.feature_cache});
  VideoDataOptions data = o.data;
  data.lists.classes = judge.info().classes;
  const VideoSet set = prepare_videos(data, Side::test, &StopSignal::flag());

  std::vector<std::string> names;
  for (const io::ClipVideo& v : set.videos) names.push_back(v.name);
  const SeenSamples seen = seen_samples(judge.split(), names);
  tell_seen(seen, names.size(), "videos");

  ClassificationMetrics video(set.classes), clip(set.classes), single(set.classes);
  std::vector<std::string> bad = set.bad;
  Progress progress({.label = "evaluation", .total = int64_t(set.videos.size()), .unit = "videos"});
  const bool done = judge.judge(
      set.videos,
      [&](size_t v, const VideoScores& scores) {
        progress.advance();
        if (!scores.reason.empty()) {
          bad.push_back(set.videos[v].name + ": " + scores.reason);
          return;
        }
        const int64_t label = set.videos[v].label, clips = scores.clips.size(0);
        const auto target = [&](int64_t n) { return full({n}, double(label), {.dtype = Dtype::i64}); };
        video.add(scores.video, target(1), {int64_t(v)});
        clip.add(scores.clips, target(clips), std::vector<int64_t>(size_t(clips), int64_t(v)));
        single.add(scores.single_frame, target(1), {int64_t(v)});
      },
      &StopSignal::flag());
  if (!done)
    throw Stopped("stopped after " + std::to_string(video.count()) + " of " + std::to_string(set.videos.size()) +
                  " videos; no scores are written");
  AR_CHECK(video.count() > 0, o.data.lists.data_dir.string(), ": no video can be read");
  progress.finish(std::to_string(video.count()) + " videos, " + std::to_string(clip.count()) + " clips");

  print("video", video);
  print("clip", clip);
  print("single frame", single);
  std::printf("gain of the model over single frames: %+.2f points\n", 100 * (video.top(1) - single.top(1)));

  nlohmann::json scores = video.to_json();
  nlohmann::json result{{"video", top_k(video)},
                        {"clip", top_k(clip)},
                        {"single_frame", top_k(single)},
                        {"per_class", scores["per_class"]},
                        {"confusion", scores["confusion"]},
                        {"classes", scores["classes"]},
                        {"trained_on", seen.trained_on},
                        {"validated_on", seen.validated_on},
                        {"missing", set.missing.size()},
                        {"missing_videos", set.missing},
                        {"unreadable", bad.size()},
                        {"unreadable_videos", bad}};
  if (!o.report.empty()) {
    Report report{.title = "Evaluation of " + o.checkpoint.filename().string(),
                  .subtitle = o.data.lists.data_dir.string(),
                  .metrics = &video,
                  .facts = facts_about(set)};
    for (const auto& [name, metrics] : {std::pair{"clips, top-1", &clip}, {"single frames, top-1", &single}})
      report.tiles.push_back({percent(metrics->top(1)), name});
    show_videos_of(
        set.videos, [](int64_t i) { return i; }, report);
    write_html_report(o.report, report);
  }
  if (!o.json.empty()) io::write_file_atomically(o.json.string(), json_text(result, 1) + "\n");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Says how good a video classifier is on the test list of a data set: over whole videos, over single clips, and "
      "over single frames without what the model makes of time.");
  add_common_options(app);
  Options o;
  app.add_option("--checkpoint", o.checkpoint, "a checkpoint of ar-train-video")->required();
  add_video_data_options(app, o.data);
  app.add_option("--clips-stride", o.stride, "frames from one clip of a video to the next")->check(CLI::PositiveNumber);
  app.add_flag("--ten-crop", o.ten_crop, "average over the middle, the corners and their mirror images");
  app.add_option("--json", o.json,
                 "write video, clip and single_frame (top1, top3, top5 each), per_class, confusion, missing, "
                 "trained_on to this file");
  app.add_option("--report", o.report, "write a report with pictures to this HTML file");
  app.add_option("--feature-cache", o.feature_cache,
                 "folder where features of frames are kept; default: in $AR_CACHE or ~/.cache/ar");
  app.add_option("--data-loader-workers", o.data.workers, "threads that index videos")->check(CLI::Range(1, 256));
  add_machine_options(app, o.machine);
  return run_program(app, argc, argv, [&] { return run(o); });
}
