// Trains an image classifier on a folder with one sub-folder for each class.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <nlohmann/json.hpp>

#include "apps/common/program.h"
#include "apps/common/stop_signal.h"
#include "apps/model/image_model.h"
#include "apps/model/machine.h"
#include "apps/model/pretrained.h"
#include "apps/model/saved_split.h"
#include "apps/report/confusion_picture.h"
#include "apps/report/progress.h"
#include "apps/train/image_data.h"
#include "apps/train/image_report.h"
#include "apps/train/loaders.h"
#include "apps/train/optimizer.h"
#include "apps/train/pretrained_weights.h"
#include "apps/train/resumed_options.h"
#include "apps/train/run_files.h"
#include "apps/train/run_training.h"
#include "autograd/autograd.h"
#include "io/checkpoint_file.h"
#include "tensor/random.h"

namespace {

using namespace ar;
using namespace ar::apps;

struct Options {
  std::filesystem::path data_dir, validation_dir;
  int64_t image_size = 224;
  double dropout = 0.5;
  std::string augment = "original", balance = "none";
  ExtractorOptions extractor;
  TrainOptions train;
  MachineOptions machine;
};

void add_options(CLI::App& app, Options& o) {
  app.add_option("--data-dir", o.data_dir, "folder with one sub-folder of images for each class")->required();
  add_train_options(app, o.train);
  app.add_option("--validation-dir", o.validation_dir, "folder like --data-dir to validate on, in place of a split")
      ->check(CLI::ExistingDirectory)
      ->excludes(app.get_option("--validation-split"));
  add_extractor_options(app, o.extractor);
  CLI::App* const images = app.add_option_group("Images");
  images->add_option("--image-size", o.image_size, "side of the square that the network sees")
      ->check(CLI::Range(32, 4096));
  images
      ->add_option(
          "--augment", o.augment,
          "original (squash to the square, mirror, erase a rectangle), imagenet (random crop, mirror, colour) or "
          "none (squash)")
      ->check(CLI::IsMember({"original", "imagenet", "none"}));
  images
      ->add_option("--balance", o.balance,
                   "against classes of unequal size: none, sampler (draw all classes equally often) or weights (weigh "
                   "the loss)")
      ->check(CLI::IsMember({"none", "sampler", "weights"}));
  images->add_option("--dropout", o.dropout, "share of features left out before the classifier")
      ->check(CLI::Range(0.0, 0.99));
  add_machine_options(app, o.machine);
}

/// The network's weights: a checkpoint's, published ones, or random ones.
nn::ImageClassifier make_classifier(const Options& o, const std::vector<std::string>& classes,
                                    const io::Value* checkpoint) {
  nn::ImageClassifier classifier({.feature_extractor = o.extractor.feature_extractor,
                                  .classes = int64_t(classes.size()),
                                  .dropout = o.dropout,
                                  .freeze = o.extractor.freeze_fe});
  if (checkpoint) {
    load_weights(classifier, *checkpoint);
    return classifier;
  }
  show_pretrained(o.extractor.pretrained,
                  [&](const PretrainedOptions& source) { return load_pretrained(classifier, source); });
  return classifier;
}

/// N / (C * n_c): the mean weight over all samples is 1.
std::vector<float> balancing_loss_weights(const std::vector<int64_t>& labels, int64_t classes) {
  std::vector<float> weights(size_t(classes), 0.f);
  for (int64_t label : labels) ++weights[size_t(label)];
  for (float& w : weights) w = w > 0 ? float(labels.size()) / (float(classes) * w) : 0.f;
  return weights;
}

/// What the mean loss of a batch was divided by.
double sum_of_weights(const std::vector<float>& of_class, const std::vector<int64_t>& labels) {
  if (of_class.empty()) return double(labels.size());
  double sum = 0;
  for (int64_t label : labels) sum += of_class[size_t(label)];
  return sum;
}

/// A resumed run keeps the model it began with.
void check_same_model(const io::Value& checkpoint, const ImageModelInfo& info) {
  const ImageModelInfo saved = image_model_info(checkpoint);
  AR_CHECK(saved.feature_extractor == info.feature_extractor, checkpoint.origin(), ": its feature extractor is ",
           saved.feature_extractor, ", not ", info.feature_extractor, "; give --feature-extractor ",
           saved.feature_extractor);
  AR_CHECK(saved.image_size == info.image_size, checkpoint.origin(), ": trained on images of ", saved.image_size,
           " pixels, not ", info.image_size, "; give --image-size ", saved.image_size);
}

/// The report after an epoch, and the pictures for TensorBoard.
void write_report(const Options& o, const nlohmann::json& options, const ImageData& data, RunLog& log,
                  const EpochReport& epoch) {
  Report report{.title = "Training of " + o.extractor.feature_extractor,
                .subtitle = o.data_dir.string(),
                .tiles = {{std::to_string(epoch.epoch) + " of " + std::to_string(o.train.epochs), "epochs"}},
                .curves = log.curves(),
                .metrics = epoch.validation,
                .facts = facts_about(data)};
  for (const auto& [name, value] : options.items())
    report.options.emplace_back(name, value.is_string() ? value.get<std::string>() : value.dump());
  if (data.validation) show_images_of(*data.validation, report);
  write_html_report(log.folder() / "report.html", report);
  if (epoch.validation) log.image("confusion", epoch.step, confusion_picture(*epoch.validation));
}

int run(const CLI::App& app, const Options& o) {
  TrainOptions t = o.train;
  nlohmann::json options = options_as_json(app);
  apply_machine_options(o.machine);
  const StopSignal stop_signal;
  const RunOutput output(t);
  const std::optional<io::Value> checkpoint = resumed_checkpoint(t);
  if (checkpoint) keep_options(*checkpoint, options, t);

  const io::ImageTransform transform{.augment = io::augment_named(o.augment)};
  ImageModelInfo info{.feature_extractor = o.extractor.feature_extractor,
                      .image_size = o.image_size,
                      .fit = transform.evaluation().fit,
                      .dropout = o.dropout};
  ImageDataOptions sources{.data_dir = o.data_dir,
                           .validation_dir = o.validation_dir,
                           .validation_split = t.validation_split,
                           .seed = t.seed,
                           .image_size = o.image_size,
                           .augment = transform.augment,
                           .at_least = t.batch_size,
                           .bad_files = log_path(t, "bad-files.tsv"),
                           .stop = &StopSignal::flag()};
  if (checkpoint) {
    check_same_model(*checkpoint, info);
    sources.classes = image_model_info(*checkpoint).classes;
    sources.saved_split = split_from_value(checkpoint->at("split"));
  }
  const ImageData data = prepare_image_data(sources);
  info.classes = data.classes;

  manual_seed(t.seed);
  nn::ImageClassifier classifier = make_classifier(o, info.classes, checkpoint ? &*checkpoint : nullptr);
  classifier.to(compute_device());
  info.pixels = classifier.feature_extractor().pixel_stats();
  log_line(o.extractor.feature_extractor + ": " + std::to_string(classifier.num_parameters(true)) +
           " trained parameters of " + std::to_string(classifier.num_parameters()));

  const std::vector<int64_t> labels = data.training->labels();
  const int64_t samples = data.training->size();
  TrainLoaders loaders(t, compute_device(), data.training,
                       o.balance == "sampler" ? io::weighted(io::balancing_weights(labels), samples, t.seed)
                                              : io::shuffled(samples, t.seed),
                       data.validation);

  const auto optimizer = make_optimizer(t, split_parameters(classifier, classifier.feature_extractor()));
  const auto scheduler = make_scheduler(t, *optimizer, samples);
  std::vector<float> weights;
  if (o.balance == "weights") weights = balancing_loss_weights(labels, int64_t(info.classes.size()));
  LossOptions loss_options{.label_smoothing = t.label_smoothing};
  if (!weights.empty()) loss_options.weight = from_vector(weights, {int64_t(weights.size())}).to(compute_device());

  Trainer trainer({.model = classifier,
                   .inputs =
                       [](const io::Batch& batch) {
                         return std::vector{batch.inputs, batch.targets};
                       },
                   .forward =
                       [&](const std::vector<Tensor>& in) {
                         const Variable scores = classifier(network_input(in[0], info.pixels));
                         // Of log-probabilities cross_entropy's log_softmax is the identity.
                         return Forward{.loss = cross_entropy(scores, in[1], loss_options),
                                        .log_probs = scores.value()};
                       },
                   .optimizer = *optimizer,
                   .scheduler = *scheduler,
                   .classes = info.classes,
                   .training = loaders.training,
                   .validation = loaders.validation ? &*loaders.validation : nullptr,
                   .weight = [&](const io::Batch& batch) { return sum_of_weights(weights, batch.labels); },
                   .describe =
                       [&] {
                         io::Value state = image_checkpoint(info, classifier);
                         state["split"] = split_value(data.split);
                         state["options"] = options.dump();
                         return state;
                       }},
                  trainer_options(t));
  if (checkpoint) trainer.load_state(*checkpoint);

  return run_training(
      trainer,
      {.train = t,
       .options = options,
       .sizes = {.epochs = t.epochs,
                 .training = std::min(samples, training_batches(t, samples) * t.batch_size),
                 .validation = data.validation ? data.validation->size() : 0,
                 .unit = "images"},
       .resumed = checkpoint.has_value(),
       .log_samples =
           [&](RunLog& log) {
             loaders.training.start(0);
             if (const auto batch = loaders.training.next()) log.image("samples", 0, sample_picture(*batch));
           },
       .log_epoch = [&](RunLog& log, const EpochReport& epoch) { write_report(o, options, data, log, epoch); }});
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Trains an image classifier on a folder with one sub-folder of images for each class, and leaves a checkpoint "
      "that ar-classify, ar-generate-action-clip and PyTorch open.");
  add_common_options(app);
  Options options;
  add_options(app, options);
  return run_program(app, argc, argv, [&] { return run(app, options); });
}
