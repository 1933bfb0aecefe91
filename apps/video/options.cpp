#include "apps/video/options.h"

#include <cstdio>

#include "tensor/error.h"

namespace ar::apps {
namespace {

struct Setting {
  const char *option, *value;
};
struct Preset {
  const char* name;
  std::vector<Setting> run, model;
};

const std::vector<Preset>& presets() {
  static const std::vector<Preset> all{
      {.name = "none", .run = {}, .model = {}},
      // Donahue et al. 2015, section 4 and their published solver.
      {.name = "paper",
       .run = {{"--resize", "240x320"},
               {"--crop-size", "227"},
               {"--mirror", "true"},
               {"--optimizer", "SGD"},
               {"--learning-rate", "0.001"},
               {"--momentum", "0.9"},
               {"--weight-decay", "0.005"},
               {"--clip-norm", "5"},
               {"--scheduler", "Step"},
               {"--lr-step-size", "10000"},
               {"--batch-size", "24"},
               {"--head-lr-mult", "10"}},
       .model = {{"--feature-extractor", "caffenet"},
                 {"--features", "fc6"},
                 {"--head", "paper"},
                 {"--feature-dropout", "0.9"},
                 {"--dropout", "0.5"}}},
      {.name = "original", .run = {{"--resize", "128x171"}, {"--crop-size", "112"}}, .model = {}},
  };
  return all;
}

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const Preset& preset : presets()) names.emplace_back(preset.name);
  return names;
}

void set_missing(CLI::App& app, const std::vector<Setting>& settings) {
  for (const auto& [name, value] : settings) {
    CLI::Option* const option = app.get_option_no_throw(name);
    if (!option || option->count() > 0) continue;  // another model may not know it
    option->add_result(value);
    option->run_callback();
  }
}

}  // namespace

void add_video_train_options(CLI::App& app, VideoTrainOptions& o) {
  add_video_data_options(app, o.data);
  auto* const clips = app.add_option_group("Clips");
  clips->add_option("--frames-per-clip", o.frames_per_clip, "frames of a clip")
      ->required()
      ->check(CLI::Range(1, 1 << 16));
  clips->add_option("--frame-step", o.frame_step, "1: successive frames; n: every n-th")->check(CLI::Range(1, 1 << 16));
  clips->add_option("--clips-per-video", o.clips_per_video, "clips of a video in an epoch")
      ->check(CLI::Range(1, 1 << 16));
  clips
      ->add_option("--clips-stride", o.clips_stride,
                   "frames from one clip of a video to the next, in place of a number of clips; 0: not")
      ->check(CLI::NonNegativeNumber);
  clips->add_option("--resize", o.resize, "HEIGHTxWIDTH that frames are scaled to");
  clips
      ->add_option("--crop-size", o.crop_size,
                   "side of the square cut out of a clip, anywhere in training, else in the middle; 0: what the "
                   "feature extractor was made for")
      ->check(CLI::Range(0, 4096));
  clips->add_flag("--mirror,!--no-mirror", o.mirror, "mirror half of the clips in training");
  clips
      ->add_option("--color-jitter", o.color_jitter,
                   "in training, change brightness, contrast and saturation of each clip by factors of 1 - this to 1 + "
                   "this")
      ->check(CLI::Range(0.0, 0.999));
  clips
      ->add_option(
          "--feature-views", o.feature_views,
          "of a frozen feature extractor: 1 middle, 2 with its mirror image, 10 with the corners too; --no-mirror "
          "leaves the mirror images out")
      ->check(CLI::IsMember({1, 2, 10}));
  clips->add_option(
      "--feature-cache", o.feature_cache,
      "folder where features of a frozen feature extractor are kept; default: in $AR_CACHE or ~/.cache/ar");
  app.add_option("--preset", o.preset,
                 "paper (settings of Donahue et al. 2015) or original (frames of 128x171, crops of 112) for all "
                 "options that are not given")
      ->check(CLI::IsMember(preset_names()));
  add_train_options(app, o.train);
  add_machine_options(app, o.machine);
  app.add_flag("--fp16,!--no-fp16", o.fp16, "another name for --precision bf16");
}

void apply_preset(const std::string& name, CLI::App& app, CLI::App& model) {
  for (const Preset& preset : presets()) {
    if (preset.name != name) continue;
    set_missing(app, preset.run);
    set_missing(model, preset.model);
  }
}

std::pair<int64_t, int64_t> parse_size(const std::string& option, const std::string& text) {
  long long height = 0, width = 0;
  char rest = 0;
  const bool good = std::sscanf(text.c_str(), "%lldx%lld%c", &height, &width, &rest) == 2 && height > 0 && width > 0 &&
                    height <= 8192 && width <= 8192;
  AR_CHECK(good, option, " ", text, ": not HEIGHTxWIDTH, such as 240x320");
  return {height, width};
}

}  // namespace ar::apps
