// A layer of one's own, inside a network, checked against finite differences.
#include <iostream>

#include "ar.h"

/// Each channel by a factor that is learned: y[n,c,...] = scale[c] * x[n,c,...].
class ChannelScale : public ar::nn::Module {
 public:
  explicit ChannelScale(int64_t channels) : scale(ar::ones({channels, 1, 1})) {}
  ar::Variable forward(const ar::Variable& x) const override { return x * scale; }
  ar::nn::Parameter scale;

 protected:
  void members(ar::nn::Members& add) override { add("scale", scale); }
};

int main() {
  ar::nn::Sequential net(ar::nn::Conv2d({.in = 3, .out = 4, .kernel = 3}), ChannelScale(4), ar::nn::ReLU());
  net.to(ar::Dtype::f64);
  for (const auto& [name, tensor] : net.state_dict()) std::cout << name << ' ' << tensor.shape() << '\n';

  const ar::Variable images(ar::randn({2, 3, 5, 5}, {.dtype = ar::Dtype::f64}), true);
  const auto result =
      ar::gradcheck([&](const auto& in) { return std::vector{net(in[0])}; }, {images}, net.parameters());
  std::cout << "worst relative error " << result.worst_relative_error << '\n';
  return result ? 0 : 1;
}
