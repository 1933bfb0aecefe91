#include "apps/train/image_data.h"

#include <algorithm>
#include <set>

#include "apps/common/stop_signal.h"
#include "apps/report/progress.h"

namespace ar::apps {
namespace {

void report_bad(const std::vector<io::BadFile>& bad, const std::filesystem::path& log) {
  if (bad.empty()) return;
  std::string line =
      std::to_string(bad.size()) + (bad.size() == 1 ? " file" : " files") + " cannot be read, the first: ";
  line += bad.front().path + ": " + bad.front().reason;
  if (!log.empty()) {
    io::write_bad_files_log(log, bad);
    line += " (all in " + log.string() + ")";
  }
  log_line(line);
}

std::vector<int64_t> picked(const std::vector<int64_t>& from, const std::vector<int64_t>& positions) {
  std::vector<int64_t> result;
  result.reserve(positions.size());
  for (int64_t p : positions) result.push_back(from[size_t(p)]);
  return result;
}

/// Leaves out of a validation folder what is also trained on, and says so.
void leave_out_shared(const ScannedFolder& training, ScannedFolder& validation) {
  const std::string root = validation.folder.root.string();
  const std::vector<int64_t> seen = io::also_in(training.scan, training.usable, validation.scan, validation.usable);
  if (seen.empty()) return;
  std::set<int64_t> before, left;
  const auto label_of = [&](int64_t i) { return validation.folder.files[size_t(i)].label; };
  for (int64_t i : validation.usable) before.insert(label_of(i));
  std::erase_if(validation.usable, [&](int64_t i) { return std::find(seen.begin(), seen.end(), i) != seen.end(); });
  for (int64_t i : validation.usable) left.insert(label_of(i));
  log_line("note: " + std::to_string(seen.size()) + " images of " + root +
           " are also among those to train on; they are left out of the validation");
  for (int64_t label : before)
    if (!left.contains(label))
      log_line("note: no image is left to validate class '" + validation.folder.classes[size_t(label)] + "' on");
  AR_CHECK(!validation.usable.empty(), root,
           ": all of its images are also among those to train on; validate on others");
}

}  // namespace

ScannedFolder scan_folder(const std::filesystem::path& root, const std::vector<std::string>& classes,
                          const std::filesystem::path& bad_files, const std::atomic<bool>* stop) {
  ScannedFolder found{.folder = io::list_images(root, {.classes = classes}), .scan = {}, .usable = {}};
  Progress progress({.label = "reading " + root.filename().string(), .total = found.folder.size(), .unit = "images"});
  found.scan =
      io::scan_images(found.folder, {.progress = [&](int64_t done, int64_t) { progress.update(done); }, .stop = stop});
  if (found.scan.stopped) throw Stopped("stopped while reading " + root.string() + "; what was read is remembered");
  found.usable = found.scan.usable();
  progress.finish(std::to_string(found.usable.size()) + " images of " + std::to_string(found.folder.classes.size()) +
                  " classes in " + root.string());
  if (!found.scan.cache_problem.empty()) log_line("note: " + found.scan.cache_problem);
  report_bad(io::bad_files(found.folder, found.scan), bad_files);
  return found;
}

ImageData prepare_image_data(const ImageDataOptions& o) {
  const ScannedFolder main = scan_folder(o.data_dir, o.classes, o.bad_files, o.stop);
  io::check_enough(main.folder, main.usable, o.at_least);
  ImageData data;
  data.classes = main.folder.classes;
  data.bad = io::bad_files(main.folder, main.scan);
  data.duplicates = io::group_duplicates(main.scan, main.usable);
  if (data.duplicates.identical + data.duplicates.similar > 0)
    log_line(std::to_string(data.duplicates.identical) + " copies and " + std::to_string(data.duplicates.similar) +
             " near copies of other images; each stays on the side of its like");

  io::Split split;
  if (o.saved_split) {
    const io::MatchedSplit matched = io::from_lists(main.folder, main.usable, *o.saved_split);
    split = matched.split;
    if (!matched.vanished.empty() || !matched.added.empty())
      log_line("note: since the checkpoint " + std::to_string(matched.vanished.size()) + " images vanished and " +
               std::to_string(matched.added.size()) + " came (not used); this run will differ from one never stopped");
    data.split = *o.saved_split;
  } else {
    std::vector<int64_t> labels;
    for (int64_t i : main.usable) labels.push_back(main.folder.files[size_t(i)].label);
    const double fraction = o.validation_dir.empty() ? o.validation_split : 0;
    split = io::stratified_split(labels, data.duplicates.group, fraction, o.seed);
    split = {picked(main.usable, split.train), picked(main.usable, split.validation)};
    data.split = io::lists_of(main.folder, split);
  }

  const io::ImageTransform transform{
      .height = int(o.image_size), .width = int(o.image_size), .augment = o.augment, .fit = io::Fit::squash};
  const io::ImageTransform evaluation = transform.evaluation();
  data.training = std::make_shared<io::ImageDataset>(main.folder, split.train, transform);
  AR_CHECK(data.training->size() >= o.at_least, o.data_dir.string(), ": ", data.training->size(),
           " images are left for training, ", o.at_least, " are needed (the batch size)");
  if (!o.validation_dir.empty()) {
    ScannedFolder other = scan_folder(o.validation_dir, data.classes, {}, o.stop);
    io::check_enough(other.folder, other.usable, 1);
    leave_out_shared(main, other);
    data.validation = std::make_shared<io::ImageDataset>(other.folder, other.usable, evaluation);
  } else if (!split.validation.empty()) {
    data.validation = std::make_shared<io::ImageDataset>(main.folder, split.validation, evaluation);
  }
  return data;
}

}  // namespace ar::apps
