#include "apps/clips/fetch.h"

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <thread>

#include "apps/clips/generator.h"
#include "apps/clips/naming.h"
#include "apps/common/folder_lock.h"
#include "apps/report/progress.h"
#include "apps/report/text.h"
#include "io/jsonl.h"
#include "io/video_reader.h"
#include "scrape/download.h"
#include "scrape/process.h"
#include "scrape/url.h"

namespace ar::apps {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

/// The last part of an address's path.
std::string file_name_of(const std::string& url) {
  std::string path = url.substr(0, url.find_first_of("?#"));
  return path.substr(path.rfind('/') + 1);
}

/// The name of an address's file, another for each address: "a-1b2c3d4e.mp4" for http://host/a.mp4.
std::string own_name_of(const std::string& url) {
  const std::string name = file_name_of(url);
  const size_t dot = name.rfind('.');
  return safe_name(name.substr(0, dot)) + digits_of(url) + name.substr(dot);
}

/// A text as it stands in one of yt-dlp's templates.
std::string literal(const std::string& text) {
  std::string doubled;
  for (const char c : text) doubled.append(c == '%' ? 2 : 1, c);
  return doubled;
}

std::string text_of(const json& line, const char* name) {
  const auto at = line.find(name);
  return at != line.end() && at->is_string() ? at->get<std::string>() : "";
}

class Fetcher {
 public:
  explicit Fetcher(const FetchOptions& options)
      : options_(options),
        lock_(options.out_dir),
        lines_path_(options.out_dir + "/.fetched.jsonl"),
        manifest_(options.out_dir + "/manifest.jsonl") {
    for (const json& line : io::read_json_lines(manifest_.path())) remember(line);
    list_fetched();  // by a run that was killed
  }

  FetchResult run(const std::vector<scrape::ActionClass>& actions) {
    for (const scrape::ActionClass& action : actions) {
      fs::create_directories(options_.out_dir + "/" + safe_name(action.name));
      result_.present += have_[action.name];
      for (const std::string& query : action.queries) {
        if (stopped()) return result_;
        const int64_t wanted = options_.count - have_[action.name];
        if (wanted <= 0) break;
        try {
          if (scrape::is_http(query) && has_video_ending(file_name_of(query)))
            fetch_file(action.name, query);
          else
            fetch_by_program(action.name, query, wanted);
        } catch (const scrape::Error& e) {
          report(action.name, e.what());
        } catch (const Error& e) {
          report(action.name, e.what());
        }
      }
    }
    return result_;
  }

 private:
  bool stopped() const { return options_.stop && *options_.stop; }

  void report(const std::string& action, const std::string& what) {
    log_line("error: " + printable(action) + ": " + printable(what));
    ++result_.failed;
  }

  void remember(const json& line) {
    ++have_[text_of(line, "action")];
    urls_.insert(text_of(line, "url"));
    files_.insert(text_of(line, "file"));
  }

  void list(const json& line) {
    manifest_.write(line);
    remember(line);
  }

  /// Seconds; throws for what is no video, or too long.
  double duration_of(const std::string& file, const std::string& url) const {
    const double duration = io::VideoReader(file).facts().duration.value_or(0);
    AR_CHECK(duration <= options_.max_duration, url, ": takes ", duration, " s, longer than allowed");
    return duration;
  }

  void fetch_file(const std::string& action, const std::string& url) {
    if (urls_.contains(url)) return;
    const std::string name = file_name_of(url), file = safe_name(action) + "/" + own_name_of(url);
    const std::string path = options_.out_dir + "/" + file;
    // Files appear complete, and no other address has this name: one that is there was fetched by a run that was killed
    // before it could list it.
    const double duration = fs::exists(path) ? duration_of(path, url) : download(url, path);
    list({{"action", action},
          {"url", url},
          {"id", name.substr(0, name.rfind('.'))},
          {"title", ""},
          {"license", ""},
          {"uploader", ""},
          {"duration", duration},
          {"file", file}});
    ++result_.fetched;
  }

  /// Returns the seconds that it takes.
  double download(const std::string& url, const std::string& path) const {
    std::atomic<bool> stop = false;
    bool too_large = false;
    double duration = 0;
    scrape::Download request{.url = url, .path = path, .bytes_per_s = options_.rate};
    request.progress = [&](int64_t done, int64_t total) {
      too_large = std::max(done, total) > options_.max_bytes;
      if (too_large || stopped()) stop = true;
    };
    request.check = [&](const std::string& temporary) {
      AR_CHECK(int64_t(fs::file_size(temporary)) <= options_.max_bytes, url, ": is larger than allowed");
      duration = duration_of(temporary, url);
    };
    request.stop = &stop;
    try {
      scrape::download(request);
    } catch (...) {
      std::error_code ignored;
      if (!stopped()) fs::remove(path + ".part", ignored);
      AR_CHECK(!too_large, url, ": is larger than allowed");
      throw;
    }
    return duration;
  }

  /// The seconds of what yt-dlp fetched; removes it where it is no video or too long, as not every site tells the
  /// length beforehand.
  std::optional<double> keep_if_good(const std::string& path, const std::string& url) const {
    try {
      return duration_of(path, url);
    } catch (const Error& e) {
      log_line("note: " + printable(e.what()) + "; removed");
      std::error_code ignored;
      fs::remove(path, ignored);
      return std::nullopt;
    }
  }

  /// Lists what yt-dlp fetched: the first line is ours and names the action, the others are its own. Returns how many
  /// videos are new.
  int64_t list_fetched() {
    int64_t fetched = 0;
    std::string action;
    for (const json& line : io::read_json_lines(lines_path_)) {
      if (line.contains("action")) action = text_of(line, "action");
      const std::string name = fs::path(text_of(line, "filepath")).filename();
      const std::string file = safe_name(action) + "/" + name, path = options_.out_dir + "/" + file;
      if (name.empty() || files_.contains(file) || !fs::exists(path)) continue;
      const std::optional<double> duration = keep_if_good(path, text_of(line, "webpage_url"));
      if (!duration) continue;
      list({{"action", action},
            {"url", text_of(line, "webpage_url")},
            {"id", text_of(line, "id")},
            {"title", text_of(line, "title")},
            {"license", text_of(line, "license")},
            {"uploader", text_of(line, "uploader")},
            {"duration", *duration},
            {"file", file}});
      ++fetched;
    }
    fs::remove(lines_path_);
    return fetched;
  }

  void fetch_by_program(const std::string& action, const std::string& query, int64_t wanted) {
    const std::string folder = options_.out_dir + "/" + safe_name(action), log = options_.out_dir + "/yt-dlp.log";
    io::JsonLines(lines_path_).write({{"action", action}});
    const auto log_before = fs::exists(log) ? fs::file_size(log) : 0;
    // Results that are archived or refused by a limit do not count, so more are looked at.
    auto command = yt_dlp_arguments(query, folder, lines_path_, wanted, 2 * wanted + have_[action], options_);
    command.insert(command.begin(), options_.yt_dlp);
    scrape::Process program({.command = command, .environment = {}, .log = log});
    while (program.running() && !stopped()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    program.kill();
    const int64_t fetched = list_fetched();
    result_.fetched += fetched;
    if (fetched > 0 || stopped()) return;
    std::ifstream written(log);
    written.seekg(std::streamoff(log_before));
    std::string error;
    for (std::string line; std::getline(written, line);)
      if (line.starts_with("ERROR")) error = line;
    AR_CHECK(error.empty(), "\"", query, "\" gave no new video (", error, "); see ", log);
    log_line("note: " + printable(action) + ": \"" + printable(query) + "\" gave no new video; see " + printable(log));
  }

  const FetchOptions& options_;
  FolderLock lock_;
  std::string lines_path_;
  io::JsonLines manifest_;
  std::map<std::string, int64_t> have_;
  std::set<std::string> urls_, files_;  // that are listed
  FetchResult result_;
};

}  // namespace

std::vector<std::string> yt_dlp_arguments(const std::string& query, const std::string& folder, const std::string& lines,
                                          int64_t count, int64_t look_at, const FetchOptions& options) {
  const std::string height = "[height<=" + std::to_string(options.max_height) + "]";
  std::vector<std::string> arguments = {"--ignore-config",
                                        "--no-simulate",
                                        "--no-progress",
                                        "--no-mtime",
                                        "--no-overwrites",
                                        "--continue",
                                        "--ignore-errors",
                                        "--restrict-filenames",
                                        "--download-archive",
                                        options.out_dir + "/archive.txt",
                                        "--max-downloads",
                                        std::to_string(count),
                                        "--match-filter",
                                        "!is_live & duration <=? " + std::to_string(int64_t(options.max_duration)),
                                        "--max-filesize",
                                        std::to_string(options.max_bytes),
                                        "--format",
                                        "bv*" + height + "+ba/b" + height + "/bv*+ba/b",
                                        "--merge-output-format",
                                        "mp4",
                                        "--output",
                                        literal(folder) + "/%(id)s.%(ext)s",
                                        "--print-to-file",
                                        "after_move:%(.{id,title,webpage_url,license,uploader,duration,filepath})j",
                                        literal(lines)};
  if (options.rate > 0) arguments.insert(arguments.end(), {"--limit-rate", std::to_string(options.rate)});
  // Whatever the query is, it is no option.
  arguments.insert(arguments.end(),
                   {"--", scrape::is_http(query) ? query : "ytsearch" + std::to_string(look_at) + ":" + query});
  return arguments;
}

FetchResult fetch_videos(const std::vector<scrape::ActionClass>& actions, const FetchOptions& options) {
  const bool needed = std::any_of(actions.begin(), actions.end(), [](const scrape::ActionClass& action) {
    return std::any_of(action.queries.begin(), action.queries.end(), [](const std::string& query) {
      return !scrape::is_http(query) || !has_video_ending(file_name_of(query));
    });
  });
  AR_CHECK(!needed || !scrape::find_program(options.yt_dlp).empty(), options.yt_dlp,
           ": is not installed, and searching needs it; install yt-dlp (https://github.com/yt-dlp/yt-dlp) or name it "
           "with --yt-dlp");
  return Fetcher(options).run(actions);
}

}  // namespace ar::apps
