// Finds the images of a data set whose label is probably wrong.
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>
#include <optional>

#include "apps/common/program.h"
#include "apps/common/stop_signal.h"
#include "apps/images/doubt_report.h"
#include "apps/images/label_doubt.h"
#include "apps/images/move_aside.h"
#include "apps/model/image_model.h"
#include "apps/model/machine.h"
#include "apps/report/progress.h"
#include "apps/train/image_data.h"
#include "apps/train/image_report.h"
#include "apps/train/options.h"
#include "apps/train/pretrained_weights.h"
#include "autograd/autograd.h"
#include "io/atomic_file.h"
#include "io/checkpoint_file.h"
#include "io/loader.h"
#include "nn/init.h"
#include "tensor/random.h"

namespace {

using namespace ar;
using namespace ar::apps;

struct Options {
  std::filesystem::path data_dir, checkpoint, move_to;
  std::string csv = "label-doubts.csv", report = "label-doubts.html";
  std::string feature_extractor = "resnet18", pretrained = "auto";
  int64_t image_size = 0, folds = 5, show = 200, batch_size = 16;
  bool no_folds = false;
  SuspectLimits limits;
  uint64_t seed = 0;
  int workers = 2;
  MachineOptions machine;
};

/// A frozen network and how it wants to see images; `rows` turns a batch into what is asked of it.
struct FrozenNetwork {
  ImageModelInfo info;
  std::function<Variable(const Variable&)> rows;
};

FrozenNetwork network_of_checkpoint(const Options& o) {
  const io::Value checkpoint = io::load_checkpoint_file(o.checkpoint);
  ImageModelInfo info = image_model_info(checkpoint);
  const nn::init::Skip skip;
  const auto classifier = std::make_shared<nn::ImageClassifier>(nn::ImageClassifierOptions{
      .feature_extractor = info.feature_extractor, .classes = int64_t(info.classes.size()), .dropout = info.dropout});
  load_weights(*classifier, checkpoint);
  classifier->eval();
  classifier->to(compute_device());
  if (o.no_folds) return {std::move(info), [classifier](const Variable& x) { return (*classifier)(x); }};
  return {std::move(info), [classifier](const Variable& x) { return classifier->feature_extractor().pooled(x); }};
}

FrozenNetwork network_without_head(const Options& o) {
  manual_seed(o.seed);
  const auto box = std::make_shared<nn::Box<nn::Backbone>>(nn::make_backbone(o.feature_extractor));
  nn::Backbone& network = **box;
  show_pretrained(o.pretrained, [&](const PretrainedOptions& source) {
    return load_pretrained(network, o.feature_extractor, source);
  });
  network.eval();
  network.to(compute_device());
  return {{.feature_extractor = o.feature_extractor,
           .image_size = o.image_size > 0 ? o.image_size : network.image_size(),
           .pixels = network.pixel_stats()},
          [box](const Variable& x) { return (*box)->pooled(x); }};
}

/// What the network says of all images: (N, length) f32.
Tensor rows_of_all(const FrozenNetwork& network, const std::shared_ptr<const io::ImageDataset>& images,
                   const Options& o) {
  io::Loader loader(
      images, io::sequential(images->size()),
      {.batch_size = o.batch_size, .workers = o.workers, .device = compute_device(), .stop = &StopSignal::flag()});
  loader.start(0);
  Progress progress({.label = network.info.feature_extractor, .total = images->size(), .unit = "images"});
  const NoGrad no_grad;
  Tensor all;
  int64_t done = 0;
  while (const auto batch = loader.next()) {
    if (batch->replaced > 0) fail(loader.bad().front().name, ": can no longer be read");
    const Tensor rows = network.rows(network_input(batch->inputs, network.info.pixels)).value();
    if (!all.defined()) all = empty({images->size(), rows.size(1)});
    all.narrow(0, done, batch->size()).copy_from(rows);
    progress.update(done += batch->size());
  }
  if (StopSignal::flag())
    throw Stopped("stopped after " + std::to_string(done) + " of " + std::to_string(images->size()) +
                  " images; nothing is written");
  progress.finish("features of " + std::to_string(done) + " images");
  return all;
}

Tensor judge(const Tensor& features, const std::vector<int64_t>& labels, const ScannedFolder& found, const Options& o) {
  const io::DuplicateGroups copies = io::group_duplicates(found.scan, found.usable);
  const std::vector<int64_t> fold = assign_folds(labels, copies.group, o.folds, o.seed);
  Progress progress({.label = "cross-validation", .unit = "steps"});
  return cross_validated_log_probs(features, labels, fold, int64_t(found.folder.classes.size()),
                                   {.seed = o.seed,
                                    .progress =
                                        [&](int64_t done, int64_t total) {
                                          progress.set_total(total);
                                          progress.update(done);
                                        },
                                    .stop = &StopSignal::flag()});
}

void move_suspects(const DoubtReport& report, const Options& o) {
  std::vector<std::string> paths;
  for (const LabelDoubt& doubt : report.doubts)
    if (is_suspect(doubt, o.limits)) paths.push_back(report.path(doubt.sample));
  const MovedAside result = move_aside(o.data_dir, paths, o.move_to, &StopSignal::flag());
  for (const std::string& skipped : result.skipped) log_line("note: not moved: " + skipped);
  const std::string where = " images to " + o.move_to.string() + ", listed in moved.tsv there";
  if (StopSignal::flag())
    throw Stopped("stopped after moving " + std::to_string(result.moved) + " of " + std::to_string(paths.size()) +
                  where);
  std::printf("moved %lld%s\n", static_cast<long long>(result.moved), paths.empty() ? " images" : where.c_str());
}

int run(const Options& o) {
  apply_machine_options(o.machine);
  AR_CHECK(!o.no_folds || !o.checkpoint.empty(), "--no-folds: needs the classifier of a --checkpoint");
  if (!o.move_to.empty()) check_aside(o.data_dir, o.move_to);
  const StopSignal stop_signal;
  // Opened now, so that a place that cannot be written to is known before the work.
  std::optional<io::AtomicFile> csv, sheet;
  if (!o.csv.empty()) csv.emplace(o.csv);
  if (!o.report.empty()) sheet.emplace(o.report);

  const FrozenNetwork network = o.checkpoint.empty() ? network_without_head(o) : network_of_checkpoint(o);
  const ScannedFolder found = scan_folder(o.data_dir, network.info.classes, {}, &StopSignal::flag());
  io::check_enough(found.folder, found.usable, o.no_folds ? 1 : o.folds);
  const auto images = std::make_shared<io::ImageDataset>(found.folder, found.usable, network.info.transform());
  const std::vector<int64_t> labels = images->labels();
  const Tensor rows = rows_of_all(network, images, o);
  const Tensor log_probs = o.no_folds ? rows : judge(rows, labels, found, o);

  DoubtReport report{.data_dir = o.data_dir.string(),
                     .classes = found.folder.classes,
                     .doubts = rank_doubts(log_probs, labels),
                     .limits = o.limits,
                     .show = o.show,
                     .path = [&](int64_t i) { return images->name(i); },
                     .thumbnail = [&](int64_t i) { return thumbnail(images->file(i)); }};
  const std::string whose = o.checkpoint.empty() ? network.info.feature_extractor : o.checkpoint.filename().string();
  report.method = o.no_folds ? "Judged by the classifier of " + whose + "."
                             : "Judged by " + std::to_string(o.folds) + "-fold cross-validation on the features of " +
                                   whose + ": each image by a classifier that has not seen it.";
  if (const size_t left = labels.size() - report.doubts.size(); left > 0)
    log_line("note: " + std::to_string(left) +
             " images are not judged: those of a class without a second picture to learn it from");
  AR_CHECK(!report.doubts.empty(), o.data_dir.string(), ": no image could be judged");

  int64_t disbelieved = 0, suspects = 0;
  for (const LabelDoubt& doubt : report.doubts) {
    disbelieved += doubt.suggested != doubt.label;
    suspects += is_suspect(doubt, o.limits);
  }
  if (csv) csv->write(doubts_csv(report)), csv->commit();
  if (sheet) sheet->write(contact_sheet(report)), sheet->commit();
  std::printf("%zu images judged; for %lld another class is more probable, %lld are suspects\n", report.doubts.size(),
              static_cast<long long>(disbelieved), static_cast<long long>(suspects));
  if (csv) std::printf("all of them, ranked: %s\n", o.csv.c_str());
  if (sheet) std::printf("the most doubted, with pictures: %s\n", o.report.c_str());
  if (!o.move_to.empty()) move_suspects(report, o);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Finds the images of a data set (a folder with one sub-folder for each class) whose label is probably wrong: a "
      "cross-validated classifier ranks them by the probability it gives their label. Nothing in the data set is "
      "touched unless --move-to is given.");
  add_common_options(app);
  Options o;
  app.add_option("--data-dir", o.data_dir, "folder with one sub-folder of images for each class")->required();
  app.add_option("--csv", o.csv, "all images, the most doubted first; \"\": none");
  app.add_option("--report", o.report, "contact sheet of the most doubted images, one HTML file; \"\": none");
  app.add_option("--show", o.show, "images on the contact sheet")->check(CLI::NonNegativeNumber);

  auto* const model = app.add_option_group("Classifier");
  auto* const checkpoint =
      model->add_option("--checkpoint", o.checkpoint,
                        "take the features of this checkpoint of ar-train-image, whose classes must be those of the "
                        "folder. Features trained on the same images have learnt some of the wrong labels");
  model->add_flag("--no-folds", o.no_folds,
                  "take the checkpoint's own probabilities instead of cross-validation; only for images it was not "
                  "trained on: a network that judges its own training images believes their labels");
  model->add_option("--feature-extractor", o.feature_extractor, "without a checkpoint: network for the features")
      ->check(CLI::IsMember(nn::backbone_names()))
      ->excludes(checkpoint);
  model
      ->add_option("--pretrained", o.pretrained,
                   "its weights: auto (torchvision's ImageNet weights, from the cache or downloaded), none (random), a "
                   "file or a URL")
      ->excludes(checkpoint);
  model->add_option("--image-size", o.image_size, "side of the square the network sees; 0: the network's own")
      ->check(CLI::Range(0, 4096))
      ->excludes(checkpoint);
  model->add_option("--folds", o.folds, "parts of the cross-validation")->check(CLI::Range(2, 100));
  model->add_option("--seed", o.seed, "of the folds and the training");
  model->add_option("--batch-size", o.batch_size, "images computed together")->check(CLI::PositiveNumber);
  model->add_option("--data-loader-workers", o.workers, "threads that read data ahead; 0: none")
      ->check(CLI::Range(0, 256));

  auto* const moving = app.add_option_group("Moving");
  moving->add_option("--move-to", o.move_to,
                     "move the suspects to this folder, class sub-folders kept, nothing overwritten; moved.tsv there "
                     "tells where each came from");
  moving->add_option("--threshold", o.limits.own_below, "suspect: the label's probability is below this, ...")
      ->check(CLI::Range(0.0, 1.0));
  moving->add_option("--suggested-above", o.limits.suggested_above, "... and that of another class above this")
      ->check(CLI::Range(0.0, 1.0));
  add_machine_options(app, o.machine);
  return run_program(app, argc, argv, [&] { return run(o); });
}
