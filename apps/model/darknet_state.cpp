#include "apps/model/darknet_state.h"

#include <map>

namespace ar::apps {
namespace {

/// Takes tensors off the front of a file's numbers.
class Numbers {
 public:
  explicit Numbers(const Tensor& values) : values_(values) {}
  int64_t left() const { return values_.numel() - at_; }
  /// How many were asked for that are not there.
  int64_t missing() const { return missing_; }
  Tensor take(const Dims& shape) {
    const int64_t n = shape.product();
    missing_ += std::max<int64_t>(n - left(), 0);
    if (n > left()) {
      at_ = values_.numel();
      return {};
    }
    at_ += n;
    return Tensor(values_.storage(), values_.offset() + at_ - n, shape, dense_strides(shape, Layout::channels_first),
                  values_.dtype());
  }

 private:
  Tensor values_;
  int64_t at_ = 0, missing_ = 0;
};

}  // namespace

nn::StateDict darknet_state(const nn::StateDict& like, const std::string& head, const io::DarknetWeights& weights,
                            const std::string& file) {
  const std::map<std::string, Tensor> wanted(like.begin(), like.end());
  Numbers numbers(weights.values);
  nn::StateDict state;
  const auto take = [&](const std::string& name, const Dims& shape) { state.emplace_back(name, numbers.take(shape)); };
  int64_t channels = 0;
  constexpr std::string_view convolution = ".conv.weight";
  for (const auto& [name, tensor] : like) {
    if (!name.ends_with(convolution) || name == head + ".weight") continue;
    const std::string layer = name.substr(0, name.size() - convolution.size());
    for (const char* part : {".norm.bias", ".norm.weight", ".norm.running_mean", ".norm.running_var"})
      take(layer + part, wanted.at(layer + part).shape());
    take(name, tensor.shape());
    channels = tensor.size(0);
  }
  AR_CHECK(numbers.missing() == 0, file, ": is cut short or of another network: ", numbers.missing(),
           " of its convolutions' numbers are missing");
  // What follows is a convolution with a bias, for so many classes as there are numbers for.
  const int64_t classes = numbers.left() / (channels + 1);
  AR_CHECK(classes * (channels + 1) == numbers.left(), file, ": is cut short or of another network: ", numbers.left(),
           " numbers are left over, which are no classifier (", channels + 1, " for each class)");
  if (classes > 0) {
    take(head + ".bias", {classes});
    take(head + ".weight", {classes, channels, 1, 1});
  }
  return state;
}

}  // namespace ar::apps
