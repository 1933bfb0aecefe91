#include "apps/clips/journal.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>

#include "apps/common/folder_lock.h"
#include "io/atomic_file.h"
#include "io/jsonl.h"
#include "io/utf8.h"
#include "tensor/error.h"

namespace ar::apps {
namespace fs = std::filesystem;
using nlohmann::json;

namespace {

json to_json(const ClipRecord& c) {
  return {{"file", c.file},   {"label", c.label}, {"start", c.start},   {"end", c.end},  {"peak", c.peak},
          {"score", c.score}, {"rank", c.rank},   {"frames", c.frames}, {"lead", c.lead}};
}

ClipRecord clip_of(const json& j) {
  return {j.at("file"),  j.at("label"), j.at("start"),  j.at("end"), j.at("peak"),
          j.at("score"), j.at("rank"),  j.at("frames"), j.at("lead")};
}

/// Names of files are bytes, JSON is UTF-8: a path that is none becomes the array of its bytes.
json path_to_json(const std::string& path) {
  return io::is_utf8(path) ? json(path) : json(std::vector<uint8_t>(path.begin(), path.end()));
}

std::string path_of(const json& j) {
  if (j.is_string()) return j;
  const std::vector<uint8_t> bytes = j;
  return {bytes.begin(), bytes.end()};
}

std::string number(double value, const char* format) {
  char text[64];
  std::snprintf(text, sizeof(text), format, value);
  return text;
}

}  // namespace

struct Journal::File {
  explicit File(const std::string& folder) : lock(folder), lines(folder + "/journal.jsonl") {}
  FolderLock lock;
  io::JsonLines lines;
};

Journal::Journal(const std::string& folder, const json& settings)
    : folder_(folder), file_(std::make_unique<File>(folder)) {
  load(settings);
}

Journal::~Journal() = default;

void Journal::load(const json& settings) {
  bool begun = false;
  const std::string path = folder_ + "/journal.jsonl";
  for (const json& e : io::read_json_lines(path)) {
    try {
      const std::string event = e.at("event");
      if (event == "run") {
        begun = true;
        const json& before = e.at("settings");
        for (const auto& [name, value] : settings.items())
          AR_CHECK(before.value(name, json()) == value, folder_, ": was begun with --", name, " ",
                   before.value(name, json()).dump(), ", now it is ", value.dump(),
                   "; choose another folder, or the same options");
        continue;
      }
      const std::string video_path = path_of(e.at("path"));
      VideoRecord& video = videos_[video_path];
      video.path = video_path;
      if (event == "video") {
        video = {.path = video.path, .name = e.at("name"), .bytes = e.at("bytes"), .modified = e.at("modified")};
        names_.remember(video.name, video.path);
      } else if (event == "scored") {
        video.scored = true;
      } else if (event == "clip") {
        video.clips.push_back(clip_of(e.at("clip")));
      } else if (event == "done") {
        video.done = true;
        video.error.clear();
      } else if (event == "failed") {
        video.error = e.at("error");
      }
    } catch (const json::exception& error) {
      fail(path, ": is no journal of clips (", error.what(), ")");
    }
  }
  if (!begun) append({{"event", "run"}, {"version", AR_VERSION}, {"settings", settings}});
}

void Journal::append(const json& event) { file_->lines.write(event); }

VideoRecord Journal::begin(const std::string& path) {
  const std::lock_guard lock(mutex_);
  std::error_code code;
  const fs::path whole = fs::canonical(path, code);
  struct stat info {};
  AR_CHECK(!code && ::stat(whole.c_str(), &info) == 0, path, ": cannot be read (",
           code ? code.message() : std::strerror(errno), ")");
  VideoRecord& video = videos_[whole.string()];
  const int64_t modified = int64_t(info.st_mtim.tv_sec) * 1000000000 + info.st_mtim.tv_nsec;
  if (video.name.empty() || video.bytes != info.st_size || video.modified != modified) {
    const std::string name = video.name.empty() ? names_.claim(whole.string()) : video.name;
    video = {.path = whole.string(), .name = name, .bytes = info.st_size, .modified = modified};
    append({{"event", "video"},
            {"path", path_to_json(video.path)},
            {"name", name},
            {"bytes", video.bytes},
            {"modified", modified}});
  }
  return video;
}

void Journal::scored(const VideoRecord& video) {
  const std::lock_guard lock(mutex_);
  videos_[video.path].scored = true;
  append({{"event", "scored"}, {"path", path_to_json(video.path)}});
}

void Journal::clip(VideoRecord& video, const ClipRecord& clip) {
  const std::lock_guard lock(mutex_);
  video.clips.push_back(clip);
  videos_[video.path].clips.push_back(clip);
  append({{"event", "clip"}, {"path", path_to_json(video.path)}, {"clip", to_json(clip)}});
}

void Journal::done(VideoRecord& video) {
  const std::lock_guard lock(mutex_);
  video.done = true;
  videos_[video.path] = video;
  append({{"event", "done"}, {"path", path_to_json(video.path)}});
}

void Journal::failed(const VideoRecord& video, const std::string& error) {
  const std::lock_guard lock(mutex_);
  videos_[video.path].error = error;
  append({{"event", "failed"}, {"path", path_to_json(video.path)}, {"error", error}});
}

std::vector<VideoRecord> Journal::videos() const {
  const std::lock_guard lock(mutex_);
  std::vector<VideoRecord> all;
  for (const auto& entry : videos_) all.push_back(entry.second);
  return all;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) {
    quoted += c;
    if (c == '"') quoted += c;
  }
  return quoted + '"';
}

void write_clip_table(const std::string& path, const std::vector<VideoRecord>& videos, const std::string& split) {
  io::AtomicFile file(path);
  file.write("label,youtube_id,time_start,time_end,split,score,rank,file\r\n");
  for (const VideoRecord& video : videos)
    for (const ClipRecord& clip : video.clips)
      file.write(csv_field(clip.label) + "," + csv_field(fs::path(video.path).stem().string()) + "," +
                 number(clip.start, "%.3f") + "," + number(clip.end, "%.3f") + "," + csv_field(split) + "," +
                 number(clip.score, "%.4f") + "," + std::to_string(clip.rank) + "," + csv_field(clip.file) + "\r\n");
  file.commit();
}

}  // namespace ar::apps
