#include "apps/clips/generator.h"

#include <algorithm>
#include <atomic>
#include <cctype>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <mutex>
#include <numeric>
#include <optional>
#include <set>
#include <stdexcept>
#include <thread>

#include "apps/clips/gallery.h"
#include "apps/report/progress.h"
#include "apps/report/text.h"
#include "io/atomic_file.h"
#include "tensor/event.h"

namespace ar::apps {
namespace fs = std::filesystem;
namespace {

double clock_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

constexpr size_t kClassesPerVideo = 64;  // of those that respond at all, the strongest compete for windows

std::string plain(const std::string& text) {
  std::string result;
  for (const char c : text) result += c == '_' ? ' ' : char(std::tolower(static_cast<unsigned char>(c)));
  return result;
}

std::optional<int64_t> class_called(const std::string& name, const std::vector<std::string>& classes) {
  for (size_t i = 0; i < classes.size(); ++i)
    if (plain(name) == plain(classes[i]) || plain(name) == plain(safe_name(classes[i]))) return int64_t(i);
  return std::nullopt;
}

/// Ends the run, as no Error of one video does.
struct ClassifierFailed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// What `work` returns; its errors are no video's fault, but the device's or of its memory.
template <class Work>
auto by_classifier(const Work& work) {
  try {
    return work();
  } catch (const Error& e) {
    throw ClassifierFailed(e.what());
  }
}

/// A batch of frames whose probabilities are on their way.
struct Asked {
  Download probabilities;
  std::vector<io::FrameTime> times;
};

/// The state that the workers of a run share.
class Run {
 public:
  Run(const std::vector<std::string>& videos, const FrameClassifier& classifier, const GenerateOptions& options)
      : videos_(videos), classifier_(classifier), options_(options) {
    if (!options.dry_run) journal_.emplace(options.out_dir, options.settings);
    int64_t bytes = 0;
    for (const std::string& video : videos) bytes += size_of(video);
    progress_.emplace(ProgressOptions{
        .label = "videos", .total = std::max<int64_t>(1, bytes >> 10), .unit = "KB", .quiet = options.quiet});
  }

  GenerateResult run() {
    std::vector<std::thread> workers;
    for (int i = 0; i < std::clamp(options_.jobs, 1, int(std::max<size_t>(1, videos_.size()))); ++i)
      workers.emplace_back([this] { work(); });
    for (std::thread& w : workers) w.join();
    result_.stopped = stopped();
    progress_->finish();
    if (journal_) {
      std::vector<VideoRecord> all = journal_->videos();
      leave_out_removed(all);
      write_clip_table(options_.out_dir + "/clips.csv", all, options_.split);
      if (options_.report)
        io::write_file_atomically(options_.out_dir + "/index.html",
                                  clip_gallery(options_.out_dir, all, classifier_.classes));
    }
    if (fatal_) std::rethrow_exception(fatal_);
    return result_;
  }

 private:
  static int64_t size_of(const std::string& path) {
    std::error_code code;
    const auto size = fs::file_size(path, code);
    return code ? 0 : int64_t(size);
  }

  /// Clips that somebody has deleted since.
  void leave_out_removed(std::vector<VideoRecord>& videos) const {
    for (VideoRecord& video : videos)
      std::erase_if(video.clips,
                    [&](const ClipRecord& clip) { return !fs::exists(options_.out_dir + "/" + clip.file); });
  }

  bool stopped() const { return (options_.stop && *options_.stop) || aborted_; }

  void work() {
    for (;;) {
      const size_t i = next_++;
      if (i >= videos_.size() || stopped()) return;
      try {
        one_video(videos_[i], int64_t(i));
      } catch (...) {  // of the journal itself, or of memory: no video's fault
        const std::lock_guard lock(mutex_);
        if (!aborted_.exchange(true)) fatal_ = std::current_exception();
      }
    }
  }

  void one_video(const std::string& path, int64_t number) {
    VideoRecord record{.path = path, .name = fs::path(path).stem().string()};
    const int64_t kilobytes = size_of(path) >> 10;
    int64_t shown = 0;
    const auto advance = [&](double part) {
      const auto now = int64_t(part * double(kilobytes));
      if (now > shown) progress_->advance(now - shown);
      shown = std::max(shown, now);
      return !stopped();
    };
    try {
      if (journal_) record = journal_->begin(path);
      if (record.done) {
        count(&GenerateResult::skipped);
        advance(1);
        return;
      }
      progress_->set("video", std::to_string(number + 1) + "/" + std::to_string(videos_.size()));
      const std::vector<int64_t> wanted = wanted_classes(options_.action, path, classifier_.classes);
      const std::optional<VideoScores> scores = scores_of(record, advance);
      if (!scores) return;  // stopped
      cut(record, *scores, select(*scores, wanted));
      if (stopped()) return;
      if (journal_) journal_->done(record);
      count(&GenerateResult::videos);
    } catch (const Error& e) {
      log_line("error: " + printable(e.what()));
      if (journal_ && !record.name.empty() && record.bytes > 0) journal_->failed(record, e.what());
      count(&GenerateResult::failed);
    }
    advance(1);
  }

  void count(int64_t GenerateResult::*what) {
    const std::lock_guard lock(mutex_);
    ++(result_.*what);
  }

  std::optional<VideoScores> scores_of(const VideoRecord& record, const std::function<bool(double)>& progress) {
    const std::string file = options_.out_dir + "/scores/" + record.name + ".jsonl";
    if (record.scored) {
      try {
        return read_scores(file);
      } catch (const Error&) {  // lost since: score again
      }
    }
    bool complete = true;
    GenerateTimes times;
    const auto advance = [&](double part) { return complete = progress(part * 0.95); };
    VideoScores scores = score_video(record.path, one_at_a_time(), options_, advance, &times);
    {
      const std::lock_guard lock(mutex_);
      result_.times.classifying += times.classifying;
      result_.times.waiting += times.waiting;
    }
    if (!complete) return std::nullopt;
    if (scores.damaged || scores.missing_seconds > 0)
      log_line(printable(record.path) + ": damaged: " + std::to_string(scores.damaged) +
               " frames or packets could not be decoded as they were, " + format_number(scores.missing_seconds) +
               " s are missing");
    if (scores.times_corrected)
      log_line(printable(record.path) +
               ": its timestamps go back: clips are cut by decoding from its start, behind that place without sound");
    if (journal_) {
      write_scores(file, scores, classifier_.classes);
      journal_->scored(record);
    }
    return scores;
  }

  /// Inference uses all cores by itself; decoding goes on meanwhile.
  FrameClassifier one_at_a_time() {
    FrameClassifier classifier = classifier_;
    classifier.probabilities = [this](const Tensor& frames) {
      const std::lock_guard lock(inference_);
      return classifier_.probabilities(frames);
    };
    return classifier;
  }

  std::vector<ClipWindow> select(const VideoScores& scores, const std::vector<int64_t>& wanted) const {
    std::vector<int64_t> labels = wanted;
    if (labels.size() > kClassesPerVideo) labels = scores.strongest(kClassesPerVideo);
    std::vector<std::vector<double>> curves;
    for (const int64_t label : labels) curves.push_back(scores.curve(label));
    return select_windows(scores.seconds, curves, labels, scores.duration, options_.selection);
  }

  void cut(VideoRecord& record, const VideoScores& scores, const std::vector<ClipWindow>& windows) {
    io::CutOptions options = options_.cut;
    options.from_start = scores.times_corrected;
    for (size_t i = 0; i < windows.size() && !stopped(); ++i) {
      const ClipWindow& w = windows[i];
      const std::string& label = classifier_.classes[size_t(w.label)];
      ClipRecord clip{.label = label, .start = w.start, .end = w.end, .peak = w.peak, .score = w.score};
      clip.rank = int64_t(i) + 1;
      clip.file = clip_path(safe_name(record.name), w.start, w.end, safe_name(label));
      if (!journal_) {
        log_line(printable(scores.path) + ": " + format_duration(w.start) + " to " + format_duration(w.end) + "  " +
                 printable(label) + "  " + format_number(w.score));
        count(&GenerateResult::clips);
        continue;
      }
      const auto same = [&](const ClipRecord& c) { return c.file == clip.file; };
      const std::string out = options_.out_dir + "/" + clip.file;
      if (std::any_of(record.clips.begin(), record.clips.end(), same) && fs::exists(out)) continue;
      const double start = clock_seconds();
      const io::Cut written = io::cut_clip(record.path, w.start, w.end, out, options);
      {
        const std::lock_guard lock(mutex_);
        result_.times.cutting += clock_seconds() - start;
      }
      clip.frames = written.frames;
      clip.lead = written.lead;
      if (written.cropped) log_line(printable(out) + ": the odd size lost its last row or column");
      if (written.lead > 0)
        log_line(printable(out) + ": begins " + format_number(written.lead) + " s early, at a key frame");
      if (std::none_of(record.clips.begin(), record.clips.end(), same)) journal_->clip(record, clip);
      count(&GenerateResult::clips);
    }
  }

  const std::vector<std::string>& videos_;
  const FrameClassifier& classifier_;
  const GenerateOptions& options_;
  std::optional<Journal> journal_;
  std::optional<Progress> progress_;
  std::atomic<size_t> next_ = 0;
  std::mutex mutex_, inference_;
  GenerateResult result_;
  std::atomic<bool> aborted_ = false;
  std::exception_ptr fatal_;
};

bool same_folder(const fs::path& a, const std::string& b) {
  std::error_code neither;
  return !b.empty() && fs::equivalent(a, b, neither);
}

std::vector<std::string> videos_below(const std::string& folder, const std::string& leave_out) {
  AR_CHECK(!same_folder(folder, leave_out), folder, ": is the output folder too; choose another one");
  std::vector<std::string> found;
  std::error_code code;
  for (fs::recursive_directory_iterator it(folder, fs::directory_options::skip_permission_denied, code), end;
       !code && it != end; it.increment(code)) {
    std::error_code gone;  // a link to nothing does not end the search
    if (it->is_directory(gone) && same_folder(it->path(), leave_out)) it.disable_recursion_pending();
    if (it->is_regular_file(gone) && has_video_ending(it->path().string())) found.push_back(it->path().string());
  }
  std::sort(found.begin(), found.end());
  AR_CHECK(!found.empty(), folder, ": holds no video");
  return found;
}

}  // namespace

bool has_video_ending(const std::string& path) {
  std::string ending = fs::path(path).extension().string();
  for (char& c : ending) c = char(std::tolower(static_cast<unsigned char>(c)));
  static const char* const endings[] = {".mp4", ".mkv", ".avi", ".mov",  ".webm", ".m4v", ".mpg", ".mpeg", ".wmv",
                                        ".flv", ".ts",  ".mts", ".m2ts", ".3gp",  ".ogv", ".vob", ".asf"};
  return std::find(std::begin(endings), std::end(endings), ending) != std::end(endings);
}

std::vector<std::string> find_videos(const std::vector<std::string>& paths, const std::string& leave_out) {
  std::vector<std::string> videos;
  for (const std::string& path : paths) {
    if (path == "-") {
      for (std::string line; std::getline(std::cin, line);) {
        if (!line.empty() && line.back() == '\r') line.pop_back();
        if (!line.empty()) videos.push_back(line);
      }
    } else if (fs::is_directory(path)) {
      const std::vector<std::string> found = videos_below(path, leave_out);
      videos.insert(videos.end(), found.begin(), found.end());
    } else {
      videos.push_back(path);
    }
  }
  AR_CHECK(!videos.empty(), "no video was given");
  std::set<fs::path> seen;
  std::erase_if(videos, [&](const std::string& video) {
    std::error_code code;
    const fs::path file = fs::canonical(video, code);
    return !code && !seen.insert(file).second;
  });
  return videos;
}

std::vector<int64_t> wanted_classes(const std::string& action, const std::string& video,
                                    const std::vector<std::string>& classes) {
  if (action == "any") {
    std::vector<int64_t> all(classes.size());
    std::iota(all.begin(), all.end(), int64_t{0});
    return all;
  }
  const bool from_folder = action == "from-folder";
  const std::string name = from_folder ? fs::absolute(video).parent_path().filename().string() : action;
  const auto found = class_called(name, classes);
  AR_CHECK(found, from_folder ? video + ": its folder \"" : "--action \"", name,
           "\" is none of the classifier's classes (", classes.front(), ", ... ", classes.back(), ")");
  return {*found};
}

VideoScores score_video(const std::string& path, const FrameClassifier& classifier, const GenerateOptions& options,
                        const std::function<bool(double)>& progress, GenerateTimes* times) {
  const int threads = std::max(1, int(std::thread::hardware_concurrency()) / (2 * std::max(1, options.jobs)));
  io::FrameBatcher batcher(path, {.video = {.threads = threads, .fit = classifier.fit, .zoom = classifier.zoom},
                                  .batch_size = options.batch_size,
                                  .height = classifier.image_size,
                                  .width = classifier.image_size,
                                  .every = options.every,
                                  .fps = options.fps,
                                  .device = classifier.device});
  Uploader uploader(classifier.device);
  VideoScores scores;
  scores.path = path;
  const auto classes = int64_t(classifier.classes.size());
  const double declared = batcher.facts().duration.value_or(0);
  const auto take = [&](Asked& asked) {
    const Tensor p = by_classifier([&] { return asked.probabilities.wait(); }).contiguous(Layout::channels_first);
    const auto count = int64_t(asked.times.size());
    AR_CHECK(p.rank() == 2 && p.size(0) == count && p.size(1) == classes, "the classifier gave ", p.shape(), " for ",
             count, " frames and ", classes, " classes");
    for (int64_t i = 0; i < count; ++i)
      scores.add(asked.times[size_t(i)].seconds, p.data<float>() + i * classes, classes);
    const double at = asked.times.back().seconds;
    return progress(declared > 0 ? std::clamp(at / declared, 0.0, 1.0) : 0);
  };
  std::optional<Asked> before;
  for (bool more = true; more;) {
    const auto batch = batcher.next();
    const double start = clock_seconds();
    std::optional<Asked> now;
    if (batch)
      now = by_classifier([&] {
        return Asked{Download(classifier.probabilities(uploader.upload(batch->frames))), batch->times};
      });
    if (before && !take(*before)) return scores;
    by_classifier([&] { return uploader.settle(), true; });  // the batcher fills the batch again
    before = std::move(now);
    more = batch.has_value();
    if (times) times->classifying += clock_seconds() - start, times->waiting = batcher.waited();
  }
  const io::VideoStats stats = batcher.stats();
  AR_CHECK(stats.frames > 0, path, ": no frame can be decoded");
  scores.duration = stats.end_seconds;
  scores.frames = stats.frames;
  scores.damaged = stats.concealed + stats.bad_packets + stats.read_errors;
  scores.missing_seconds = stats.missing_seconds;
  scores.times_corrected = stats.times_corrected;
  return scores;
}

GenerateResult generate_clips(const std::vector<std::string>& videos, const FrameClassifier& classifier,
                              const GenerateOptions& options) {
  return Run(videos, classifier, options).run();
}

}  // namespace ar::apps
