// Builds an image data set, a folder of pictures for each class, from an image search.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <optional>

#include "apps/common/program.h"
#include "apps/common/stop_signal.h"
#include "apps/images/actions.h"
#include "apps/images/check_data_set.h"
#include "apps/images/check_engine.h"
#include "apps/images/doctor.h"
#include "apps/images/image_check.h"
#include "apps/report/progress.h"
#include "io/perceptual_hash.h"
#include "tensor/error.h"

namespace {

using namespace ar;
using namespace ar::apps;

constexpr int kProfileMismatch = 3;  // exit code: the search page has changed

struct Options {
  std::string actions, out;
  int64_t images = 100, max_pixels = 89'478'485;
  std::string engine = "google", driver = "auto", suffix, check_engine;
  bool headless = true, sandbox = true, retry_failed = false, check = false, ignore_robots = false, dry_run = false,
       doctor = false;
  int min_size = 64;
  uint64_t max_bytes = uint64_t{32} << 20;
  int near_distance = 8;
  scrape::BuildOptions build;
};

std::string summary(const std::string& name, const scrape::Ledger::Counts& counts) {
  std::string text = name + ": " + std::to_string(counts.kept) + " kept of " + std::to_string(counts.found) + " found";
  if (counts.duplicate > 0) text += ", " + std::to_string(counts.duplicate) + " duplicates";
  if (counts.cross_class > 0) text += ", " + std::to_string(counts.cross_class) + " also in other classes";
  if (counts.failed > 0) {
    text += ", " + std::to_string(counts.failed) + " failed (";
    const char* comma = "";
    for (const auto& [cause, count] : counts.causes) {
      text += comma + cause + " " + std::to_string(count);
      comma = ", ";
    }
    text += ")";
  }
  return text;
}

/// Prints the account of every class; how many images are kept in all.
int64_t report(const std::vector<scrape::ActionClass>& classes, const scrape::BuildResult& result) {
  scrape::Ledger::Counts all;
  for (size_t c = 0; c < classes.size(); ++c) {
    const auto& counts = result.counts[c];
    std::printf("%s\n", summary(classes[c].name, counts).c_str());
    all.found += counts.found;
    all.kept += counts.kept;
    all.duplicate += counts.duplicate;
    all.cross_class += counts.cross_class;
    all.failed += counts.failed;
    for (const auto& [cause, count] : counts.causes) all.causes[cause] += count;
  }
  std::printf("%s\n", summary("all " + std::to_string(classes.size()) + " classes", all).c_str());
  return all.kept;
}

int check(const std::string& folder) {
  const DataSetReport found = check_data_set(folder);
  for (const std::string& problem : found.problems) std::printf("%s\n", problem.c_str());
  std::printf("%ld classes, %ld images, %zu problems\n", static_cast<long>(found.classes),
              static_cast<long>(found.images), found.problems.size());
  return found.problems.empty() ? 0 : kFailed;
}

scrape::BrowserOptions browser_options(const Options& options) {
  scrape::BrowserOptions browser;
  browser.driver = options.driver;
  browser.headless = options.headless;
  browser.sandbox = options.sandbox;
  return browser;
}

std::unique_ptr<scrape::Engine> make_engine(const scrape::Profile& profile, const Options& options) {
  const std::string save_as = options.out + "/engine-" + profile.name;
  if (profile.api) return scrape::make_api_engine(profile, save_as);
  scrape::BrowserOptions browser = browser_options(options);
  browser.folder = options.out;
  browser.stop = &StopSignal::flag();
  return scrape::make_page_engine(profile, browser, save_as);
}

int search_once(Options& options) {
  if (options.out.empty()) options.out = ".";
  const scrape::Profile profile = scrape::find_profile(options.engine);
  const StopSignal signal;
  try {
    check_engine(*make_engine(profile, options), profile,
                 {.query = options.check_engine,
                  .safe = options.build.safe,
                  .license = options.build.license,
                  .wanted = 20,
                  .full = options.build.quality != scrape::Quality::kThumb,
                  .stop = &StopSignal::flag()});
  } catch (const scrape::ProfileMismatch& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return kProfileMismatch;
  }
  return 0;
}

int build(Options& options) {
  const std::vector<scrape::ActionClass> classes = read_actions(options.actions, options.suffix);
  const scrape::Profile profile = scrape::find_profile(options.engine);
  for (const scrape::ActionClass& one : classes) {  // also checks --safe-search and --license
    for (const std::string& query : one.queries) {
      const std::string url = scrape::search_url(profile, query, options.build.safe, options.build.license);
      if (options.dry_run) std::printf("%s\t%s\n", one.name.c_str(), url.c_str());
    }
  }
  scrape::check_data_set_folder(options.out);
  if (options.dry_run) {
    std::printf("%zu classes, up to %ld images each, into %s\n", classes.size(), static_cast<long>(options.images),
                options.out.c_str());
    return 0;
  }
  if (!profile.api) scrape::choose_driver(options.driver);

  const StopSignal signal;
  scrape::BuildOptions& build = options.build;
  build.ledger.folder = options.out;
  build.ledger.wanted = options.images;
  build.ledger.near_distance = options.near_distance;
  build.ledger.retry_failed = options.retry_failed;
  build.fetch.max_bytes = options.max_bytes;
  build.fetch.robots = !options.ignore_robots;
  build.stop = &StopSignal::flag();

  const ImageRules rules{options.min_size, options.max_pixels};

  scrape::BuildResult result;
  {
    std::optional<Progress> progress;
    result = scrape::build_data_set(
        classes, build, [&] { return make_engine(profile, options); },
        [&](const std::string& bytes) { return check_image(bytes, rules); },
        [&](const scrape::BuildProgress& state) {
          if (!progress)
            progress.emplace(ProgressOptions{.label = "building", .resumed = state.kept, .unit = "images"});
          progress->set_total(state.expected);
          progress->update(state.kept);
          progress->set("classes", std::to_string(state.classes_done) + "/" + std::to_string(state.classes));
          progress->set("failed", std::to_string(state.failed));
          progress->set("downloading", std::to_string(state.downloading));
          progress->set("search", state.searching.empty() ? "" : state.searching.front());
        });
  }
  const int64_t kept = report(classes, result);
  if (result.stopped) {
    std::printf("Stopped. The same command goes on from here.\n");
    return 128 + StopSignal::received();
  }
  for (size_t i = 1; i < result.search_errors.size(); ++i) log_line("search failed: " + result.search_errors[i]);
  if (!result.search_errors.empty()) {
    std::fprintf(stderr, "error: %s%s\n", result.search_errors.front().c_str(),
                 kept > 0 ? "; what was found is kept, the same command goes on from here" : "");
    return result.mismatch ? kProfileMismatch : kFailed;
  }
  AR_CHECK(kept > 0, options.out, ": not one image could be kept; see manifest.jsonl for the reasons");
  return 0;
}

int run(Options& options) {
  if (options.doctor) {
    const scrape::Profile profile = scrape::find_profile(options.engine);
    return run_doctor(browser_options(options), profile, options.out.empty() ? "." : options.out) ? 0 : kFailed;
  }
  while (options.out.size() > 1 && options.out.back() == '/') options.out.pop_back();
  if (options.check) return check(options.out);
  if (!options.check_engine.empty()) return search_once(options);
  return build(options);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Builds a data set of pictures, a folder for each action, by driving a browser over an image search."};
  add_common_options(app);
  Options options;
  scrape::BuildOptions& build = options.build;
  app.add_option("--actions", options.actions, "list of actions, one a line; NAME<TAB>QUERY;QUERY for other queries");
  app.add_option("--out-path", options.out, "folder of the data set; one that was begun is continued");
  app.add_option("--images-per-action", options.images, "images wanted for each action")
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--num-workers", build.fetch.workers, "download threads, each with up to 4 downloads at a time")
      ->check(CLI::Range(1, 256));
  app.add_option("--browsers", build.browsers, "browsers that search at the same time")->check(CLI::Range(1, 32));
  app.add_option("--engine", options.engine, "google, bing, duckduckgo, openverse, wikimedia or a profile, FILE.json");
  app.add_option("--driver", options.driver,
                 "auto, chromedriver, geckodriver, a path, or the URL of a running WebDriver");
  app.add_flag("--headless,!--no-headless", options.headless, "browse without a window");
  app.add_flag("--sandbox,!--no-sandbox", options.sandbox, "Chromium's sandbox; as root it is always without");
  const std::map<std::string, scrape::Quality> qualities = {
      {"best", scrape::Quality::kBest}, {"full", scrape::Quality::kFull}, {"thumb", scrape::Quality::kThumb}};
  app.add_option("--quality", build.quality, "full size, or else the thumbnail (best); only one of them (full, thumb)")
      ->transform(CLI::CheckedTransformer(qualities))
      ->default_str("best");
  app.add_option("--min-size", options.min_size, "shorter side of an image, in pixels")->check(CLI::Range(1, 65535));
  app.add_option("--max-pixels", options.max_pixels, "pixels of an image")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 30));
  app.add_option("--max-bytes", options.max_bytes, "size of a download")->transform(CLI::AsSizeValue(false));
  app.add_option("--rate", build.fetch.rate, "requests a second to one host; 0: no limit")->check(CLI::Range(0.0, 1e6));
  app.add_option("--timeout", build.fetch.timeout_s, "seconds for one download")->check(CLI::Range(0.1, 3600.0));
  app.add_option("--retries", build.fetch.retries, "further attempts after a failure that may pass")
      ->check(CLI::Range(0, 20));
  app.add_option("--safe-search", build.safe, "on, moderate or off, as far as the engine has it");
  app.add_option("--license", build.license,
                 "only images of this licence: cc, cc0, commercial, ... as the engine has it");
  app.add_option("--query-suffix", options.suffix, "words added to every query that is no address, such as \"person\"");
  app.add_option("--near-distance", options.near_distance, "differing bits of 64 in the hashes of the same picture")
      ->check(CLI::Range(0, 15));
  app.add_flag("--keep-cross-class", build.ledger.keep_cross_class, "keep pictures found in two classes, in both");
  app.add_flag("--retry-failed", options.retry_failed, "try again what failed in earlier runs");
  app.add_flag("--check", options.check, "verify the files of a data set against its manifest, and end");
  app.add_flag("--ignore-robots", options.ignore_robots, "do not ask robots.txt and X-Robots-Tag");
  app.add_flag("--allow-private", build.fetch.allow_private, "also download from loopback and private addresses");
  app.add_flag("--dry-run", options.dry_run, "print classes and search addresses, and end");
  app.add_option("--check-engine", options.check_engine,
                 "search for this once, show what each part of the engine's profile finds, and end");
  app.add_flag("--doctor", options.doctor, "look whether browser, driver, network and folder are fit, and end");
  app.callback([&] {
    if (options.doctor || !options.check_engine.empty()) return;
    if (options.out.empty()) throw CLI::RequiredError("--out-path");
    if (options.actions.empty() && !options.check) throw CLI::RequiredError("--actions");
  });
  return run_program(app, argc, argv, [&] { return run(options); });
}
