#include "apps/model/video_model.h"

#include "apps/model/lrcn_model.h"
#include "apps/model/machine.h"
#include "apps/model/pixel_stats.h"
#include "io/json_value.h"
#include "nn/init.h"

namespace ar::apps {
namespace {

constexpr const char* kFormat = "ar video classifier";

const VideoModelKind& kind_named(const io::Field& name) {
  for (const VideoModelKind& kind : video_model_kinds())
    if (kind.name == name.string()) return kind;
  name.error("this version knows no video model '" + name.string() + "'");
}

void load_state(VideoModel& model, const io::Value& checkpoint) {
  try {
    model.module().load_state_dict(checkpoint.at("model").tensors());
  } catch (const Error& e) {
    fail(checkpoint.origin(), ": ", e.what());
  }
}

}  // namespace

const std::vector<VideoModelKind>& video_model_kinds() {
  static const std::vector<VideoModelKind> kinds{
      {"LRCN", "an LSTM over the features of each frame (Donahue et al. 2015)", lrcn_options, load_lrcn},
  };
  return kinds;
}

io::Value video_checkpoint(const VideoModelInfo& info, VideoModel& model) {
  io::Value value;
  value["format"] = kFormat;
  value["kind"] = info.kind;
  value["model"] = io::Value::dict(model.module().state_dict());
  value["architecture"] = model.architecture();
  value["class_names"] = io::Value::list(info.classes);
  value["frames_per_clip"] = info.clip.frames;
  value["frame_step"] = info.clip.step;
  value["height"] = info.height;
  value["width"] = info.width;
  value["crop_size"] = info.crop;
  save_pixel_stats(value, info.pixels);
  return value;
}

VideoModelInfo video_model_info(const io::Value& checkpoint) {
  const auto format = checkpoint.find("format");
  AR_CHECK(format && format->string() == kFormat, checkpoint.origin(), ": not a checkpoint of ar-train-video");
  VideoModelInfo info;
  info.kind = kind_named(checkpoint.at("kind")).name;
  info.classes = checkpoint.at("class_names").strings();
  info.clip = {.frames = checkpoint.at("frames_per_clip").integer(), .step = checkpoint.at("frame_step").integer()};
  info.height = checkpoint.at("height").integer();
  info.width = checkpoint.at("width").integer();
  info.crop = checkpoint.at("crop_size").integer();
  info.pixels = pixel_stats_from(checkpoint);
  io::check_clip_options({.clip = info.clip, .height = info.height, .width = info.width, .crop = info.crop});
  return info;
}

std::unique_ptr<VideoModel> load_video_model(const io::Value& checkpoint) {
  const VideoModelInfo info = video_model_info(checkpoint);
  const nn::init::Skip skip;
  auto model = kind_named(checkpoint.at("kind")).load(checkpoint.at("architecture"), int64_t(info.classes.size()));
  load_state(*model, checkpoint);
  model->module().eval();
  model->module().to(compute_device());
  return model;
}

void load_weights(VideoModel& model, const io::Value& checkpoint) {
  const io::Value here = model.architecture();
  for (const auto& [key, saved] : checkpoint.at("architecture").dict()) {
    const auto mine = here.find(key);
    if (!mine) saved.error("this version has no such option");
    const std::string was = io::to_json(saved.value()), is = io::to_json(mine->value()), name = io::to_string(key);
    AR_CHECK(was == is, checkpoint.origin(), ": trained with ", name, " ", was, ", not ", is, "; give --", name, " ",
             was);
  }
  load_state(model, checkpoint);
}

}  // namespace ar::apps
