// Decoding and scaling a video: frames per second through VideoReader and FrameBatcher, time to the first frame,
// memory. With --compare also the ffmpeg program on the same file, size and threads.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <thread>
#include <vector>

#include "io/video_batcher.h"
#include "io/video_reader.h"
#include "scrape/process.h"

namespace {

using namespace ar;
using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double peak_megabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return double(usage.ru_maxrss) / 1024;
}

/// Of this process, or of the programs it started: what a busy machine does not blur as much as wall time.
double cpu_seconds(int who) {
  rusage usage{};
  getrusage(who, &usage);
  const auto seconds = [](const timeval& t) { return double(t.tv_sec) + 1e-6 * double(t.tv_usec); };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Result {
  double seconds = 1e9, cpu = 1e9;
  int64_t frames = 0;
};

template <class F>
Result measured(int who, const F& run) {
  const double cpu = cpu_seconds(who);
  const auto start = Clock::now();
  Result r;
  r.frames = run();
  r.seconds = since(start);
  r.cpu = cpu_seconds(who) - cpu;
  return r;
}

int64_t read_all(const std::string& path, int threads, int64_t side) {
  io::VideoReader reader(path, {.threads = threads});
  const Tensor slots = io::frame_batch(16, side, side);
  int64_t frames = 0;
  while (reader.next(slots[frames % 16])) ++frames;
  return frames;
}

int64_t batch_all(const std::string& path, int threads, int64_t side) {
  io::FrameBatcher batcher(path, {.video = {.threads = threads}, .batch_size = 32, .height = side, .width = side});
  int64_t frames = 0;
  while (const auto batch = batcher.next()) frames += int64_t(batch->times.size());
  return frames;
}

void ffmpeg_program(const std::string& path, int threads, int64_t side) {
  const std::string size = "scale=" + std::to_string(side) + ":" + std::to_string(side) + ":flags=bilinear";
  const std::string n = std::to_string(threads);
  scrape::Process ffmpeg(
      {.command = {"ffmpeg", "-v", "error", "-nostdin", "-threads", n, "-i", path, "-an", "-vf", size, "-pix_fmt",
                   "rgb24", "-vsync", "passthrough", "-f", "rawvideo", "-y", "/dev/null"},
       .environment = {},
       .log = {}});
  while (ffmpeg.running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
}

void keep_best(Result& best, const Result& r) {
  best.seconds = std::min(best.seconds, r.seconds);
  best.cpu = std::min(best.cpu, r.cpu);
  best.frames = r.frames;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Measures how fast videos are decoded and scaled.");
  std::vector<std::string> paths;
  int threads = 1, rounds = 5;
  int64_t side = 224;
  bool compare = false;
  app.add_option("videos", paths, "files")->required();
  app.add_option("--threads", threads, "of the decoder");
  app.add_option("--size", side, "side of the scaled frames");
  app.add_option("--rounds", rounds, "the best of so many counts");
  app.add_flag("--compare", compare, "also run the ffmpeg program");
  CLI11_PARSE(app, argc, argv);
  try {
    for (const std::string& path : paths) {
      const auto start = Clock::now();
      {
        io::VideoReader reader(path, {.threads = threads});
        reader.next(io::frame_batch(1, side, side)[0]);
      }
      std::printf("%s: first frame after %.0f ms\n", path.c_str(), 1000 * since(start));
      Result best[3];
      // In turns, so that what else the machine does meets all alike.
      for (int round = 0; round < rounds; ++round) {
        keep_best(best[0], measured(RUSAGE_SELF, [&] { return read_all(path, threads, side); }));
        keep_best(best[1], measured(RUSAGE_SELF, [&] { return batch_all(path, threads, side); }));
        if (!compare) continue;
        keep_best(best[2], measured(RUSAGE_CHILDREN, [&] {
                    ffmpeg_program(path, threads, side);
                    return best[0].frames;
                  }));
      }
      const char* const names[3] = {"VideoReader", "FrameBatcher", "ffmpeg"};
      for (int i = 0; i < (compare ? 3 : 2); ++i)
        std::printf("  %-12s %8.3f s  %8.3f CPU s  %7.0f frames/s\n", names[i], best[i].seconds, best[i].cpu,
                    double(best[i].frames) / best[i].seconds);
      if (compare)
        std::printf("  VideoReader takes %.2f of ffmpeg's time, %.2f of its CPU time\n",
                    best[0].seconds / best[2].seconds, best[0].cpu / best[2].cpu);
    }
    std::printf("peak memory %.0f MB\n", peak_megabytes());
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return 1;
  }
}
