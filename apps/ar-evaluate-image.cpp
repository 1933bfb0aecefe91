// Says how good an image classifier is, on a folder with one sub-folder for each class.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "apps/common/json_text.h"
#include "apps/common/program.h"
#include "apps/common/stop_signal.h"
#include "apps/model/image_model.h"
#include "apps/model/machine.h"
#include "apps/model/saved_split.h"
#include "apps/report/metrics.h"
#include "apps/report/progress.h"
#include "apps/train/image_data.h"
#include "apps/train/image_report.h"
#include "apps/train/late_metrics.h"
#include "apps/train/options.h"
#include "io/atomic_file.h"
#include "io/loader.h"

namespace {

using namespace ar;
using namespace ar::apps;

struct Options {
  std::filesystem::path checkpoint, data_dir, json, report;
  int64_t batch_size = 16;
  int workers = 2;
  MachineOptions machine;
};

int run(const Options& o) {
  apply_machine_options(o.machine);
  const StopSignal stop_signal;
  const ImageModel model = load_image_model(o.checkpoint);
  const ScannedFolder found = scan_folder(o.data_dir, model.info.classes, {}, &StopSignal::flag());
  io::check_enough(found.folder, found.usable, 1);
  std::vector<std::string> names;
  for (int64_t i : found.usable) names.push_back(found.folder.files[size_t(i)].path);
  const SeenSamples seen = seen_samples(model.split, names);
  tell_seen(seen, names.size(), "images");
  const auto images = std::make_shared<io::ImageDataset>(found.folder, found.usable, model.info.transform());
  io::Loader loader(
      images, io::sequential(images->size()),
      {.batch_size = o.batch_size, .workers = o.workers, .device = compute_device(), .stop = &StopSignal::flag()});
  loader.start(0);
  ClassificationMetrics metrics(model.info.classes);
  Progress progress({.label = "evaluation", .total = images->size(), .unit = "images"});
  LateMetrics late(metrics);
  while (const auto batch = loader.next()) {
    late.add_own(model.log_probs(batch->inputs), *batch, batch->number * o.batch_size);
    progress.advance(batch->size());
  }
  late.finish();
  if (StopSignal::flag())
    throw Stopped("stopped after " + std::to_string(metrics.count()) + " of " + std::to_string(images->size()) +
                  " images; nothing is written");
  progress.finish(std::to_string(metrics.count()) + " images");
  if (const auto& bad = loader.bad(); !bad.empty())
    log_line("note: " + std::to_string(bad.size()) + (bad.size() == 1 ? " image" : " images") +
             " could not be read any more and left out, the first: " + bad.front().reason);
  std::printf("top-1 %.2f %%, top-3 %.2f %%, top-5 %.2f %%, loss %.4f\n", 100 * metrics.top(1), 100 * metrics.top(3),
              100 * metrics.top(5), metrics.loss());
  const auto scores = metrics.per_class();
  std::printf("%-28s %7s %9s %7s %7s\n", "class", "images", "precision", "recall", "F1");
  for (size_t c = 0; c < scores.size(); ++c)
    std::printf("%-28s %7lld %8.1f%% %6.1f%% %6.1f%%\n", model.info.classes[c].c_str(),
                static_cast<long long>(scores[c].support), 100 * scores[c].precision, 100 * scores[c].recall,
                100 * scores[c].f1);
  if (!o.report.empty()) {
    Report report{.title = "Evaluation of " + o.checkpoint.filename().string(),
                  .subtitle = o.data_dir.string(),
                  .metrics = &metrics};
    show_images_of(*images, report);
    write_html_report(o.report, report);
  }
  if (!o.json.empty()) {
    nlohmann::json result = metrics.to_json();
    result["trained_on"] = seen.trained_on;
    result["validated_on"] = seen.validated_on;
    io::write_file_atomically(o.json.string(), json_text(result, 1) + "\n");
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Says how good an image classifier is, on a folder with one sub-folder of images for each class.");
  add_common_options(app);
  Options o;
  app.add_option("--checkpoint", o.checkpoint, "a checkpoint of ar-train-image")->required();
  app.add_option("--data-dir", o.data_dir, "folder with one sub-folder of images for each class")->required();
  app.add_option("--json", o.json, "write top1, top3, top5, loss, per_class, confusion, trained_on to this file");
  app.add_option("--report", o.report, "write a report with pictures to this HTML file");
  app.add_option("--batch-size", o.batch_size, "images computed together")->check(CLI::PositiveNumber);
  app.add_option("--data-loader-workers", o.workers, "threads that read data ahead; 0: none")
      ->check(CLI::Range(0, 256));
  add_machine_options(app, o.machine);
  return run_program(app, argc, argv, [&] { return run(o); });
}
