// Finds clips that show the same, as the Kinetics data set did (Kay et al., arXiv 1705.06950): mean feature of 25
// frames per clip, cosine similarity above 0.97, connected components, of which one clip stays.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>

#include "apps/clips/dedup.h"
#include "apps/clips/generator.h"
#include "apps/common/program.h"
#include "apps/model/image_model.h"
#include "apps/model/machine.h"
#include "apps/report/progress.h"
#include "apps/report/text.h"
#include "apps/train/options.h"
#include "autograd/autograd.h"
#include "io/atomic_file.h"
#include "io/checkpoint_file.h"
#include "nn/init.h"
#include "tensor/ops_frames.h"

namespace {

using namespace ar;
using namespace ar::apps;

struct Options {
  std::vector<std::string> clips;
  std::string checkpoint, extractor = "resnet18", pretrained = "auto", csv;
  double threshold = 0.97;
  int64_t frames = 25;
  bool remove = false, quiet = false;
  MachineOptions machine;
};

/// The extractor of an image classifier of ours, or a published one.
FrameEmbedder make_embedder(const Options& o) {
  FrameEmbedder e;
  PixelStats pixels;
  std::function<Variable(const Variable&)> network;
  const nn::init::Skip skip;
  if (!o.checkpoint.empty()) {
    const io::Value checkpoint = io::load_checkpoint_file(o.checkpoint);
    const ImageModelInfo info = image_model_info(checkpoint);
    const auto classifier = std::make_shared<nn::ImageClassifier>(nn::ImageClassifierOptions{
        .feature_extractor = info.feature_extractor, .classes = int64_t(info.classes.size()), .dropout = info.dropout});
    load_weights(*classifier, checkpoint);
    classifier->eval();
    classifier->to(compute_device());
    e.image_size = info.image_size;
    if (info.fit == io::Fit::centre_crop) e.fit = io::FrameFit::cover, e.zoom = 256.0 / 224;
    pixels = info.pixels;
    network = [classifier](const Variable& x) { return classifier->feature_extractor().pooled(x); };
  } else {
    const auto box = std::make_shared<nn::Box<nn::Backbone>>(nn::make_backbone(o.extractor));
    for (const std::string& note : load_pretrained(**box, o.extractor, {.source = o.pretrained}).notes) log_line(note);
    (*box)->eval();
    (*box)->to(compute_device());
    e.image_size = (*box)->image_size();
    e.fit = io::FrameFit::cover;
    e.zoom = 256.0 / 224;
    pixels = (*box)->pixel_stats();
    network = [box](const Variable& x) { return (*box)->pooled(x); };
  }
  e.embed = [network, pixels](const Tensor& frames) {
    const NoGrad no_grad;
    return network(network_input(frames, pixels)).value().to(Device{});
  };
  return e;
}

int run(const Options& o) {
  apply_machine_options(o.machine);
  const std::vector<std::string> found = find_videos(o.clips);
  const FrameEmbedder embedder = make_embedder(o);
  std::vector<std::string> clips;
  std::vector<std::vector<float>> features;
  int64_t failed = 0;
  Progress progress({.label = "features", .total = int64_t(found.size()), .unit = "clips", .quiet = o.quiet});
  for (const std::string& path : found) {
    try {
      features.push_back(clip_feature(path, embedder, o.frames));
      clips.push_back(path);
    } catch (const Error& e) {
      log_line("error: " + printable(e.what()));
      ++failed;
    }
    progress.advance();
  }
  progress.finish();

  const auto groups = similar_groups(features, o.threshold);
  std::string csv = "file,group,kept,similarity\r\n";
  int64_t duplicates = 0;
  for (size_t g = 0; g < groups.size(); ++g) {
    const size_t kept = groups[g].front();
    std::printf("group %zu\n", g + 1);
    for (const size_t i : groups[g]) {
      char similarity[32];
      std::snprintf(similarity, sizeof(similarity), "%.4f", cosine(features[kept], features[i]));
      std::printf("  %s %s  %s\n", i == kept ? "keep  " : "double", similarity, printable(clips[i]).c_str());
      csv += csv_field(clips[i]) + "," + std::to_string(g + 1) + "," + (i == kept ? "1," : "0,") + similarity + "\r\n";
      duplicates += i != kept;
    }
  }
  if (!o.csv.empty()) io::write_file_atomically(o.csv, csv);
  if (o.remove)
    for (const auto& group : groups)
      for (const size_t i : group) {
        std::error_code code;
        if (i != group.front() && !std::filesystem::remove(clips[i], code))
          fail(clips[i], ": cannot be removed (", code.message(), ")");
      }
  std::printf("%zu clips, %lld duplicates%s\n", clips.size(), static_cast<long long>(duplicates),
              o.remove ? " removed" : "");
  return failed ? kFailed : 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Finds clips that show the same: the mean feature of some frames of each, a cosine similarity above a threshold, "
      "groups of clips that are connected so. The first of each group stays.");
  Options o;
  add_common_options(app);
  app.add_option("clips", o.clips, "clips, folders of clips, or - for a list on standard input")->required();
  app.add_option("--csv", o.csv, "write the groups to this file: file, group, kept, similarity to the one kept");
  app.add_flag("--remove", o.remove, "remove all but the first of each group from the disk");
  app.add_option("--threshold", o.threshold, "cosine similarity from which clips are the same")
      ->check(CLI::Range(-1.0, 1.0));
  app.add_option("--frames", o.frames, "frames per clip")->check(CLI::Range(1, 10000));
  auto* const checkpoint = app.add_option("--image-classifier-checkpoint", o.checkpoint,
                                          "take the features of this classifier of ar-train-image");
  app.add_option("--feature-extractor", o.extractor, "or of this network")->excludes(checkpoint);
  app.add_option("--pretrained", o.pretrained, "whose weights are: auto (published ones), a file or an address")
      ->excludes(checkpoint);
  app.add_flag("--quiet", o.quiet, "no progress display");
  add_machine_options(app, o.machine);
  return run_program(app, argc, argv, [&] { return run(o); });
}
