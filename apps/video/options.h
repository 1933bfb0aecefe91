// The options of video training besides those that all training shares.
#pragma once
#include <CLI/CLI.hpp>
#include <string>

#include "apps/train/options.h"
#include "apps/video/video_data.h"

namespace ar::apps {

struct VideoTrainOptions {
  VideoDataOptions data;
  int64_t frames_per_clip = 0, frame_step = 1;
  int64_t clips_per_video = 10, clips_stride = 0;
  std::string resize = "240x320";
  int64_t crop_size = 0;  // 0: the extractor's own
  bool mirror = true;
  double color_jitter = 0;
  int feature_views = 2;
  std::filesystem::path feature_cache;
  std::string preset = "none";
  bool fp16 = false;
  TrainOptions train;
  MachineOptions machine;
};

void add_video_train_options(CLI::App& app, VideoTrainOptions& options);

/// Gives every option that a preset names and that was not given itself the preset's value. After parsing; `model` is
/// the sub-command of the model.
void apply_preset(const std::string& preset, CLI::App& app, CLI::App& model);

/// "240x320": height and width. Throws Error on anything else.
std::pair<int64_t, int64_t> parse_size(const std::string& option, const std::string& text);

}  // namespace ar::apps
