#include "io/image_folder.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>

namespace ar::io {
namespace {

namespace fs = std::filesystem;

/// A folder whatever its name: two paths to it have the same one.
using FolderId = std::pair<dev_t, ino_t>;

FolderId id_of(const fs::path& folder) {
  struct stat s {};
  return ::stat(folder.c_str(), &s) == 0 ? FolderId{s.st_dev, s.st_ino} : FolderId{};
}

/// Names in a folder, but hidden ones, sorted by bytes.
std::vector<std::string> names_in(const fs::path& folder) {
  std::error_code error;
  fs::directory_iterator at(folder, error);
  std::vector<std::string> names;
  for (; !error && at != fs::directory_iterator(); at.increment(error))
    if (std::string name = at->path().filename().string(); name[0] != '.') names.push_back(std::move(name));
  AR_CHECK(!error, folder.string(), ": cannot be listed: ", error.message());
  std::sort(names.begin(), names.end());
  return names;
}

/// Adds all files below root/path. `above`: the folders that we are in, where a link may not lead back to.
void add_files(const fs::path& root, const std::string& path, int64_t label, std::vector<FolderId>& above,
               std::vector<ImageFile>& files) {
  const FolderId id = id_of(root / path);
  if (std::find(above.begin(), above.end(), id) != above.end()) return;
  above.push_back(id);
  for (const std::string& name : names_in(root / path)) {
    const std::string inner = path + '/' + name;
    std::error_code error;
    const fs::file_type type = fs::status(root / inner, error).type();
    if (type == fs::file_type::directory)
      add_files(root, inner, label, above, files);
    else if (type != fs::file_type::fifo && type != fs::file_type::socket && type != fs::file_type::block &&
             type != fs::file_type::character)  // a dangling link stays, to be counted as a bad file
      files.push_back({inner, label});
  }
  above.pop_back();
}

std::string joined(const std::vector<std::string>& names) {
  constexpr std::size_t most = 10;
  std::string all;
  for (std::size_t i = 0; i < names.size() && i < most; ++i) all += (i ? ", '" : "'") + names[i] + "'";
  return names.size() > most ? all + " and " + std::to_string(names.size() - most) + " more" : all;
}

}  // namespace

ImageFolder list_images(const fs::path& root, const ImageFolderOptions& options) {
  std::error_code error;
  const fs::file_type type = fs::status(root, error).type();
  AR_CHECK(type != fs::file_type::not_found, root.string(), ": no such folder");
  AR_CHECK(type == fs::file_type::directory, root.string(), ": not a folder", error ? ": " : "",
           error ? error.message() : "");
  std::vector<std::string> found;
  for (std::string& name : names_in(root))
    if (fs::is_directory(root / name, error)) found.push_back(std::move(name));
  AR_CHECK(!found.empty(), root.string(), ": has no classes; it should hold a folder of images for each class");

  ImageFolder folder{.root = root, .classes = options.classes.empty() ? found : options.classes, .files = {}};
  AR_CHECK(!options.classes.empty() || found.size() > 1, root.string(), ": only one class, '", found[0],
           "'; there is nothing to tell apart");
  std::map<std::string, int64_t> label_of;
  for (const std::string& name : folder.classes) label_of.emplace(name, int64_t(label_of.size()));
  std::vector<std::string> unknown, empty;
  for (const std::string& name : found) {
    const auto label = label_of.find(name);
    if (label == label_of.end()) {
      unknown.push_back(name);
      continue;
    }
    std::vector<FolderId> above{id_of(root)};
    const std::size_t before = folder.files.size();
    add_files(root, name, label->second, above, folder.files);
    if (folder.files.size() == before) empty.push_back(name);
  }
  AR_CHECK(unknown.empty(), root.string(), ": ", joined(unknown), unknown.size() == 1 ? " is" : " are",
           " not among the known classes ", joined(folder.classes));
  AR_CHECK(empty.empty(), root.string(), ": no files in class ", joined(empty), "; add images or remove the folder");
  return folder;
}

ImageDataset::ImageDataset(const ImageFolder& folder, const std::vector<int64_t>& indices,
                           const ImageTransform& transform, const ImageLimits& limits)
    : root_(folder.root), transform_(transform), limits_(limits) {
  AR_CHECK(transform.height > 0 && transform.width > 0, "images: the input size must be positive, it is ",
           transform.height, " x ", transform.width);
  for (int64_t i : indices) {
    AR_CHECK(i >= 0 && i < folder.size(), folder.root.string(), ": has ", folder.size(), " files, none is number ", i);
    files_.push_back(folder.files[std::size_t(i)]);
  }
}

std::vector<int64_t> ImageDataset::labels() const {
  std::vector<int64_t> labels;
  for (const ImageFile& f : files_) labels.push_back(f.label);
  return labels;
}

void ImageDataset::fill(int64_t index, const SampleKey& key, const Tensor& slot) const {
  static thread_local Image picture;  // its memory serves the next sample as well
  decode_image_file(file(index), limits_, picture);
  transform_image(picture, transform_, key, image_view(slot));
}

MutableImageView image_view(const Tensor& slot) {
  AR_CHECK(slot.rank() == 3 && slot.size(0) == 3 && slot.stride(0) == 1 && slot.stride(2) == 3,
           "images: a slot must be (3,H,W) with pixels side by side, it is ", slot.shape(), " with strides ",
           slot.strides());
  return {slot.mutable_data<uint8_t>(), int(slot.size(2)), int(slot.size(1)), ptrdiff_t(slot.stride(1))};
}

}  // namespace ar::io
