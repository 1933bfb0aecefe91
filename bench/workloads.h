// Whole workloads on random data. bench/peer/ has each of them in PyTorch.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "autograd/autograd.h"
#include "nn/models/backbone.h"
#include "nn/models/lrcn.h"
#include "nn/optim.h"
#include "tensor/ops_elementwise.h"
#include "tensor/random.h"

namespace ar::bench {

struct Workload {
  std::function<void()> step;
  double work;       // units that a step does
  const char* unit;  // "images/s"
};

inline Tensor random_images(int64_t batch, const nn::Backbone& model, Dtype dtype) {
  return randn({batch, 3, model.image_size(), model.image_size()}).to(dtype);
}

/// A network of make_backbone at its size of images, with the classifier of ImageNet; batch in images.
template <Dtype activations = Dtype::f32>
Workload inference(const std::string& network, int64_t batch) {
  auto model = std::make_shared<nn::Box<nn::Backbone>>(nn::make_backbone(network, 1000));
  (*model)->eval();
  const Variable x = random_images(batch, **model, activations);
  return {[=] {
            NoGrad guard;
            (**model)(x);
          },
          double(batch), "images/s"};
}

/// The same: forward, cross-entropy, backward, SGD with momentum; batch in images.
template <Dtype activations = Dtype::f32>
Workload training(const std::string& network, int64_t batch) {
  auto model = std::make_shared<nn::Box<nn::Backbone>>(nn::make_backbone(network, 1000));
  auto optimiser = std::make_shared<optim::SGD>((*model)->parameters(), optim::SgdOptions{.lr = 1e-3, .momentum = 0.9});
  const Variable x = random_images(batch, **model, activations);
  const Tensor target = randint(1000, {batch});
  return {[=] {
            optimiser->zero_grad();
            cross_entropy((**model)(x), target).backward();
            optimiser->step();
          },
          double(batch), "images/s"};
}

/// LRCN, the paper's head on a network with an LSTM of 512: loss, backward, Adam; batch in clips of 16 frames at 224.
inline Workload lrcn(const std::string& network, int64_t batch) {
  auto model = std::make_shared<nn::LRCN>(nn::LRCNOptions{.feature_extractor = network, .head_dropout = 0});
  auto optimiser = std::make_shared<optim::Adam>(model->parameters(), optim::AdamOptions{.lr = 1e-4});
  const Variable x = randn({batch, 3, 16, 224, 224});
  const Tensor target = randint(101, {batch});
  return {[=] {
            optimiser->zero_grad();
            model->loss(x, target).backward();
            optimiser->step();
          },
          double(batch), "clips/s"};
}

/// An LSTM 1024 -> 512, forward and backward over 16 steps; batch in sequences.
inline Workload lstm_of(int64_t batch, int64_t layers, bool bidirectional) {
  constexpr int64_t in = 1024, hidden = 512, steps = 16;
  const int64_t directions = bidirectional ? 2 : 1;
  const Variable x(randn({batch, steps, in}), true);
  std::vector<Variable> weights;
  for (int64_t i = 0; i < layers * directions; ++i) {
    const int64_t reads = i < directions ? in : directions * hidden;
    for (const Dims& shape : {Dims{4 * hidden, reads}, Dims{4 * hidden, hidden}, Dims{4 * hidden}, Dims{4 * hidden}}) {
      weights.push_back(Variable(empty(shape), true));
      uniform_(weights.back().value(), -0.04, 0.04);
    }
  }
  const Tensor gradient = randn({batch, steps, directions * hidden});
  const LstmOptions options{
      .hidden_size = hidden, .num_layers = layers, .batch_first = true, .bidirectional = bidirectional};
  return {[=] {
            x.zero_grad();
            for (const Variable& w : weights) w.zero_grad();
            ar::lstm(x, weights, options).output.backward(gradient);
          },
          double(batch), "sequences/s"};
}
inline Workload lstm(const std::string&, int64_t batch) { return lstm_of(batch, 1, false); }
/// Two layers that read both ways.
inline Workload lstm2(const std::string&, int64_t batch) { return lstm_of(batch, 2, true); }

/// A product of square matrices of `n` rows.
inline Workload gemm(const std::string&, int64_t n) {
  const Variable a = randn({n, n}), b = randn({n, n});
  return {[=] {
            NoGrad guard;
            matmul(a, b);
          },
          2e-9 * double(n) * double(n) * double(n), "GFLOP/s"};
}

/// max(x, 0) in place on `megas` * 2^20 numbers.
inline Workload relu(const std::string&, int64_t megas) {
  const Tensor x = randn({megas << 20});
  return {[=] { ops::unary_(UnaryOp::relu, x); }, 8e-9 * double(x.numel()), "GB/s"};
}

struct NamedWorkload {
  const char* name;
  Workload (*make)(const std::string& network, int64_t batch);  // the network is for those that have one
};
inline constexpr NamedWorkload kWorkloads[] = {{"inference", inference<>},
                                               {"inference_bf16", inference<Dtype::bf16>},
                                               {"training", training<>},
                                               {"training_bf16", training<Dtype::bf16>},
                                               {"lrcn", lrcn},
                                               {"lstm", lstm},
                                               {"lstm2", lstm2},
                                               {"gemm", gemm},
                                               {"relu", relu}};

}  // namespace ar::bench
