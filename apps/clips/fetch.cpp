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
#include "apps/report/progress.h"
#include "apps/report/text.h"
#include "io/jsonl.h"
#include "io/video_reader.h"
#include "scrape/download.h"
#include "scrape/process.h"

namespace ar::apps {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

bool is_address(const std::string& text) { return text.starts_with("http://") || text.starts_with("https://"); }

/// The last part of an address's path.
std::string file_name_of(const std::string& url) {
  std::string path = url.substr(0, url.find_first_of("?#"));
  return path.substr(path.rfind('/') + 1);
}

std::string text_of(const json& line, const char* name) {
  const auto at = line.find(name);
  return at != line.end() && at->is_string() ? at->get<std::string>() : "";
}

class Fetcher {
 public:
  explicit Fetcher(const FetchOptions& options)
      : options_(options),
        archive_path_(options.out_dir + "/archive.txt"),
        manifest_(options.out_dir + "/manifest.jsonl") {
    for (const json& line : io::read_json_lines(manifest_.path())) ++have_[text_of(line, "action")];
    std::ifstream archive(archive_path_);
    for (std::string line; std::getline(archive, line);) archived_.insert(line);
  }

  FetchResult run(const std::vector<scrape::ActionClass>& actions) {
    for (const scrape::ActionClass& action : actions) {
      const std::string folder = options_.out_dir + "/" + safe_name(action.name);
      fs::create_directories(folder);
      result_.present += have_[action.name];
      for (const std::string& query : action.queries) {
        if (stopped()) return result_;
        const int64_t wanted = options_.count - have_[action.name];
        if (wanted <= 0) break;
        try {
          if (is_address(query) && has_video_ending(file_name_of(query)))
            fetch_file(action.name, query, folder);
          else
            fetch_by_program(action.name, query, folder, wanted);
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

  void keep(const std::string& action, json line) {
    line["action"] = action;
    manifest_.write(line);
    ++have_[action];
    ++result_.fetched;
  }

  void fetch_file(const std::string& action, const std::string& url, const std::string& folder) {
    const std::string mark = "url " + url;
    if (archived_.contains(mark)) return;
    const std::string name = file_name_of(url);
    const size_t dot = name.rfind('.');
    const std::string file = folder + "/" + safe_name(name.substr(0, dot)) + name.substr(dot);
    AR_CHECK(!fs::exists(file), url, ": ", file, " is there already, from elsewhere");
    std::atomic<bool> stop = false;
    bool too_large = false;
    double duration = 0;
    scrape::Download request{.url = url, .path = file, .bytes_per_s = options_.rate};
    request.progress = [&](int64_t done, int64_t total) {
      too_large = std::max(done, total) > options_.max_bytes;
      if (too_large || stopped()) stop = true;
    };
    request.check = [&](const std::string& temporary) {
      duration = io::VideoReader(temporary).facts().duration.value_or(0);
      AR_CHECK(int64_t(fs::file_size(temporary)) <= options_.max_bytes, url, ": is larger than allowed");
      AR_CHECK(duration <= options_.max_duration, url, ": takes ", duration, " s, longer than allowed");
    };
    request.stop = &stop;
    try {
      scrape::download(request);
    } catch (...) {
      std::error_code ignored;
      if (!stopped()) fs::remove(file + ".part", ignored);
      AR_CHECK(!too_large, url, ": is larger than allowed");
      throw;
    }
    keep(action, {{"url", url},
                  {"id", name.substr(0, dot)},
                  {"title", ""},
                  {"license", ""},
                  {"uploader", ""},
                  {"duration", duration},
                  {"file", fs::relative(file, options_.out_dir).string()}});
    std::ofstream(archive_path_, std::ios::app) << mark << '\n';
    archived_.insert(mark);
  }

  /// Seconds of what yt-dlp fetched; none where it is no video or too long. Not every site tells the length beforehand.
  std::optional<double> duration_of(const std::string& file, const json& line) {
    try {
      const double duration = io::VideoReader(file).facts().duration.value_or(0);
      AR_CHECK(duration <= options_.max_duration, text_of(line, "webpage_url"), ": takes ", duration,
               " s, longer than allowed");
      return duration;
    } catch (const Error& e) {
      log_line("note: " + printable(e.what()) + "; removed");
      std::error_code ignored;
      fs::remove(file, ignored);
      return std::nullopt;
    }
  }

  void fetch_by_program(const std::string& action, const std::string& query, const std::string& folder,
                        int64_t wanted) {
    const std::string lines = options_.out_dir + "/.fetched.jsonl", log = options_.out_dir + "/yt-dlp.log";
    std::error_code ignored;
    fs::remove(lines, ignored);
    const auto log_before = fs::exists(log) ? fs::file_size(log) : 0;
    // Results that are archived or refused by a limit do not count, so more are looked at.
    auto command = yt_dlp_arguments(query, folder, lines, wanted, 2 * wanted + have_[action], options_);
    command.insert(command.begin(), options_.yt_dlp);
    scrape::Process program({.command = command, .environment = {}, .log = log});
    while (program.running() && !stopped()) std::this_thread::sleep_for(std::chrono::milliseconds(50));
    program.kill();
    int64_t fetched = 0;
    for (const json& line : io::read_json_lines(lines)) {
      const std::string file = text_of(line, "filepath");
      if (file.empty() || !fs::exists(file)) continue;
      const std::optional<double> duration = duration_of(file, line);
      if (!duration) continue;
      keep(action, {{"url", text_of(line, "webpage_url")},
                    {"id", text_of(line, "id")},
                    {"title", text_of(line, "title")},
                    {"license", text_of(line, "license")},
                    {"uploader", text_of(line, "uploader")},
                    {"duration", *duration},
                    {"file", fs::relative(file, options_.out_dir).string()}});
      ++fetched;
    }
    fs::remove(lines, ignored);
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
  std::string archive_path_;
  io::JsonLines manifest_;
  std::map<std::string, int64_t> have_;
  std::set<std::string> archived_;
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
                                        folder + "/%(id)s.%(ext)s",
                                        "--print-to-file",
                                        "after_move:%(.{id,title,webpage_url,license,uploader,duration,filepath})j",
                                        lines};
  if (options.rate > 0) arguments.insert(arguments.end(), {"--limit-rate", std::to_string(options.rate)});
  // Whatever the query is, it is no option.
  arguments.insert(arguments.end(),
                   {"--", is_address(query) ? query : "ytsearch" + std::to_string(look_at) + ":" + query});
  return arguments;
}

FetchResult fetch_videos(const std::vector<scrape::ActionClass>& actions, const FetchOptions& options) {
  const bool needed = std::any_of(actions.begin(), actions.end(), [](const scrape::ActionClass& action) {
    return std::any_of(action.queries.begin(), action.queries.end(), [](const std::string& query) {
      return !is_address(query) || !has_video_ending(file_name_of(query));
    });
  });
  AR_CHECK(!needed || !scrape::find_program(options.yt_dlp).empty(), options.yt_dlp,
           ": is not installed, and searching needs it; install yt-dlp (https://github.com/yt-dlp/yt-dlp) or name it "
           "with --yt-dlp");
  std::error_code code;
  fs::create_directories(options.out_dir, code);
  AR_CHECK(!code, options.out_dir, ": cannot be made (", code.message(), ")");
  return Fetcher(options).run(actions);
}

}  // namespace ar::apps
