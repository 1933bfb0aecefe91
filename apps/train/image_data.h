// From folders of pictures to the two data sets of a training: scan, duplicates, split.
#pragma once
#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>

#include "io/image_folder.h"
#include "io/scan.h"
#include "io/split.h"

namespace ar::apps {

struct ImageDataOptions {
  std::filesystem::path data_dir, validation_dir;  // validation_dir empty: a part of data_dir
  double validation_split = 0.1;
  uint64_t seed = 0;
  int64_t image_size = 224;
  io::Augment augment = io::Augment::original;
  int64_t at_least = 1;                                      // training samples
  std::filesystem::path bad_files;                           // the log of files that cannot be read; empty: none
  std::vector<std::string> classes = {};                     // from a checkpoint; empty: the folder's
  std::optional<io::SplitLists> saved_split = std::nullopt;  // from a checkpoint
  const std::atomic<bool>* stop = nullptr;
};

struct ImageData {
  std::vector<std::string> classes;
  std::shared_ptr<const io::ImageDataset> training, validation;  // validation: null when there is none
  io::SplitLists split;
  std::vector<io::BadFile> bad;
  io::DuplicateGroups duplicates;
};

/// Reads each picture once (or asks the cache), reports what it finds on the terminal, and splits. Throws Error as
/// list_images() and check_enough() do, when all of validation_dir is also in data_dir, and Stopped when `stop` was set
/// meanwhile.
ImageData prepare_image_data(const ImageDataOptions& options);

/// A folder's readable pictures, with bad ones listed as above.
struct ScannedFolder {
  io::ImageFolder folder;
  io::Scan scan;
  std::vector<int64_t> usable;
};
ScannedFolder scan_folder(const std::filesystem::path& root, const std::vector<std::string>& classes,
                          const std::filesystem::path& bad_files, const std::atomic<bool>* stop);

}  // namespace ar::apps
