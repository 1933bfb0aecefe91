// Says what happens in videos, by a trained video classifier.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "apps/common/json_text.h"
#include "apps/common/program.h"
#include "apps/common/stop_signal.h"
#include "apps/report/progress.h"
#include "apps/train/options.h"
#include "apps/video/video_scores.h"

namespace {

using namespace ar;
using namespace ar::apps;

struct Options {
  std::filesystem::path checkpoint;
  std::vector<std::string> videos;
  int64_t stride = 8;
  int top = 5;
  bool ten_crop = false, timeline = false, json = false;
  MachineOptions machine;
};

struct Guess {
  std::string name;
  double probability = 0;
};

/// The most probable classes of a row of log-probabilities, of equal ones the lower first.
std::vector<Guess> best_of(const std::vector<double>& log_probs, const std::vector<std::string>& classes, int top) {
  std::vector<size_t> order(log_probs.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return log_probs[a] > log_probs[b]; });
  std::vector<Guess> best;
  for (size_t i = 0; i < order.size() && i < size_t(top); ++i)
    best.push_back({classes[order[i]], std::exp(log_probs[order[i]])});
  return best;
}

struct Second {
  int64_t second = 0;
  Guess guess;
};

/// Of each second the most probable class, by the mean probabilities of the clips that show some of it. A frame counts
/// until the next one comes, but for a minute at most: timestamps may jump by years.
std::vector<Second> timeline_of(const io::VideoIndex& index, const VideoScores& scores, const VideoModelInfo& info) {
  const std::vector<double> log_probs = scores.clips.to_vector<double>();
  const size_t classes = info.classes.size();
  const auto second_of = [&](int64_t frame) { return int64_t(std::floor(index.seconds(frame))); };
  struct Sum {
    std::vector<double> probabilities;
    int64_t clips = 0;
  };
  std::map<int64_t, Sum> sums;
  for (size_t i = 0; i < scores.starts.size(); ++i) {
    const int64_t last = std::min(scores.starts[i] + info.clip.span(), index.frames()) - 1;
    std::set<int64_t> shown;
    for (int64_t frame = scores.starts[i]; frame <= last; ++frame) {
      const int64_t from = second_of(frame), to = second_of(std::min(frame + 1, last));
      for (int64_t s = from; s <= std::min(to, from + 60); ++s) shown.insert(s);
    }
    for (int64_t s : shown) {
      Sum& sum = sums[s];
      sum.probabilities.resize(classes);
      ++sum.clips;
      for (size_t c = 0; c < classes; ++c) sum.probabilities[c] += std::exp(log_probs[i * classes + c]);
    }
  }
  std::vector<Second> timeline;
  for (auto& [second, sum] : sums) {
    for (double& p : sum.probabilities) p = std::log(p / double(sum.clips));
    timeline.push_back({second, best_of(sum.probabilities, info.classes, 1).front()});
  }
  return timeline;
}

void show(const Options& o, const io::ClipVideo& video, const VideoScores& scores, const VideoModelInfo& info) {
  const std::vector<Guess> best = best_of(scores.video.to_vector<double>(), info.classes, o.top);
  const std::vector<Second> timeline = o.timeline ? timeline_of(*video.index, scores, info) : std::vector<Second>();
  if (o.json) {
    nlohmann::json line{{"video", video.path}, {"top", nlohmann::json::array()}};
    for (const Guess& g : best) line["top"].push_back({{"class", g.name}, {"probability", g.probability}});
    for (const Second& s : timeline)
      line["timeline"].push_back({{"second", s.second}, {"class", s.guess.name}, {"probability", s.guess.probability}});
    std::printf("%s\n", json_text(line).c_str());
    return;
  }
  std::printf("%s\n", video.path.c_str());
  for (const Guess& g : best) std::printf("  %6.2f %%  %s\n", 100 * g.probability, g.name.c_str());
  for (const Second& s : timeline)
    std::printf("  %3lld:%02lld  %6.2f %%  %s\n", static_cast<long long>(s.second / 60),
                static_cast<long long>(s.second % 60), 100 * s.guess.probability, s.guess.name.c_str());
}

int run(const Options& o) {
  apply_machine_options(o.machine);
  const StopSignal stop_signal;
  VideoJudge judge(o.checkpoint, {.stride = o.stride, .ten_crop = o.ten_crop, .feature_cache = {}});
  bool all = true;
  for (const std::string& path : o.videos) {
    io::ClipVideo video{.path = path, .name = path, .label = 0, .index = nullptr};
    std::string problem;
    try {
      video.index = std::make_shared<io::VideoIndex>(io::index_video(path));
    } catch (const Error& e) {
      problem = e.what();
    }
    if (problem.empty()) {
      const bool done = judge.judge(
          {video},
          [&](size_t, const VideoScores& scores) {
            problem = scores.reason;
            if (problem.empty()) show(o, video, scores, judge.info());
          },
          &StopSignal::flag());
      if (!done) return 128 + StopSignal::received();
    }
    if (!problem.empty()) {
      all = false;
      log_line("error: " + problem);
    }
    std::fflush(stdout);
  }
  return all ? 0 : kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Says what happens in videos, by a checkpoint of ar-train-video.");
  add_common_options(app);
  Options o;
  app.add_option("--checkpoint", o.checkpoint, "a checkpoint of ar-train-video")->required();
  app.add_option("videos", o.videos, "video files")->required();
  app.add_option("--top", o.top, "most probable classes to name")->check(CLI::PositiveNumber);
  app.add_flag("--timeline", o.timeline, "also the most probable class of every second");
  app.add_flag("--json", o.json, "one JSON object a line, for each video");
  app.add_option("--clips-stride", o.stride, "frames from one clip of a video to the next")->check(CLI::PositiveNumber);
  app.add_flag("--ten-crop", o.ten_crop, "average over the middle, the corners and their mirror images");
  add_machine_options(app, o.machine);
  return run_program(app, argc, argv, [&] { return run(o); });
}
