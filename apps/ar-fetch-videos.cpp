// Fetches videos of actions from the web, by yt-dlp or from addresses, into a folder per action.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "apps/clips/fetch.h"
#include "apps/common/program.h"
#include "apps/common/stop_signal.h"
#include "apps/images/actions.h"

namespace {

using namespace ar::apps;

struct Options {
  std::string actions, suffix;
  double max_megabytes = 200, rate_megabytes = 0;
  FetchOptions fetch;
};

int run(Options& o) {
  o.fetch.max_bytes = int64_t(o.max_megabytes * (1 << 20));
  o.fetch.rate = int64_t(o.rate_megabytes * (1 << 20));
  const StopSignal stop;
  o.fetch.stop = &StopSignal::flag();
  const FetchResult r = fetch_videos(read_actions(o.actions, o.suffix), o.fetch);
  std::printf("%lld videos fetched, %lld were there, %lld searches or addresses failed\n",
              static_cast<long long>(r.fetched), static_cast<long long>(r.present), static_cast<long long>(r.failed));
  if (StopSignal::received()) return 128 + StopSignal::received();
  return r.failed ? kFailed : 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Fetches videos of actions, a folder for each. Searching is done by the program yt-dlp; addresses of video files "
      "are fetched without it. What was fetched once is not fetched again; manifest.jsonl says where each video is "
      "from and under which licence.");
  Options o;
  add_common_options(app);
  app.add_option("--actions", o.actions,
                 "file with an action per line, or ACTION<tab>QUERY;QUERY, where a query may be an address")
      ->required();
  app.add_option("--out-dir", o.fetch.out_dir, "folder for a folder per action")->required();
  app.add_option("--suffix", o.suffix, "added to every query that is no address");
  app.add_option("--count", o.fetch.count, "videos per action")->check(CLI::PositiveNumber);
  app.add_option("--max-duration", o.fetch.max_duration, "seconds of a video at most")->check(CLI::PositiveNumber);
  app.add_option("--max-megabytes", o.max_megabytes, "of a video")->check(CLI::PositiveNumber);
  app.add_option("--rate-megabytes", o.rate_megabytes, "per second; 0: no limit")->check(CLI::NonNegativeNumber);
  app.add_option("--max-height", o.fetch.max_height, "of the pictures, where there is a choice")
      ->check(CLI::PositiveNumber);
  app.add_option("--yt-dlp", o.fetch.yt_dlp, "name or path of that program");
  return run_program(app, argc, argv, [&] { return run(o); });
}
