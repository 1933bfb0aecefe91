// Decoding and scaling a video: frames per second through VideoReader and FrameBatcher, time to the first frame,
// memory. With --compare also the ffmpeg program on the same file, size and threads.
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
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

struct Result {
  double seconds;
  int64_t frames;
};

Result read_all(const std::string& path, int threads, int64_t height, int64_t width) {
  const auto start = Clock::now();
  io::VideoReader reader(path, {.threads = threads});
  const Tensor slots = io::frame_batch(16, height, width);
  Result r{0, 0};
  while (reader.next(slots[r.frames % 16])) ++r.frames;
  r.seconds = since(start);
  return r;
}

Result batch_all(const std::string& path, int threads, int64_t height, int64_t width) {
  const auto start = Clock::now();
  io::FrameBatcher batcher(path, {.video = {.threads = threads}, .batch_size = 32, .height = height, .width = width});
  Result r{0, 0};
  while (const auto batch = batcher.next()) r.frames += int64_t(batch->times.size());
  r.seconds = since(start);
  return r;
}

Result ffmpeg_program(const std::string& path, int threads, int64_t height, int64_t width, int64_t frames) {
  const std::string size = "scale=" + std::to_string(width) + ":" + std::to_string(height) + ":flags=bilinear";
  const auto start = Clock::now();
  scrape::output_of({"ffmpeg", "-v", "error", "-threads", std::to_string(threads), "-i", path, "-an", "-vf", size,
                     "-pix_fmt", "rgb24", "-vsync", "passthrough", "-f", "rawvideo", "-y", "/dev/null"},
                    600);
  return {since(start), frames};
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
      Result best[3] = {{1e9, 0}, {1e9, 0}, {1e9, 0}};
      // In turns, so that what else the machine does meets all alike.
      for (int round = 0; round < rounds; ++round) {
        const Result a = read_all(path, threads, side, side), b = batch_all(path, threads, side, side);
        if (a.seconds < best[0].seconds) best[0] = a;
        if (b.seconds < best[1].seconds) best[1] = b;
        if (!compare) continue;
        const Result c = ffmpeg_program(path, threads, side, side, a.frames);
        if (c.seconds < best[2].seconds) best[2] = c;
      }
      const char* const names[3] = {"VideoReader", "FrameBatcher", "ffmpeg"};
      for (int i = 0; i < (compare ? 3 : 2); ++i)
        std::printf("  %-12s %8.3f s  %7.0f frames/s\n", names[i], best[i].seconds,
                    double(best[i].frames) / best[i].seconds);
      if (compare) std::printf("  VideoReader takes %.2f of ffmpeg's time\n", best[0].seconds / best[2].seconds);
    }
    std::printf("peak memory %.0f MB\n", peak_megabytes());
    return 0;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return 1;
  }
}
