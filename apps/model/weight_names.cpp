#include "apps/model/weight_names.h"

#include <algorithm>
#include <regex>

namespace ar::apps {
namespace {

constexpr std::string_view kBase = "feature_extractor.", kHead = "classifier.";

/// The whole Tiny Darknet classifies by a 1x1 convolution, ours by a matrix: the same numbers.
bool head_is_convolution(std::string_view feature_extractor) { return feature_extractor == "tiny_darknet"; }

bool holds_tensors(const io::Field& field) {
  const auto* dict = field.value().get_if<io::Dict>();
  return dict && std::any_of(dict->begin(), dict->end(),
                             [](const auto& item) { return item.value.kind() == io::Value::Kind::tensor; });
}

void cut_prefix(nn::StateDict& state, std::string_view prefix) {
  const bool everywhere =
      std::all_of(state.begin(), state.end(), [&](const auto& entry) { return entry.first.starts_with(prefix); });
  if (!everywhere) return;
  for (auto& [name, tensor] : state) name.erase(0, prefix.size());
}

}  // namespace

std::string head_name(std::string_view feature_extractor) {
  if (feature_extractor.starts_with("resnet")) return "fc";
  if (feature_extractor == "mobilenet_v2") return "classifier.1";
  if (feature_extractor == "tiny_darknet") return "layers.19.conv";
  return "classifier";
}

nn::StateDict whole_model_state(const nn::ImageClassifier& classifier) {
  const std::string& extractor = classifier.options().feature_extractor;
  nn::StateDict state;
  for (auto& [name, tensor] : classifier.state_dict()) {
    if (name.starts_with(kBase)) {
      state.emplace_back(name.substr(kBase.size()), tensor);
      continue;
    }
    if (head_is_convolution(extractor) && tensor.rank() == 2) tensor = tensor.unsqueeze(2).unsqueeze(3);
    state.emplace_back(head_name(extractor) + '.' + name.substr(kHead.size()), tensor);
  }
  return state;
}

void load_whole_model_state(nn::ImageClassifier& classifier, const nn::StateDict& state) {
  const std::string& extractor = classifier.options().feature_extractor;
  const std::string head = head_name(extractor) + '.';
  nn::StateDict ours;
  for (const auto& [name, tensor] : state) {
    if (!name.starts_with(head)) {
      ours.emplace_back(std::string(kBase) + name, tensor);
      continue;
    }
    const bool plain = tensor.rank() == 4 && tensor.size(2) == 1 && tensor.size(3) == 1;
    ours.emplace_back(std::string(kHead) + name.substr(head.size()),
                      plain && head_is_convolution(extractor) ? tensor.select(3, 0).select(2, 0) : tensor);
  }
  classifier.load_state_dict(ours);
}

nn::StateDict model_state(const io::Value& file) {
  io::Field field = file.field();
  if (file.kind() == io::Value::Kind::dict)
    for (const char* key : {"model", "state_dict", "model_state_dict"})
      if (const auto below = field.find(io::Key(key)); below && holds_tensors(*below)) {
        field = *below;
        break;
      }
  if (!holds_tensors(field)) field.error("holds no weights of a network (wanted the state_dict() of one)");
  nn::StateDict state = field.tensors();
  cut_prefix(state, "module.");
  cut_prefix(state, "_orig_mod.");
  static const std::regex old_name(R"(^(.*denselayer\d+\.(?:norm|conv))\.([12]\.[a-z_]+)$)");
  for (auto& [name, tensor] : state)
    if (name.size() < 200) name = std::regex_replace(name, old_name, "$1$2");
  return state;
}

}  // namespace ar::apps
