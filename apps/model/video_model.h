// A video classifier: features of each frame, then what happens to them over time. And the table of such models.
#pragma once
#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "io/clips.h"
#include "io/value.h"
#include "nn/models/backbone.h"
#include "tensor/ops_frames.h"

namespace ar::apps {

/// What training needs of one pass.
struct ClipScores {
  Variable loss;     // the mean over the clips
  Tensor log_probs;  // (B, classes)
};

class VideoModel {
 public:
  virtual ~VideoModel() = default;
  virtual nn::Module& module() = 0;
  virtual nn::Backbone& extractor() = 0;
  /// The extractor is not trained: its features of a frame stay what they are.
  virtual bool frozen() const = 0;
  /// Names, for the terminal and for reports: "LRCN (resnet18)".
  virtual std::string title() const = 0;
  virtual int64_t feature_size() const = 0;
  /// Clips (B,3,T,H,W), normalised -> (B, T, feature_size()).
  virtual Variable features(const Variable& clips) const = 0;
  /// Features (B, T, feature_size()) and targets i64 (B).
  virtual ClipScores score(const Variable& features, const Tensor& targets, double label_smoothing) const = 0;
  /// Features (B, T, feature_size()) -> (B, classes).
  virtual Variable log_probs(const Variable& features) const = 0;
  /// All it takes to build it again, but for the weights: names of options and their values, flat.
  virtual io::Value architecture() const = 0;
  /// What the features of a frame depend on besides the extractor's weights.
  virtual std::string feature_layer() const = 0;
};

/// The options of one model on the command line.
class VideoModelOptions {
 public:
  virtual ~VideoModelOptions() = default;
  virtual void add_to(CLI::App& app) = 0;
  /// With fresh weights, or where the options name them with pretrained ones for the extractor.
  virtual std::unique_ptr<VideoModel> create(int64_t classes) const = 0;
  /// The same without looking for pretrained weights: all are about to be loaded.
  virtual std::unique_ptr<VideoModel> create_empty(int64_t classes) const = 0;
};

struct VideoModelKind {
  const char *name, *help;
  std::unique_ptr<VideoModelOptions> (*options)();
  /// From what architecture() said.
  std::unique_ptr<VideoModel> (*load)(const io::Field& architecture, int64_t classes);
};

/// The table: one line for each model.
const std::vector<VideoModelKind>& video_model_kinds();

/// What a checkpoint says about a video classifier besides its weights.
struct VideoModelInfo {
  std::string kind = "LRCN";
  std::vector<std::string> classes = {};
  io::ClipShape clip = {};
  int64_t height = 240, width = 320, crop = 224;  // frames are scaled, then a square is cut out
  PixelStats pixels = {};
};

/// {"format", "kind", "model", "architecture", "class_names", "frames_per_clip", "frame_step", "height", "width",
/// "crop_size", "mean", "std"}; the weights in "model" have PyTorch's names.
io::Value video_checkpoint(const VideoModelInfo& info, VideoModel& model);
/// Throws Error, starting with the file's name, where it is no video classifier's.
VideoModelInfo video_model_info(const io::Value& checkpoint);
/// The model as it was saved, on compute_device(). Throws Error where the file's parts do not fit each other.
std::unique_ptr<VideoModel> load_video_model(const io::Value& checkpoint);
/// Weights for a model that was built from the same options. Throws Error where an option is another one ("trained with
/// rnn-units 512, not 256; give --rnn-units 512").
void load_weights(VideoModel& model, const io::Value& checkpoint);

}  // namespace ar::apps
