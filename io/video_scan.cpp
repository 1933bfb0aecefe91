#include "io/video_scan.h"

#include <chrono>
#include <fstream>
#include <mutex>
#include <thread>
#include <unordered_map>

#include "io/cache_file.h"
#include "io/checkpoint_file.h"
#include "tensor/error.h"

namespace ar::io {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFormat = "ar index of videos, version 1";
constexpr int64_t kFacts = 15;

struct Known {
  FileState state;
  ScannedVideo video;
};
using Cache = std::unordered_map<std::string, Known>;

/// Timestamps as runs (first, step, count): a video of constant rate is one run.
void append_runs(const std::vector<int64_t>& pts, std::vector<int64_t>& runs) {
  for (size_t i = 0; i < pts.size();) {
    const int64_t step = i + 1 < pts.size() ? pts[i + 1] - pts[i] : 1;
    size_t end = i + 1;
    while (end < pts.size() && pts[end] - pts[end - 1] == step) ++end;
    runs.insert(runs.end(), {pts[i], step, int64_t(end - i)});
    i = end;
  }
}

/// One row of kFacts numbers for each video, and lists that the rows point into.
Value to_value(const Cache& cache) {
  Value::List paths, reasons;
  std::vector<int64_t> facts, runs, keys;
  for (const auto& [path, known] : cache) {
    paths.emplace_back(path);
    reasons.emplace_back(known.video.bad);
    const VideoIndex& index = known.video.index;
    const int64_t first_run = int64_t(runs.size()) / 3, first_key = int64_t(keys.size());
    append_runs(index.pts, runs);
    keys.insert(keys.end(), index.key_frames.begin(), index.key_frames.end());
    const VideoFacts& f = index.facts;
    const std::array<int64_t, kFacts> row{known.state.size,
                                          known.state.time,
                                          f.width,
                                          f.height,
                                          f.time_base.num,
                                          f.time_base.den,
                                          f.start_pts,
                                          f.frame_rate.num,
                                          f.frame_rate.den,
                                          f.nominal_frame_rate.num,
                                          f.nominal_frame_rate.den,
                                          first_run,
                                          int64_t(runs.size()) / 3,
                                          first_key,
                                          int64_t(keys.size())};
    facts.insert(facts.end(), row.begin(), row.end());
  }
  const auto table = [](const std::vector<int64_t>& values, int64_t columns) {
    return from_vector(values, {int64_t(values.size()) / columns, columns});
  };
  Value value;
  value["format"] = kFormat;
  value["paths"] = std::move(paths);
  value["reasons"] = std::move(reasons);
  value["facts"] = table(facts, kFacts);
  value["runs"] = table(runs, 3);
  value["keys"] = table(keys, 1);
  return value;
}

Cache from_value(const Value& value) {
  Cache cache;
  if (value.at("format").string() != kFormat) return cache;
  const auto paths = value.at("paths").strings(), reasons = value.at("reasons").strings();
  const auto facts = value.at("facts").tensor().to_vector<int64_t>(),
             runs = value.at("runs").tensor().to_vector<int64_t>(),
             keys = value.at("keys").tensor().to_vector<int64_t>();
  AR_CHECK(reasons.size() == paths.size() && facts.size() == paths.size() * kFacts, "lists of different lengths");
  const auto range = [](int64_t first, int64_t last, size_t size) {
    AR_CHECK(first >= 0 && first <= last && last <= int64_t(size), "a range beyond its list");
  };
  for (size_t i = 0; i < paths.size(); ++i) {
    const int64_t* row = &facts[i * kFacts];
    Known known{.state = {row[0], row[1]}, .video = {.index = {}, .bad = reasons[i]}};
    VideoFacts& f = known.video.index.facts;
    f.width = int(row[2]);
    f.height = int(row[3]);
    f.time_base = {row[4], row[5]};
    f.start_pts = row[6];
    f.frame_rate = {row[7], row[8]};
    f.nominal_frame_rate = {row[9], row[10]};
    range(row[11], row[12], runs.size() / 3);
    range(row[13], row[14], keys.size());
    for (int64_t r = row[11]; r < row[12]; ++r)
      for (int64_t k = 0; k < runs[size_t(3 * r + 2)]; ++k)
        known.video.index.pts.push_back(runs[size_t(3 * r)] + k * runs[size_t(3 * r + 1)]);
    known.video.index.key_frames.assign(keys.begin() + row[13], keys.begin() + row[14]);
    cache.emplace(paths[i], std::move(known));
  }
  return cache;
}

/// What an earlier scan kept; an unknown or damaged file counts for nothing.
Cache load_cache(const fs::path& path) try {
  return path.empty() || !fs::exists(path) ? Cache() : from_value(load_checkpoint_file(path.string()));
} catch (const Error&) {
  return {};
}

ScannedVideo look_at(const fs::path& file) {
  ScannedVideo video;
  try {
    video.index = index_video(file.string());
  } catch (const Error& e) {
    video.bad = e.what();
    const std::string prefix = file.string() + ": ";
    if (video.bad.starts_with(prefix)) video.bad.erase(0, prefix.size());
  }
  return video;
}

/// Is a failure one of opening or reading? Then it may go better the next time; a broken video stays broken.
bool may_pass(const fs::path& file, const std::string& bad) {
  if (bad.starts_with("cannot be read (")) return true;  // it could not be opened
  std::ifstream in(file, std::ios::binary);
  std::vector<char> bytes(size_t{1} << 16);
  while (in.read(bytes.data(), std::streamsize(bytes.size()))) {
  }
  return !in.eof();
}

}  // namespace

VideoScan scan_videos(const fs::path& root, const std::vector<std::string>& paths, const VideoScanOptions& options) {
  const fs::path cache_path = options.cache.empty() ? cache_file("videos", root, ".safetensors") : options.cache;
  Cache cache = load_cache(cache_path);
  VideoScan scan;
  scan.videos.resize(paths.size());
  std::vector<FileState> states(paths.size());
  std::vector<size_t> to_do;
  for (size_t i = 0; i < paths.size(); ++i) {
    states[i] = file_state(root / paths[i]);
    const auto known = cache.find(paths[i]);
    if (known != cache.end() && known->second.state == states[i] && states[i].size >= 0) {
      scan.videos[i] = known->second.video;
      ++scan.reused;
    } else {
      to_do.push_back(i);
    }
  }

  std::atomic<size_t> next = 0, done = 0;
  std::vector<char> lasting(to_do.size());  // is the result worth keeping?
  const auto stopped = [&] { return options.stop && options.stop->load(std::memory_order_relaxed); };
  const auto work = [&] {
    for (size_t k; !stopped() && (k = next++) < to_do.size(); ++done) {
      const fs::path file = root / paths[to_do[k]];
      ScannedVideo& video = scan.videos[to_do[k]];
      video = look_at(file);
      lasting[k] = video.bad.empty() || !may_pass(file, video.bad);
    }
  };
  {
    std::vector<std::jthread> workers;
    for (int w = 0; w < std::max(options.workers, 1) && size_t(w) < to_do.size(); ++w) workers.emplace_back(work);
    while (done < to_do.size() && !stopped()) {
      if (options.progress) options.progress(scan.reused + int64_t(done.load()));
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  scan.stopped = done < to_do.size();
  for (size_t k = 0; k < to_do.size(); ++k)
    if (lasting[k]) cache[paths[to_do[k]]] = {states[to_do[k]], scan.videos[to_do[k]]};
  if (to_do.empty()) return scan;
  if (cache_path.empty()) {
    scan.cache_problem = "neither AR_CACHE nor HOME is set; the index of the videos is not kept";
    return scan;
  }
  try {
    save_checkpoint_file(cache_path.string(), to_value(cache));
  } catch (const Error& e) {
    scan.cache_problem = std::string(e.what()) + "; the index of the videos is not kept";
  }
  return scan;
}

}  // namespace ar::io
