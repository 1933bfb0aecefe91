// What a trained video classifier says about whole videos.
#pragma once
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/model/video_model.h"
#include "apps/video/frame_features.h"
#include "apps/video/single_frame.h"
#include "io/split.h"

namespace ar::apps {

struct JudgeOptions {
  int64_t stride = 8;                        // frames from one clip to the next; the last clip ends with the video
  bool ten_crop = false;                     // ten views of each frame, probabilities averaged
  std::filesystem::path feature_cache = {};  // used where the extractor was frozen in training; empty: none
};

/// Log-probabilities, or why there are none.
struct VideoScores {
  Tensor video;                 // (1, classes): mean probabilities of the clips
  Tensor clips;                 // (clips, classes)
  Tensor single_frame;          // (1, classes): mean probabilities of the frames by the single-frame baseline
  std::vector<int64_t> starts;  // first frames of the clips
  std::string reason;           // not empty: the video cannot be read
};

/// Clips of a video at a stride over its whole length, each judged by the model; the features of a frame are computed
/// once, however many clips it is in.
class VideoJudge {
 public:
  /// Throws Error, starting with the path, where it is no checkpoint of ar-train-video.
  VideoJudge(const std::filesystem::path& checkpoint, const JudgeOptions& options);

  const VideoModelInfo& info() const { return info_; }
  /// What it was trained and validated on.
  const io::SplitLists& split() const { return split_; }
  /// Calls `ready` for each video. False: `stop` became true on the way.
  bool judge(const std::vector<io::ClipVideo>& videos,
             const std::function<void(size_t video, const VideoScores& scores)>& ready, const std::atomic<bool>* stop);

 private:
  VideoScores score(const FrameJob& job, const std::vector<int64_t>& starts, const Tensor& features) const;
  JudgeOptions options_;
  VideoModelInfo info_;
  io::SplitLists split_;
  std::unique_ptr<VideoModel> model_;
  std::unique_ptr<SingleFrameBaseline> baseline_;
  std::unique_ptr<FrameFeatures> features_;
};

}  // namespace ar::apps
