// Names of weights: those of our image classifier, those of whole networks in torchvision, and how files have them.
#pragma once
#include <string>
#include <string_view>

#include "io/value.h"
#include "nn/models/image_classifier.h"

namespace ar::apps {

/// What the whole network calls its classifier: "classifier" (DenseNet), "fc" (ResNet), "classifier.1" (MobileNetV2),
/// "layers.19.conv" (Tiny Darknet). CaffeNet's classifier stands on layers that an image classifier has not; ours is
/// "classifier" there.
std::string head_name(std::string_view feature_extractor);

/// The classifier's state under the whole network's names: what torchvision.models.NAME(num_classes=K) loads, and
/// nn::make_backbone(NAME, K). The tensors share memory with the classifier.
nn::StateDict whole_model_state(const nn::ImageClassifier& classifier);
/// The way back. Throws Error naming all entries (under their names in `classifier`) that do not fit, and then changes
/// nothing.
void load_whole_model_state(nn::ImageClassifier& classifier, const nn::StateDict& state);

/// The state of a network in a file's content: the tensors themselves, or below "model", "state_dict" or
/// "model_state_dict". "module." (DataParallel) and "_orig_mod." (compiled) before every name are cut off, and the
/// names of torchvision's published DenseNets ("denselayer1.norm.1.weight") become today's ("norm1"). Throws Error,
/// starting with the file's name, where there is none.
nn::StateDict model_state(const io::Value& file);

}  // namespace ar::apps
