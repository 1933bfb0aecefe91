#include "apps/video/video_scores.h"

#include <algorithm>
#include <cmath>

#include "apps/model/machine.h"
#include "apps/model/saved_split.h"
#include "autograd/autograd.h"
#include "io/checkpoint_file.h"
#include "tensor/ops_shape.h"

namespace ar::apps {
namespace {

constexpr int64_t kClips = 16;  // judged together

/// log of the mean of probabilities over all rows: (n, classes) -> (1, classes).
Tensor mean_of(const Tensor& log_probs) {
  const std::vector<double> values = log_probs.to_vector<double>();
  const auto classes = size_t(log_probs.size(1)), rows = size_t(log_probs.size(0));
  std::vector<float> mean(classes);
  for (size_t c = 0; c < classes; ++c) {
    double sum = 0;
    for (size_t r = 0; r < rows; ++r) sum += std::exp(values[r * classes + c]);
    mean[c] = float(std::log(sum / double(rows)));
  }
  return from_vector(mean, {1, int64_t(classes)});
}

}  // namespace

VideoJudge::VideoJudge(const std::filesystem::path& path, const JudgeOptions& options) : options_(options) {
  const io::Value checkpoint = io::load_checkpoint_file(path.string());
  info_ = video_model_info(checkpoint);
  split_ = split_of(checkpoint);
  model_ = load_video_model(checkpoint);
  baseline_ = std::make_unique<SingleFrameBaseline>(model_->feature_size(), int64_t(info_.classes.size()));
  baseline_->load_state(checkpoint.at("single_frame"));
  features_ = std::make_unique<FrameFeatures>(*model_, info_,
                                              model_->frozen() ? options.feature_cache : std::filesystem::path());
}

VideoScores VideoJudge::score(const FrameJob& job, const std::vector<int64_t>& starts, const Tensor& features) const {
  const NoGrad no_grad;
  const int64_t views = features.size(0), width = features.size(2), count = int64_t(starts.size());
  const int64_t classes = int64_t(info_.classes.size());
  std::vector<Tensor> of_views;
  for (int64_t v = 0; v < views; ++v) {
    std::vector<Tensor> parts;
    for (int64_t first = 0; first < count; first += kClips) {
      const int64_t n = std::min(kClips, count - first);
      const Tensor clips = empty({n, info_.clip.frames, width});
      for (int64_t i = 0; i < n; ++i) {
        int64_t t = 0;
        for (int64_t frame : io::clip_frames(info_.clip, starts[size_t(first + i)], job.video->index->frames())) {
          const int64_t at = std::lower_bound(job.frames.begin(), job.frames.end(), frame) - job.frames.begin();
          clips[i][t++].copy_from(features[v][at]);
        }
      }
      parts.push_back(model_->log_probs(Variable(clips.to(compute_device()))).value().to(Device{}));
    }
    of_views.push_back(ops::cat(parts, 0));
  }
  std::vector<Tensor> clips;
  for (int64_t i = 0; i < count; ++i) {
    std::vector<Tensor> rows;
    for (const Tensor& view : of_views) rows.push_back(view.narrow(0, i, 1));
    clips.push_back(mean_of(ops::cat(rows, 0)));
  }
  VideoScores scores;
  scores.clips = ops::cat(clips, 0);
  scores.video = mean_of(scores.clips);
  scores.single_frame = mean_of(baseline_->log_probs(features).reshape({views * features.size(1), classes}));
  scores.starts = starts;
  return scores;
}

bool VideoJudge::judge(const std::vector<io::ClipVideo>& videos,
                       const std::function<void(size_t, const VideoScores&)>& ready, const std::atomic<bool>* stop) {
  std::vector<FrameJob> jobs;
  std::vector<std::vector<int64_t>> starts;
  for (const io::ClipVideo& video : videos) {
    const int64_t length = video.index->frames();
    starts.push_back(io::strided_starts(info_.clip, options_.stride, length));
    FrameJob job{.video = &video, .frames = {}};
    std::vector<char> wanted(static_cast<size_t>(length));
    for (int64_t start : starts.back())
      for (int64_t frame : io::clip_frames(info_.clip, start, length)) wanted[size_t(frame)] = 1;
    for (int64_t f = 0; f < length; ++f)
      if (wanted[size_t(f)]) job.frames.push_back(f);
    jobs.push_back(std::move(job));
  }
  return features_->compute(
      jobs, frame_views(options_.ten_crop ? 10 : 1, info_.height, info_.width, info_.crop),
      [&](size_t j, const Tensor& features, const std::string& reason) {
        VideoScores scores;
        if (reason.empty())
          scores = score(jobs[j], starts[j], features);
        else
          scores.reason = reason;
        ready(j, scores);
      },
      stop);
}

}  // namespace ar::apps
