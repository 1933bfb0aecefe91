// An image classifier with all it takes to use it: class names, input size, normalisation. This is what a checkpoint
// of ar-train-image says besides the state of the training.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "apps/model/pretrained.h"
#include "io/augment.h"
#include "io/split.h"
#include "io/value.h"
#include "nn/models/image_classifier.h"
#include "tensor/ops_frames.h"

namespace ar::apps {

struct ImageModelInfo {
  std::string feature_extractor = "resnet18";
  std::vector<std::string> classes = {};
  int64_t image_size = 224;       // side of the square that the network sees
  io::Fit fit = io::Fit::squash;  // how an image becomes that square
  PixelStats pixels = {};
  double dropout = 0.5;

  io::ImageTransform transform() const { return {.height = int(image_size), .width = int(image_size), .fit = fit}; }
};

/// {"format", "model", "feature_extractor", "class_names", "image_size", "fit", "mean", "std", "dropout"}; the weights
/// in "model" have torchvision's names.
io::Value image_checkpoint(const ImageModelInfo& info, const nn::ImageClassifier& classifier);
/// Throws Error, starting with the file's name, where it is no image classifier's.
ImageModelInfo image_model_info(const io::Value& checkpoint);
/// Throws Error where names or shapes do not fit.
void load_weights(nn::ImageClassifier& classifier, const io::Value& checkpoint);

/// Ready for predictions, on compute_device().
struct ImageModel {
  ImageModelInfo info;
  std::function<Variable(const Variable&)> network;  // images to logits or log-probabilities, in evaluation mode
  io::SplitLists split = {};                         // of a checkpoint: what it was trained and validated on

  /// u8 (B,3,image_size,image_size) -> log-probabilities (B, classes) f32, on compute_device()
  Tensor log_probs(const Tensor& images) const;
};

/// A checkpoint of ar-train-image. Throws Error that starts with the path.
ImageModel load_image_model(const std::filesystem::path& checkpoint);

/// A network as published, with its classifier of ImageNet's 1000 classes and a centre crop, as its evaluation has it.
/// `classes` may hold more names: the first 1000 count.
ImageModel load_published_model(const std::string& feature_extractor, const PretrainedOptions& weights,
                                std::vector<std::string> classes);

/// One name a line; CRLF, blank lines and spaces around a name are tolerated. Throws Error when there is none.
std::vector<std::string> read_class_names(const std::filesystem::path& path);

}  // namespace ar::apps
