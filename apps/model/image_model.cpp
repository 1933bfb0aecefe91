#include "apps/model/image_model.h"

#include <fstream>
#include <memory>

#include "apps/model/machine.h"
#include "apps/model/pixel_stats.h"
#include "apps/model/pretrained.h"
#include "apps/model/saved_split.h"
#include "apps/model/weight_names.h"
#include "autograd/autograd.h"
#include "io/checkpoint_file.h"
#include "nn/init.h"

namespace ar::apps {
namespace {

constexpr const char* kFormat = "ar image classifier";

}  // namespace

io::Value image_checkpoint(const ImageModelInfo& info, const nn::ImageClassifier& classifier) {
  io::Value value;
  value["format"] = kFormat;
  value["model"] = io::Value::dict(whole_model_state(classifier));
  value["feature_extractor"] = info.feature_extractor;
  value["class_names"] = io::Value::list(info.classes);
  value["image_size"] = info.image_size;
  value["fit"] = io::to_string(info.fit);
  save_pixel_stats(value, info.pixels);
  value["dropout"] = info.dropout;
  return value;
}

ImageModelInfo image_model_info(const io::Value& checkpoint) {
  const auto format = checkpoint.find("format");
  AR_CHECK(format && format->string() == kFormat, checkpoint.origin(),
           ": not a checkpoint of ar-train-image, but perhaps weights alone; those are for --pretrained");
  ImageModelInfo info;
  info.feature_extractor = checkpoint.at("feature_extractor").string();
  info.classes = checkpoint.at("class_names").strings();
  info.image_size = checkpoint.at("image_size").integer();
  info.fit = io::fit_named(checkpoint.at("fit").string());
  info.pixels = pixel_stats_from(checkpoint);
  info.dropout = checkpoint.at("dropout").real();
  return info;
}

void load_weights(nn::ImageClassifier& classifier, const io::Value& checkpoint) {
  try {
    load_whole_model_state(classifier, checkpoint.at("model").tensors());
  } catch (const Error& e) {
    fail(checkpoint.origin(), ": ", e.what());
  }
}

Tensor ImageModel::log_probs(const Tensor& images) const {
  const NoGrad no_grad;
  // Of log-probabilities log_softmax is the identity.
  return log_softmax(network(network_input(images, info.pixels)), 1).value();
}

ImageModel load_image_model(const std::filesystem::path& path) {
  const io::Value checkpoint = io::load_checkpoint_file(path);
  ImageModelInfo info = image_model_info(checkpoint);
  const nn::init::Skip skip;
  nn::ImageClassifier classifier(
      {.feature_extractor = info.feature_extractor, .classes = int64_t(info.classes.size()), .dropout = info.dropout});
  load_weights(classifier, checkpoint);
  classifier.eval();
  classifier.to(compute_device());
  return {.info = std::move(info), .network = std::move(classifier), .split = split_of(checkpoint)};
}

ImageModel load_published_model(const std::string& feature_extractor, const PretrainedOptions& weights,
                                std::vector<std::string> classes) {
  constexpr size_t kImageNet = 1000;
  AR_CHECK(classes.size() >= kImageNet, feature_extractor, ": published for ", kImageNet, " classes, ", classes.size(),
           " names were given");
  classes.resize(kImageNet);
  const auto box =
      std::make_shared<nn::Box<nn::Backbone>>(nn::make_backbone(feature_extractor, int64_t(classes.size())));
  nn::Backbone& network = **box;
  const Pretrained loaded = load_pretrained(network, feature_extractor, weights);
  AR_CHECK(!loaded.file.empty(), feature_extractor, ": without weights it knows nothing");
  AR_CHECK(loaded.notes.empty(), loaded.notes.front());
  network.eval();
  network.to(compute_device());
  ImageModelInfo info{.feature_extractor = feature_extractor,
                      .classes = std::move(classes),
                      .image_size = network.image_size(),
                      .fit = io::Fit::centre_crop,
                      .pixels = network.pixel_stats()};
  return {.info = std::move(info), .network = [box](const Variable& x) { return (**box)(x); }};
}

std::vector<std::string> read_class_names(const std::filesystem::path& path) {
  std::ifstream file(path);
  AR_CHECK(file, path.string(), ": cannot be opened");
  std::vector<std::string> names;
  for (std::string line; std::getline(file, line);) {
    const auto first = line.find_first_not_of(" \t\r"), last = line.find_last_not_of(" \t\r");
    if (first != std::string::npos) names.push_back(line.substr(first, last - first + 1));
  }
  AR_CHECK(!names.empty(), path.string(), ": holds no class name");
  return names;
}

}  // namespace ar::apps
