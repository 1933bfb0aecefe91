// Ops that do several things in one pass.
#include "autograd/conv_norm.h"
#include "autograd/dense_block.h"
#include "tests/gradcheck/cases/cases.h"

namespace ar::gradcheck_cases {
namespace {

/// Adds weight, bias and running statistics of a norm; inputs take the first two.
NormParameters norm_of(int64_t channels, uint64_t seed, std::vector<Variable>& inputs) {
  NormParameters n{sample({channels}, seed, 0.5, 2), sample({channels}, seed + 1), sample({channels}, seed + 2).value(),
                   sample({channels}, seed + 3, 0.5, 2).value()};
  inputs.push_back(n.weight);
  inputs.push_back(n.bias);
  return n;
}

void add_conv_norm(const Table& table) {
  struct Row {
    const char* name;
    std::vector<BatchNormOptions> modes;  // of each step
    bool residual = false;
    Conv2dOptions conv = {.padding = 1};
  };
  const Activation none = Activation::none, relu = Activation::relu, relu6 = Activation::relu6,
                   leaky = Activation::leaky_relu;
  static const std::vector<Row> all = {
      {"plain", {{}}},
      {"training", {{.training = true}}},
      {"relu", {{.activation = relu}}},
      {"training_relu", {{.training = true, .activation = relu}}, false, {.stride = 2}},
      {"training_relu6", {{.training = true, .activation = relu6}}},
      {"training_leaky_relu", {{.training = true, .activation = leaky, .slope = 0.2}}},
      {"residual", {{.activation = relu}}, true},
      {"training_residual", {{.training = true, .activation = relu}}, true},
      {"two_steps", {{.activation = relu6}, {.activation = leaky, .slope = 0.2}}},
      {"training_two_steps",
       {{.training = true, .activation = leaky, .slope = 0.2}, {.training = true, .activation = relu6}}},
      {"training_three_steps_residual",
       {{.training = true, .activation = relu},
        {.training = true, .activation = none},
        {.training = true, .activation = relu}},
       true},
      {"first_norm_frozen", {{.activation = relu}, {.training = true, .activation = relu}}, true},
  };
  for (const Row& r : all)
    table("conv_norm", r.name, [&r] {
      std::vector<Variable> in{sample({2, 3, 4, 3}, 1)};
      std::vector<NormParameters> norms;
      Dims shape = in[0].shape();
      for (uint64_t i = 0; i < r.modes.size(); ++i) {
        const Variable w = sample({4, shape[1], 3, 3}, 2 + 10 * i, -1, 1);
        shape = ops::conv2d_shape(shape, w.shape(), r.conv);
        in.push_back(w);
        norms.push_back(norm_of(4, 3 + 10 * i, in));
      }
      if (r.residual) in.push_back(sample(shape, 97));
      return Problem{[&r, norms](auto& x) -> std::vector<Variable> {
                       std::vector<ConvNorm> steps;
                       for (size_t i = 0; i < norms.size(); ++i) {
                         NormParameters n = norms[i];
                         n.weight = x[2 + 3 * i], n.bias = x[3 + 3 * i];
                         steps.push_back({x[1 + 3 * i], n, r.conv, r.modes[i]});
                       }
                       return {square(conv_norm(x[0], steps, r.residual ? x.back() : Variable()))};
                     },
                     in};
    });
  struct Kind {
    const char* name;
    Activation activation;
  };
  static constexpr Kind kinds[] = {{"none", Activation::none},
                                   {"relu", Activation::relu},
                                   {"relu6", Activation::relu6},
                                   {"leaky_relu", Activation::leaky_relu}};
  for (const Kind& k : kinds)
    table("activate", k.name, [&k] {
      return Problem{[&k](auto& x) -> std::vector<Variable> { return {activate(x[0], k.activation, 0.2)}; },
                     {sample({2, 3, 2, 2}, Memory::dense, -3, 9)}};
    });
}

struct Block {
  std::vector<Variable> inputs;
  std::vector<DenseLayerParameters> layers;
};

Block block_of(const Variable& x, int layers, int64_t growth, int64_t middle) {
  Block b{{x}, {}};
  int64_t channels = x.size(1);
  for (int i = 0; i < layers; ++i, channels += growth) {
    const uint64_t seed = 10 * uint64_t(i + 1);
    DenseLayerParameters l;
    l.norm1 = norm_of(channels, seed, b.inputs);
    l.conv1 = sample({middle, channels, 1, 1}, seed + 4, -1, 1);
    l.norm2 = norm_of(middle, seed + 5, b.inputs);
    l.conv2 = sample({growth, middle, 3, 3}, seed + 9, -1, 1);
    b.inputs.push_back(l.conv1);
    b.inputs.push_back(l.conv2);
    b.layers.push_back(l);
  }
  return b;
}

void add_dense(const Table& table) {
  struct Row {
    const char* name;
    Dims x;
    int layers;
    int64_t growth, middle;
    bool training;
    Memory memory = Memory::dense;
  };
  static const std::vector<Row> all = {
      {"no_layers", {2, 3, 2, 2}, 0, 1, 1, true},
      {"one_layer", {2, 2, 3, 2}, 1, 2, 3, true},
      {"three_layers", {2, 3, 3, 3}, 3, 2, 3, true},
      {"size_1_training", {2, 1, 1, 1}, 2, 1, 1, true},
      {"evaluation", {2, 3, 3, 2}, 2, 2, 3, false},
      {"one_image_evaluation", {1, 2, 1, 1}, 2, 1, 2, false},
      {"wide", {2, 17, 3, 4}, 2, 16, 33, true},
      {"channels_first", {2, 3, 3, 2}, 2, 2, 3, true, Memory::channels_first},
      {"narrow", {2, 3, 3, 2}, 2, 2, 3, true, Memory::narrow},
  };
  for (const Row& r : all)
    table("dense_block", r.name, [&r] {
      const Block b = block_of(sample(r.x, r.memory), r.layers, r.growth, r.middle);
      const BatchNormOptions options{.training = r.training};
      return Problem{[layers = b.layers, options](auto& x) -> std::vector<Variable> {
                       return {dense_block(x[0], layers, options).features};
                     },
                     b.inputs};
    });

  const auto transition = [&](const char* name, const Dims& shape, bool training, Memory memory = Memory::dense) {
    table("dense_transition", name, [=] {
      std::vector<Variable> in{sample(shape, memory), sample({2, shape[1], 1, 1}, 9, -1, 1)};
      const NormParameters n = norm_of(shape[1], 3, in);
      return Problem{[n, training](auto& x) -> std::vector<Variable> {
                       return {dense_transition(x[0], {}, n, x[1], {.training = training})};
                     },
                     in};
    });
  };
  transition("training", {2, 3, 4, 4}, true);
  transition("odd_image", {2, 3, 5, 3}, true);
  transition("evaluation", {1, 3, 4, 2}, false);
  transition("narrow", {2, 3, 4, 4}, true, Memory::narrow);

  const auto stem = [&](const char* name, const Dims& shape, bool training) {
    table("norm_relu_max_pool2d", name, [=] {
      std::vector<Variable> in{sample(shape)};
      const NormParameters n = norm_of(shape[1], 3, in);
      return Problem{
          [n, training](auto& x) -> std::vector<Variable> {
            return {norm_relu_max_pool2d(x[0], n, {.training = training}, {.kernel = 3, .stride = 2, .padding = 1})};
          },
          in};
    });
  };
  stem("training", {2, 3, 5, 4}, true);
  stem("evaluation", {1, 3, 3, 3}, false);

  table("dense_block", "then_transition_in_one_buffer", [] {
    const Block b = block_of(sample({2, 3, 4, 4}), 2, 2, 3);
    std::vector<Variable> in = b.inputs;
    const NormParameters n = norm_of(7, 3, in);
    const size_t conv = in.size();
    in.push_back(sample({4, 7, 1, 1}, 9, -1, 1));
    const Block second = block_of(sample({2, 4, 2, 2}), 1, 3, 2);
    in.insert(in.end(), second.inputs.begin() + 1, second.inputs.end());
    return Problem{[layers = b.layers, n, conv, next = second.layers](auto& x) -> std::vector<Variable> {
                     static const BatchNormOptions training{.training = true};
                     const DenseBlockResult first = dense_block(x[0], layers, training);
                     const Tensor buffer = empty({2, 7, 2, 2}, {.dtype = Dtype::f64, .device = device()});
                     const Variable y =
                         dense_transition(first.features, first.sums, n, x[conv], training, buffer.narrow(1, 0, 4));
                     return {dense_block(y, next, training, buffer).features};
                   },
                   in};
  });
}

}  // namespace

void add_fused(const Table& table) {
  add_conv_norm(table);
  add_dense(table);
}

}  // namespace ar::gradcheck_cases
