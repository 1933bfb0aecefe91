// The losses of training steps of LRCN(densenet121) on one batch, from the weights in a file: what peer/lrcn_parity.py
// compares with PyTorch's.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <iostream>

#include "io/checkpoint_file.h"
#include "nn/models/lrcn.h"
#include "nn/optim.h"

int main(int argc, char** argv) {
  using namespace ar;
  std::string file;
  int steps = 10;
  int64_t classes = 101, units = 512;
  double rate = 3e-4;
  CLI::App app("Losses of training steps from given weights");
  app.add_option("file", file, "safetensors: the weights, and clips (B,3,T,H,W) and targets (B)")->required();
  app.add_option("--steps", steps)->capture_default_str();
  app.add_option("--classes", classes)->capture_default_str();
  app.add_option("--rnn-units", units)->capture_default_str();
  app.add_option("--learning-rate", rate)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    nn::LRCN net({.feature_extractor = "densenet121", .classes = classes, .rnn_units = units, .head_dropout = 0});
    Tensor clips, targets;
    nn::StateDict state;
    for (const auto& [name, tensor] : io::load_checkpoint_file(file).field().tensors()) {
      if (name == "clips")
        clips = tensor.contiguous(Layout::channels_last);
      else if (name == "targets")
        targets = tensor;
      else
        state.emplace_back(name, tensor);
    }
    net.load_state_dict(state);
    optim::SGD sgd(net.parameters(), {.lr = rate, .momentum = 0.9});
    for (int i = 0; i < steps; ++i) {
      const Variable loss = net.loss(clips, targets);
      loss.backward();
      sgd.step();
      sgd.zero_grad();
      std::printf("%.9g\n", loss.item());
    }
  } catch (const std::exception& e) {
    std::cerr << "error: " << e.what() << "\n";
    return 1;
  }
  return 0;
}
