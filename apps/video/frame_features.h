// Features of single frames, computed once and kept on the disk: what training a head on a frozen extractor, and
// evaluation, are made of.
#pragma once
#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "apps/model/video_model.h"
#include "io/clips.h"

namespace ar::apps {

/// Where a network looks at a scaled frame: 1 the middle; 2 the middle and its mirror image; 10 the four corners and
/// the middle, and their mirror images (Krizhevsky et al. 2012). Without `mirror` the mirror images are left out.
/// Throws Error for other numbers.
std::vector<FrameWindow> frame_views(int count, int64_t height, int64_t width, int64_t crop, bool mirror = true);

/// Frames of a video whose features are wanted, ascending.
struct FrameJob {
  const io::ClipVideo* video = nullptr;
  std::vector<int64_t> frames;
};

/// Computes features by a model's extractor, in evaluation mode, while the next frames are decoded.
class FrameFeatures {
 public:
  /// `folder` keeps what was computed, by a hash of the extractor's weights and of how frames are scaled and
  /// normalised; empty: nothing is kept. Where it cannot be written, a note says so. The model must outlive it, and not
  /// change.
  FrameFeatures(VideoModel& model, const VideoModelInfo& info, const std::filesystem::path& folder);

  /// Calls `ready` with f32 (views, frames, F) of each job in order, or with an undefined tensor and the reason where
  /// the video cannot be read. False: `stop` became true; what was computed is kept.
  bool compute(const std::vector<FrameJob>& jobs, const std::vector<FrameWindow>& views,
               const std::function<void(size_t job, const Tensor& features, const std::string& reason)>& ready,
               const std::atomic<bool>* stop = nullptr);
  /// Frames that were computed so far (each view counts), and that were found on the disk.
  int64_t computed() const { return computed_; }
  int64_t reused() const { return reused_; }

 private:
  Tensor extract(const Tensor& frames, const FrameWindow& view) const;
  std::filesystem::path file_of(const io::ClipVideo& video) const;
  Tensor load(const FrameJob& job, const std::vector<FrameWindow>& views) const;
  void save(const FrameJob& job, const std::vector<FrameWindow>& views, const Tensor& features);

  VideoModel& model_;
  VideoModelInfo info_;
  std::filesystem::path folder_;
  int64_t computed_ = 0, reused_ = 0;
  bool save_failed_ = false;
};

/// The usual folder for them: "features" in io::cache_root().
std::filesystem::path feature_cache_folder();

/// Clips of features in the form of a data set, for training a head: a sample's bytes are the T x F floats of a clip,
/// which clip_features() takes out of a batch. Clips are those that the options say without `random`; a training set
/// draws one of the views for each sample.
class FeatureClips : public io::Dataset {
 public:
  /// Throws Stopped when `stop` was set, Error when no video of a set can be read. Videos that cannot be are left out,
  /// with a note.
  FeatureClips(FrameFeatures& features, std::vector<io::ClipVideo> videos, io::ClipOptions options,
               const std::vector<FrameWindow>& views, const std::string& label, const std::atomic<bool>* stop);
  int64_t size() const override { return clips_->size(); }
  Dims sample_shape() const override;
  int64_t label(int64_t index) const override { return clips_->label(index); }
  std::string name(int64_t index) const override { return clips_->name(index); }
  void fill(int64_t index, const io::SampleKey& key, const Tensor& slot) const override;

  const io::ClipDataset& clips() const { return *clips_; }

 private:
  struct Video {
    std::vector<int64_t> frames;
    Tensor features;  // (views, frames, F)
  };
  std::vector<Video> videos_;
  std::shared_ptr<const io::ClipDataset> clips_;
  int64_t size_of_feature_ = 0;
};

/// (B, T, F) f32 from a batch of FeatureClips.
Tensor clip_features(const Tensor& inputs, int64_t features);

}  // namespace ar::apps
