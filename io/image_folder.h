// A data set of pictures in folders: one sub-folder for each class.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "io/augment.h"
#include "io/dataset.h"
#include "io/image.h"

namespace ar::io {

struct ImageFile {
  std::string path;  // below the root, with '/'
  int64_t label = 0;
};

/// What lies in a folder of classes, before any file was opened.
struct ImageFolder {
  std::filesystem::path root;
  std::vector<std::string> classes;  // the sub-folders' names, sorted by bytes
  std::vector<ImageFile> files;      // sorted by class, then by the path's bytes

  int64_t size() const { return int64_t(files.size()); }
  std::filesystem::path file(int64_t i) const { return root / files[std::size_t(i)].path; }
};

struct ImageFolderOptions {
  /// The labels' names, when they are known before (those of a checkpoint, say). Folders must be among them; those that
  /// are missing have no pictures. Empty: the folders are the classes, and there must be two at least.
  std::vector<std::string> classes = {};
};

/// Lists a folder. Within a class, sub-folders count as well. Names that begin with '.' are passed over, and so are
/// files in the root itself; links are followed, but not in circles. No file is judged by its name's ending. Throws
/// Error: a missing folder, no class, one class, classes without files (named), unknown classes.
ImageFolder list_images(const std::filesystem::path& root, const ImageFolderOptions& options = {});

/// Pictures of a folder as the loader's samples, decoded straight into the batch.
class ImageDataset : public Dataset {
 public:
  /// The files with these indices.
  ImageDataset(const ImageFolder& folder, const std::vector<int64_t>& indices, const ImageTransform& transform,
               const ImageLimits& limits = {});
  int64_t size() const override { return int64_t(files_.size()); }
  Dims sample_shape() const override { return {3, transform_.height, transform_.width}; }
  int64_t label(int64_t index) const override { return files_[std::size_t(index)].label; }
  /// The path below the folder.
  std::string name(int64_t index) const override { return files_[std::size_t(index)].path; }
  std::filesystem::path file(int64_t index) const { return root_ / files_[std::size_t(index)].path; }
  std::vector<int64_t> labels() const;
  void fill(int64_t index, const SampleKey& key, const Tensor& slot) const override;

 private:
  std::filesystem::path root_;
  std::vector<ImageFile> files_;
  ImageTransform transform_;
  ImageLimits limits_;
};

/// The place of a picture in a batch, as the image functions know it. `slot` is u8 (3,H,W), channel stride 1, pixel
/// stride 3.
MutableImageView image_view(const Tensor& slot);

}  // namespace ar::io
