// One training step of an LRCN on random clips: the library in a few lines.
#include <iostream>

#include "ar.h"

int main() {
  ar::nn::LRCN net({.feature_extractor = "densenet121", .classes = 101});
  ar::optim::SGD optimizer(net.parameters(), {.lr = 1e-3, .momentum = 0.9});
  const ar::Tensor clips = ar::randn({4, 3, 16, 224, 224}), target = ar::randint(101, {4});

  const ar::Variable loss = ar::nll_loss(net(clips), target);
  loss.backward();
  optimizer.step();
  std::cout << "loss " << loss.item() << '\n';
}
