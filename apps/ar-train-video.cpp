// Trains a video classifier: run options, the name of a model, options of that model.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/common/program.h"
#include "apps/common/stop_signal.h"
#include "apps/model/machine.h"
#include "apps/model/saved_split.h"
#include "apps/model/video_model.h"
#include "apps/report/confusion_picture.h"
#include "apps/report/progress.h"
#include "apps/train/loaders.h"
#include "apps/train/optimizer.h"
#include "apps/train/resumed_options.h"
#include "apps/train/run_files.h"
#include "apps/train/run_training.h"
#include "apps/video/clip_pictures.h"
#include "apps/video/frame_features.h"
#include "apps/video/options.h"
#include "apps/video/single_frame.h"
#include "autograd/autograd.h"
#include "io/checkpoint_file.h"
#include "tensor/random.h"

namespace {

using namespace ar;
using namespace ar::apps;

/// A resumed run keeps the clips and the classes it began with.
void check_same_input(const io::Value& checkpoint, const VideoModelInfo& info) {
  const VideoModelInfo saved = video_model_info(checkpoint);
  const auto check = [&](const char* option, const auto& was, const auto& is) {
    AR_CHECK(was == is, checkpoint.origin(), ": trained with ", option, " ", was, ", not ", is);
  };
  AR_CHECK(saved.classes == info.classes, checkpoint.origin(), ": trained on other classes than these, ",
           saved.classes.size(), " beginning with '", saved.classes.front(), "'");
  check("model", saved.kind, info.kind);
  check("--frames-per-clip", saved.clip.frames, info.clip.frames);
  check("--frame-step", saved.clip.step, info.clip.step);
  check("--resize, height", saved.height, info.height);
  check("--resize, width", saved.width, info.width);
  check("--crop-size", saved.crop, info.crop);
}

/// The two data sets of a training, of pictures or (behind a frozen extractor) of features.
struct ClipData {
  std::shared_ptr<const io::Dataset> training = nullptr, validation = nullptr;
  /// The clips that validation indices mean.
  std::shared_ptr<const io::ClipDataset> validation_clips = nullptr;
};

ClipData decoded_clips(const VideoSplit& split, const io::ClipOptions& training) {
  io::ClipOptions validation = training;
  validation.random = validation.mirror = false;
  validation.color_jitter = 0;
  ClipData data{.training = std::make_shared<io::ClipDataset>(split.training, training)};
  if (!split.validation.empty())
    data.validation = data.validation_clips = std::make_shared<io::ClipDataset>(split.validation, validation);
  return data;
}

ClipData feature_clips(const VideoSplit& split, const io::ClipOptions& options, const VideoModelInfo& info,
                       const VideoTrainOptions& o, VideoModel& model) {
  FrameFeatures features(model, info, o.feature_cache.empty() ? feature_cache_folder() : o.feature_cache);
  const auto views = [&](int n) { return frame_views(n, info.height, info.width, info.crop, o.mirror); };
  ClipData data{.training = std::make_shared<FeatureClips>(features, split.training, options, views(o.feature_views),
                                                           "training features", &StopSignal::flag())};
  if (!split.validation.empty()) {
    const auto clips = std::make_shared<FeatureClips>(features, split.validation, options, views(1),
                                                      "validation features", &StopSignal::flag());
    data.validation = clips;
    data.validation_clips = {clips, &clips->clips()};
  }
  return data;
}

/// The report after an epoch, and the pictures for TensorBoard.
void write_report(const VideoTrainOptions& o, const std::string& title, const nlohmann::json& options,
                  const VideoSet& set, const ClipData& data, RunLog& log, const EpochReport& epoch) {
  Report report{.title = "Training of " + title,
                .subtitle = o.data.lists.data_dir.string(),
                .tiles = {{std::to_string(epoch.epoch) + " of " + std::to_string(o.train.epochs), "epochs"}},
                .curves = log.curves(),
                .metrics = epoch.validation,
                .facts = facts_about(set)};
  for (const auto& [name, value] : options.items())
    report.options.emplace_back(name, value.is_string() ? value.get<std::string>() : value.dump());
  if (data.validation_clips)
    show_videos_of(
        data.validation_clips->videos(), [&](int64_t i) { return data.validation_clips->video_of(i); }, report);
  write_html_report(log.folder() / "report.html", report);
  if (epoch.validation) log.image("confusion", epoch.step, confusion_picture(*epoch.validation));
}

int run(CLI::App& app, CLI::App& model_app, const VideoModelKind& kind, const VideoModelOptions& model_options,
        VideoTrainOptions& o) {
  apply_preset(o.preset, app, model_app);
  TrainOptions& t = o.train;
  nlohmann::json options = options_as_json(app);
  options["model"] = kind.name;
  options.update(options_as_json(model_app));
  if (o.fp16) o.machine.precision = "bf16";
  apply_machine_options(o.machine);
  const StopSignal stop_signal;
  const RunOutput output(t);
  const std::optional<io::Value> checkpoint = resumed_checkpoint(t);
  if (checkpoint) keep_options(*checkpoint, options, t);

  o.data.workers = std::max(t.data_loader_workers, 1);
  o.data.problems = log_path(t, "video-problems.txt");
  const VideoSet set = prepare_videos(o.data, Side::train, &StopSignal::flag());
  const auto [height, width] = parse_size("--resize", o.resize);
  VideoModelInfo info{.kind = kind.name,
                      .classes = set.classes,
                      .clip = {.frames = o.frames_per_clip, .step = o.frame_step},
                      .height = height,
                      .width = width,
                      .crop = o.crop_size};
  std::optional<io::SplitLists> saved_split;
  if (checkpoint) saved_split = split_from_value(checkpoint->at("split"));
  const VideoSplit split = split_videos(set, t.validation_split, t.seed, saved_split ? &*saved_split : nullptr);

  manual_seed(t.seed);
  const auto classes = int64_t(info.classes.size());
  const std::unique_ptr<VideoModel> model =
      checkpoint ? model_options.create_empty(classes) : model_options.create(classes);
  info.pixels = model->extractor().pixel_stats();
  if (info.crop == 0) info.crop = model->extractor().image_size();
  const io::ClipOptions clip_options{.clip = info.clip,
                                     .per_video = o.clips_per_video,
                                     .stride = o.clips_stride,
                                     .random = true,
                                     .mirror = o.mirror,
                                     .color_jitter = o.color_jitter,
                                     .height = info.height,
                                     .width = info.width,
                                     .crop = info.crop};
  io::check_clip_options(clip_options);
  if (checkpoint) {
    check_same_input(*checkpoint, info);
    load_weights(*model, *checkpoint);
  }
  model->module().to(compute_device());
  SingleFrameBaseline baseline(model->feature_size(), classes, compute_device());
  if (checkpoint) baseline.load_state(checkpoint->at("single_frame"));
  log_line(model->title() + ": " + std::to_string(model->module().num_parameters(true)) + " trained parameters of " +
           std::to_string(model->module().num_parameters()));

  AR_CHECK(!model->frozen() || o.color_jitter == 0,
           "--color-jitter: a frozen feature extractor sees each frame once, as it is; leave it out");
  const ClipData data =
      model->frozen() ? feature_clips(split, clip_options, info, o, *model) : decoded_clips(split, clip_options);
  const int64_t samples = data.training->size();
  AR_CHECK(samples >= t.batch_size, o.data.lists.data_dir.string(), ": ", samples,
           " clips are left for training, less than --batch-size ", t.batch_size);
  // Features lie in their batches in a form that the CPU takes apart.
  TrainLoaders loaders(t, model->frozen() ? Device{} : compute_device(), data.training, io::shuffled(samples, t.seed),
                       data.validation);

  const auto optimizer = make_optimizer(t, split_parameters(model->module(), model->extractor()));
  const auto scheduler = make_scheduler(t, *optimizer, samples);
  // Frames, or, of a frozen extractor, their features.
  const auto clips_of = [&](const io::Batch& batch) {
    if (model->frozen()) return clip_features(batch.inputs, model->feature_size()).to(compute_device());
    return network_input(batch.inputs, info.pixels,
                         {.height = info.crop, .width = info.crop, .windows = batch.windows});
  };

  Trainer trainer(
      {.model = model->module(),
       .inputs =
           [&](const io::Batch& batch) {
             return std::vector{clips_of(batch), batch.targets.to(compute_device())};
           },
       .forward =
           [&](const std::vector<Tensor>& in) {
             const Variable features = model->frozen() ? Variable(in[0]) : model->features(in[0]);
             ClipScores scores = model->score(features, in[1], t.label_smoothing);
             return Forward{.loss = std::move(scores.loss),
                            .log_probs = std::move(scores.log_probs),
                            .features = features.value()};
           },
       .optimizer = *optimizer,
       .scheduler = *scheduler,
       .classes = info.classes,
       .training = loaders.training,
       .validation = loaders.validation ? &*loaders.validation : nullptr,
       .beside = [&](const std::vector<Tensor>& in, const Tensor& features) { baseline.step(features, in[1]); },
       .describe =
           [&] {
             io::Value state = video_checkpoint(info, *model);
             state["single_frame"] = baseline.state();
             state["split"] = split_value(split.lists);
             state["options"] = options.dump();
             return state;
           }},
      trainer_options(t));
  if (checkpoint) trainer.load_state(*checkpoint);

  return run_training(trainer, {.train = t,
                                .options = options,
                                .sizes = {.epochs = t.epochs,
                                          .training = std::min(samples, training_batches(t, samples) * t.batch_size),
                                          .validation = data.validation ? data.validation->size() : 0,
                                          .unit = "clips"},
                                .resumed = checkpoint.has_value(),
                                .log_samples =
                                    [&](RunLog& log) {
                                      if (model->frozen()) return;  // batches of features, not of pictures
                                      loaders.training.start(0);
                                      if (const auto batch = loaders.training.next())
                                        log.image("samples", 0, clip_picture(*batch, info.crop));
                                    },
                                .log_epoch =
                                    [&](RunLog& log, const EpochReport& epoch) {
                                      write_report(o, model->title(), options, set, data, log, epoch);
                                    }});
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Trains a video classifier. Options of the run come first, then the name of a model, then options of that model: "
      "ar-train-video --data-dir videos --frames-per-clip 16 LRCN --feature-extractor densenet121");
  add_common_options(app);
  VideoTrainOptions options;
  add_video_train_options(app, options);
  app.require_subcommand(1);
  std::vector<std::pair<CLI::App*, std::unique_ptr<VideoModelOptions>>> models;
  for (const VideoModelKind& kind : video_model_kinds()) {
    CLI::App* const model = app.add_subcommand(kind.name, kind.help);
    models.emplace_back(model, kind.options());
    models.back().second->add_to(*model);
  }
  return run_program(app, argc, argv, [&] {
    for (size_t i = 0; i < models.size(); ++i)
      if (models[i].first->parsed())
        return run(app, *models[i].first, video_model_kinds()[i], *models[i].second, options);
    return kBadUse;
  });
}
