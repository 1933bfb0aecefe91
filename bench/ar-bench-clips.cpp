// Clips a second that the loader delivers from a folder of videos, and how fast the program ffmpeg decodes and scales
// the same frames: each clip by `ffmpeg -ss START -frames:v T`, and (without the cost of starting a program for each
// clip, and without seeking) whole files.
#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bench/program.h"
#include "io/annotations.h"
#include "io/clips.h"
#include "io/loader.h"
#include "io/video_scan.h"

namespace {

using namespace ar;

struct Options {
  std::string folder;
  int workers = 2;
  int64_t frames = 16, videos = 24, per_video = 4, height = 240, width = 320, batch = 4;
};

double seconds_of(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// Runs commands 0..n-1, so many at a time.
void run_all(int64_t n, int workers, const std::function<std::string(int64_t)>& command) {
  std::atomic<int64_t> next = 0;
  std::vector<std::jthread> threads;
  for (int w = 0; w < workers; ++w)
    threads.emplace_back([&] {
      for (int64_t i; (i = next++) < n;)
        if (std::system(command(i).c_str()) != 0) std::fprintf(stderr, "failed: %s\n", command(i).c_str());
    });
}

std::string in_quotes(const std::string& path) { return "'" + path + "'"; }

int run(int argc, char** argv) {
  Options o;
  CLI::App app("Clips a second, against the program ffmpeg");
  app.add_option("--data-dir", o.folder, "A folder with a sub-folder of videos for each class")->required();
  app.add_option("--workers", o.workers)->capture_default_str();
  app.add_option("--videos", o.videos, "So many, spread over the folder")->capture_default_str();
  app.add_option("--frames-per-clip", o.frames)->capture_default_str();
  app.add_option("--clips-per-video", o.per_video)->capture_default_str();
  app.add_option("--batch-size", o.batch)->capture_default_str();
  CLI11_PARSE(app, argc, argv);

  const io::VideoLists lists = io::read_video_lists({.dataset = "folder", .data_dir = o.folder, .annots_dir = {}});
  std::vector<std::string> paths;
  const int64_t all = int64_t(lists.train.size());
  for (int64_t i = 0; i < std::min(o.videos, all); ++i)
    paths.push_back(lists.train[size_t(i * all / std::min(o.videos, all))].name);
  const io::VideoScan scan = io::scan_videos(o.folder, paths, {.workers = o.workers});
  std::vector<io::ClipVideo> videos;
  int64_t total_frames = 0;
  for (size_t i = 0; i < paths.size(); ++i) {
    if (!scan.videos[i].bad.empty()) continue;
    videos.push_back({.path = o.folder + "/" + paths[i],
                      .name = paths[i],
                      .label = 0,
                      .index = std::make_shared<io::VideoIndex>(scan.videos[i].index)});
    total_frames += videos.back().index->frames();
  }
  const auto clips = std::make_shared<io::ClipDataset>(
      videos,
      io::ClipOptions{.clip = {.frames = o.frames}, .per_video = o.per_video, .height = o.height, .width = o.width});
  io::Loader loader(clips, io::sequential(clips->size()), {.batch_size = o.batch, .workers = o.workers});
  const auto epoch = [&] {
    loader.start(0);
    while (loader.next()) {
    }
  };
  epoch();  // files come into memory
  const std::string scale = " -vf scale=" + std::to_string(o.width) + ":" + std::to_string(o.height) +
                            ":flags=bilinear -pix_fmt rgb24 -f rawvideo -threads 1 -y /dev/null";
  const std::string program = "ffmpeg -nostdin -loglevel error -threads 1 ";
  const double ours = seconds_of(epoch);
  const double by_clip = seconds_of([&] {
    run_all(clips->size(), o.workers, [&](int64_t i) {
      const io::ClipVideo& v = videos[size_t(clips->video_of(i))];
      return program + "-ss " + std::to_string(v.index->seconds(clips->start_of(i))) + " -i " + in_quotes(v.path) +
             " -frames:v " + std::to_string(o.frames) + scale;
    });
  });
  const double by_file = seconds_of([&] {
    run_all(int64_t(videos.size()), o.workers,
            [&](int64_t i) { return program + "-i " + in_quotes(videos[size_t(i)].path) + scale; });
  });
  const double n = double(clips->size());
  std::printf("%lld clips of %lld frames, %d workers\n", static_cast<long long>(clips->size()),
              static_cast<long long>(o.frames), o.workers);
  std::printf("loader                   %7.1f clips/s\n", n / ours);
  std::printf("ffmpeg, clip by clip     %7.1f clips/s  loader is %.2f x\n", n / by_clip, by_clip / ours);
  const double file_rate = double(total_frames) / double(o.frames) / by_file;
  std::printf("ffmpeg, whole files      %7.1f clips/s  loader is %.2f x\n", file_rate, n / ours / file_rate);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  return ar::bench::run_or_complain([&] { return run(argc, argv); });
}
