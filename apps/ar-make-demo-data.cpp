// Draws data for every step of the pipeline: an image search, long videos, a data set of short ones; and serves the
// search.
#include <httplib.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "apps/common/program.h"
#include "apps/common/stop_signal.h"
#include "apps/demo/search_site.h"
#include "apps/demo/verdict.h"
#include "apps/demo/videos.h"
#include "apps/report/progress.h"
#include "io/atomic_file.h"
#include "tensor/error.h"

namespace {

using namespace ar;
using namespace ar::apps;
namespace fs = std::filesystem;

struct Options {
  fs::path out_dir, serve, profile, judge;
  uint64_t seed = 1;
  int port = 0;
  demo::SiteOptions site;
  demo::LongVideoOptions long_videos;
  demo::Ucf101Options ucf101;
  demo::Bounds bounds;
};

void make(const Options& o) {
  const auto step = [](const char* label, int total, const char* unit, const auto& write) {
    Progress progress({.label = label, .total = total, .unit = unit});
    write([&] {
      if (StopSignal::flag()) throw Stopped("stopped");
      progress.advance();
    });
    progress.finish(std::string(label) + ": " + std::to_string(total) + " " + unit);
  };
  step("image search", demo::count(o.site), "results",
       [&](const auto& done) { demo::write_search_site(o.out_dir / "site", o.site, done); });
  std::string names;
  for (const demo::Action* action : demo::pictured_actions()) names += std::string(action->name) + "\n";
  io::write_file_atomically((o.out_dir / "actions.names").string(), names);
  step("long videos", demo::count(o.long_videos), "videos",
       [&](const auto& done) { demo::write_long_videos(o.out_dir / "untrimmed", o.long_videos, done); });
  step("short videos", demo::count(o.ucf101), "videos",
       [&](const auto& done) { demo::write_ucf101(o.out_dir / "ucf-101", o.ucf101, done); });
}

void serve(const Options& o) {
  AR_CHECK(fs::exists(o.serve / "search.html"), o.serve.string(), ": holds no search.html; make it with --out-dir");
  httplib::Server server;
  server.set_mount_point("/", o.serve.string());
  server.set_keep_alive_max_count(1'000'000);
  server.set_tcp_nodelay(true);
  const int port =
      o.port > 0 ? (server.bind_to_port("127.0.0.1", o.port) ? o.port : -1) : server.bind_to_any_port("127.0.0.1");
  AR_CHECK(port > 0, "port ", o.port, " of 127.0.0.1 is taken; give another --port, or 0 for any");
  const std::string address = "http://127.0.0.1:" + std::to_string(port);
  std::thread thread([&] { server.listen_after_bind(); });
  while (!server.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  if (!o.profile.empty()) io::write_file_atomically(o.profile.string(), demo::engine_profile(address));
  std::printf("%s/search.html\n", address.c_str());
  std::fflush(stdout);
  while (!StopSignal::flag()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
  server.stop();
  thread.join();
}

int judge(const Options& o) {
  const demo::Figures figures = demo::read_figures(o.judge);
  demo::write_overview(o.judge, figures, o.bounds);
  std::printf("%s", demo::summary(figures, o.bounds).c_str());
  const std::vector<std::string> failures = demo::failures(figures, o.bounds);
  std::fflush(stdout);
  for (const std::string& line : failures) std::fprintf(stderr, "error: %s\n", line.c_str());
  return failures.empty() ? 0 : kFailed;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Draws people doing actions, as data to try the other programs with: an image search, long videos with known "
      "boundaries, and a data set in UCF-101's layout. The same seed gives the same files.");
  add_common_options(app);
  Options o;
  app.add_option("--out-dir", o.out_dir, "folder to write site/, untrimmed/, ucf-101/ and actions.names to");
  app.add_option("--seed", o.seed, "of all that is drawn");
  app.add_option("--images-per-action", o.site.per_action, "good results of the image search; bad ones are mixed in")
      ->check(CLI::Range(1, 900));
  app.add_option("--videos-per-action", o.long_videos.per_action, "long videos")->check(CLI::Range(1, 99));
  app.add_option("--groups", o.ucf101.groups, "persons and places in the data set of short videos")
      ->check(CLI::Range(2, 99));
  app.add_option("--clips-per-group", o.ucf101.per_group, "short videos of each action with each of them")
      ->check(CLI::Range(1, 99));
  auto* const serving = app.add_option_group("Serving");
  auto* const site = serving->add_option(
      "--serve", o.serve, "serve this folder, a site/ written before, on the loopback interface until stopped");
  serving->add_option("--port", o.port, "port to serve on; 0: any that is free")
      ->check(CLI::Range(0, 65535))
      ->needs(site);
  serving
      ->add_option("--profile", o.profile, "write the engine profile for ar-build-image-ds to this file, when serving")
      ->needs(site);
  auto* const judging = app.add_option_group("Judging");
  auto* const results = judging->add_option("--judge", o.judge,
                                            "read what scripts/demo.sh left in this folder, print the figures, write "
                                            "index.html there; fail if a figure is below its bound");
  const auto bound = [&](const char* name, double& value, const char* help) {
    judging->add_option(name, value, help)->check(CLI::Range(0.0, 1.0))->needs(results);
  };
  bound("--min-validation", o.bounds.validation, "validation pictures that the image classifier must name");
  bound("--min-clips", o.bounds.clips, "clips that must have their middle inside the action");
  bound("--min-video", o.bounds.video, "test videos that the LRCN must name");
  bound("--min-gain", o.bounds.gain, "that less the same for single frames");
  return run_program(app, argc, argv, [&] {
    AR_CHECK(!o.out_dir.empty() + !o.serve.empty() + !o.judge.empty() == 1,
             "give one of --out-dir, to make data, --serve, to serve them, and --judge, to see what came of them");
    o.site.seed = o.long_videos.seed = o.ucf101.seed = o.seed;
    const StopSignal stop_signal;
    if (!o.judge.empty()) return judge(o);
    o.serve.empty() ? make(o) : serve(o);
    return 0;
  });
}
