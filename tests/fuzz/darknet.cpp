// Darknet's weights, and how their numbers are cut into tensors. The network is a small one, to be filled by few bytes.
#include "apps/model/darknet_state.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const ar::nn::StateDict like = {
      {"layers.0.conv.weight", ar::zeros({2, 3, 1, 1})},
      {"layers.0.norm.weight", ar::zeros({2})},
      {"layers.0.norm.bias", ar::zeros({2})},
      {"layers.0.norm.running_mean", ar::zeros({2})},
      {"layers.0.norm.running_var", ar::zeros({2})},
      {"layers.1.conv.weight", ar::zeros({3, 2, 1, 1})},
      {"layers.1.conv.bias", ar::zeros({3})},
  };
  try {
    const auto weights = ar::io::read_darknet_weights(ar::io::ByteSource("input", data, size));
    for (const auto& [name, tensor] : ar::apps::darknet_state(like, "layers.1.conv", weights, "input"))
      tensor.to_vector<float>();
  } catch (const ar::Error&) {
  }
  return 0;
}
