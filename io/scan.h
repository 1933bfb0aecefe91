// One pass over all files of a data set before training: which can be read, how large they are, which are alike.
#pragma once
#include <atomic>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "io/image_folder.h"
#include "io/split.h"

namespace ar::io {

struct ScannedImage {
  int width = 0, height = 0;
  std::string content;   // SHA-256 of the file, in hex
  uint64_t looks = 0;    // perceptual hash of the picture
  std::string bad = {};  // why it cannot be used; else empty
};

struct ScanOptions {
  int threads = 0;  // 0: as many as this process may use
  ImageLimits limits = {};
  /// Where results are kept for the next time: a file, or empty for one of this folder's in $AR_CACHE or ~/.cache/ar.
  std::filesystem::path cache = {};
  bool use_cache = true;
  /// Called on the thread that called scan_images(), some times a second and at the end.
  std::function<void(int64_t done, int64_t total)> progress = {};
  /// Set to end the scan early.
  const std::atomic<bool>* stop = nullptr;
};

struct Scan {
  std::vector<ScannedImage> images;  // of the folder's files, in their order
  int64_t read = 0;                  // files that were opened; the others were known from the cache
  bool stopped = false;              // by the flag: `images` is not complete (a new scan goes on from here)
  std::string cache_problem = {};    // why results could not be kept; training does not need them

  /// The files that can be read.
  std::vector<int64_t> usable() const;
};

/// Decodes every file once, unless the cache knows it by path, size and time of change. A bad file is never an error.
Scan scan_images(const ImageFolder& folder, const ScanOptions& options = {});

/// The groups of these samples, by content and looks.
DuplicateGroups group_duplicates(const Scan& scan, const std::vector<int64_t>& indices,
                                 int max_distance = kNearIdentical);

/// Those samples of a second folder that are also among a first one's, by content or looks: for validation pictures in
/// a folder of their own.
std::vector<int64_t> also_in(const Scan& first, const std::vector<int64_t>& of_first, const Scan& second,
                             const std::vector<int64_t>& of_second, int max_distance = kNearIdentical);

/// Throws Error unless there are `needed` samples and, where the folder has files of a class, one that can be read.
void check_enough(const ImageFolder& folder, const std::vector<int64_t>& usable, int64_t needed);

struct BadFile {
  std::string path, reason;
};
std::vector<BadFile> bad_files(const ImageFolder& folder, const Scan& scan);
/// A line for each: path, tab, reason (without the path, if it begins with that). What is special in a path is written
/// as \t, \n or \\.
void write_bad_files_log(const std::filesystem::path& path, const std::vector<BadFile>& files);

}  // namespace ar::io
