// Cuts candidate action clips out of videos, around the strongest responses of an image classifier.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/clips/generator.h"
#include "apps/common/program.h"
#include "apps/common/stop_signal.h"
#include "apps/model/image_model.h"
#include "apps/model/machine.h"
#include "apps/train/options.h"
#include "io/crc32c.h"
#include "tensor/ops_elementwise.h"

namespace {

using namespace ar;
using namespace ar::apps;
namespace fs = std::filesystem;

struct Options {
  std::vector<std::string> videos;
  fs::path checkpoint, class_names;
  std::string out_dir, action = "any", codec = "h264", compat, split;
  SelectionOptions selection;
  double sample_fps = 0;
  int64_t skip_frames = 2, batch_size = 64, image_size = 0;
  int jobs = 1;
  bool one_clip = false, no_audio = false, dry_run = false, report = true, quiet = false;
  MachineOptions machine;
};

void add_options(CLI::App& app, Options& o) {
  app.add_option("--video-path", o.videos,
                 "video files, folders to search for videos, or - for a list on standard input")
      ->required();
  app.add_option("--image-classifier-checkpoint", o.checkpoint, "image classifier of ar-train-image")->required();
  app.add_option("--class-names", o.class_names,
                 "file with a class name per line; must be the names of the checkpoint, in its order");
  app.add_option("--out-dir", o.out_dir, "folder for clips, clips.csv, scores, journal.jsonl and index.html")
      ->required();
  app.add_option("--split", o.split, "text for the column split of clips.csv");
  app.add_flag("--dry-run", o.dry_run, "only say what would be cut");
  app.add_flag("--report,!--no-report", o.report, "write index.html, the clips to be looked through");
  app.add_flag("--quiet", o.quiet, "no progress display");

  auto* const selection = app.add_option_group("Selection");
  selection->add_option("--action", o.action,
                        "class to look for; from-folder: the one that a video's folder is named after; any: the best "
                        "of all classes");
  selection->add_option("--n-clips", o.selection.n_clips, "clips per video at most")->check(CLI::PositiveNumber);
  selection->add_flag("--one-clip-per-video", o.one_clip, "the same as --n-clips 1");
  selection->add_option("--clip-len", o.selection.clip_len, "length of a clip in seconds")->check(CLI::PositiveNumber);
  selection->add_option("--smooth", o.selection.smooth, "standard deviation, in seconds, that scores are smoothed with")
      ->check(CLI::NonNegativeNumber);
  selection->add_option("--min-gap", o.selection.min_gap,
                        "seconds between two clips of a video at least; negative: they may overlap by so much");
  selection->add_option("--min-score", o.selection.min_score, "weaker responses give no clip")
      ->check(CLI::Range(0.0, 1.0));
  selection
      ->add_option("--compat", o.compat,
                   "original: clips of 5 s around the frames of the greatest scores as they are, every 2nd frame "
                   "in 128 pixels; options given besides go first")
      ->check(CLI::IsMember({"original"}));

  auto* const scoring = app.add_option_group("Scoring");
  auto* const skip = scoring->add_option("--skip-frames", o.skip_frames, "score every n-th frame");
  skip->check(CLI::PositiveNumber);
  scoring->add_option("--sample-fps", o.sample_fps, "score so many frames per second instead")
      ->check(CLI::PositiveNumber)
      ->excludes(skip);
  scoring->add_option("--batch-size", o.batch_size, "frames per call of the classifier")->check(CLI::Range(1, 4096));
  scoring->add_option("--image-size", o.image_size, "side of the square the classifier sees; default: the checkpoint's")
      ->check(CLI::Range(1, 4096));

  auto* const cutting = app.add_option_group("Cutting");
  cutting
      ->add_option("--codec", o.codec,
                   "h264: encoded again, exact to the frame; copy: as it is, from the key frame before")
      ->check(CLI::IsMember({"h264", "copy"}));
  cutting->add_flag("--no-audio", o.no_audio, "clips without sound");
  cutting->add_option("--jobs", o.jobs, "videos to work on at a time")->check(CLI::Range(1, 256));
  add_machine_options(app, o.machine);
}

/// What --compat original means, for options that were not given.
void apply_compat(const CLI::App& app, Options& o) {
  if (o.compat.empty()) return;
  const auto given = [&](const char* name) { return app[name]->count() > 0; };
  if (!given("--clip-len")) o.selection.clip_len = 5;
  if (!given("--image-size")) o.image_size = 128;
  o.selection.raw_top = true;
}

void check_class_names(const fs::path& path, const std::vector<std::string>& classes) {
  const std::vector<std::string> names = read_class_names(path);
  for (size_t i = 0; i < std::min(names.size(), classes.size()); ++i)
    AR_CHECK(names[i] == classes[i], path.string(), ": name ", i + 1, " is \"", names[i], "\", the checkpoint has \"",
             classes[i], "\" there");
  AR_CHECK(names.size() == classes.size(), path.string(), ": holds ", names.size(), " names, the checkpoint ",
           classes.size());
}

/// "BYTES-CRC" of a file: another checkpoint under the same name is not the same.
std::string identity(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string piece(size_t{1} << 20, '\0');
  uint32_t crc = 0;
  int64_t bytes = 0;
  while (file.read(piece.data(), std::streamsize(piece.size())), file.gcount() > 0) {
    crc = io::crc32c({piece.data(), size_t(file.gcount())}, crc);
    bytes += file.gcount();
  }
  char text[64];
  std::snprintf(text, sizeof(text), "%lld-%08x", static_cast<long long>(bytes), crc);
  return text;
}

FrameClassifier frame_classifier(const ImageModel& model, int64_t image_size) {
  FrameClassifier c{.classes = model.info.classes, .image_size = image_size > 0 ? image_size : model.info.image_size};
  if (model.info.fit == io::Fit::centre_crop) {
    c.fit = io::FrameFit::cover;
    c.zoom = 256.0 / 224;
  }
  c.device = compute_device();
  c.probabilities = [&model](const Tensor& frames) { return ops::unary(UnaryOp::exp, model.log_probs(frames)); };
  return c;
}

int run(const CLI::App& app, Options& o) {
  apply_machine_options(o.machine);
  apply_compat(app, o);
  if (o.one_clip) o.selection.n_clips = 1;
  const std::vector<std::string> videos = find_videos(o.videos, o.out_dir);
  const ImageModel model = load_image_model(o.checkpoint);
  if (!o.class_names.empty()) check_class_names(o.class_names, model.info.classes);
  if (o.action != "from-folder") wanted_classes(o.action, "", model.info.classes);

  const StopSignal stop;
  GenerateOptions g;
  g.out_dir = o.out_dir;
  g.action = o.action;
  g.selection = o.selection;
  g.cut.copy = o.codec == "copy";
  g.cut.audio = !o.no_audio;
  g.cut.threads = o.jobs > 1 ? 1 : 0;
  g.every = o.skip_frames;
  g.fps = o.sample_fps;
  g.batch_size = o.batch_size;
  g.jobs = o.jobs;
  g.dry_run = o.dry_run;
  g.report = o.report;
  g.quiet = o.quiet;
  g.split = o.split;
  g.settings = {{"action", o.action},
                {"n-clips", o.selection.n_clips},
                {"clip-len", o.selection.clip_len},
                {"smooth", o.selection.smooth},
                {"min-gap", o.selection.min_gap},
                {"min-score", o.selection.min_score},
                {"compat", o.compat},
                {"skip-frames", o.skip_frames},
                {"sample-fps", o.sample_fps},
                {"image-size", o.image_size},
                {"codec", o.codec},
                {"no-audio", o.no_audio},
                {"image-classifier-checkpoint", identity(o.checkpoint)}};
  g.stop = &StopSignal::flag();
  const GenerateResult r = generate_clips(videos, frame_classifier(model, o.image_size), g);
  std::printf("%lld clips of %lld videos%s%s%s\n", static_cast<long long>(r.clips), static_cast<long long>(r.videos),
              r.skipped ? (", " + std::to_string(r.skipped) + " done before").c_str() : "",
              r.failed ? (", " + std::to_string(r.failed) + " failed").c_str() : "",
              r.stopped ? ", stopped early" : "");
  if (!o.quiet && r.videos > 0)
    std::printf("classifier %.1f s, waiting for frames %.1f s, cutting %.1f s\n", r.times.classifying, r.times.waiting,
                r.times.cutting);
  if (r.stopped) return 128 + StopSignal::received();
  return r.failed ? kFailed : 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app(
      "Cuts candidate action clips out of videos: an image classifier looks at the frames, and clips are cut around "
      "its strongest responses. A run that was stopped goes on when it is started again.");
  Options options;
  add_common_options(app);
  add_options(app, options);
  return run_program(app, argc, argv, [&] { return run(app, options); });
}
