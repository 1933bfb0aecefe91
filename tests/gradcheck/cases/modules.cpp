// Layers, with respect to their inputs and all their parameters.
#include "autograd/checkpoint.h"
#include "nn/attention.h"
#include "nn/conv_norm.h"
#include "nn/layers.h"
#include "nn/loss.h"
#include "nn/lstm.h"
#include "tests/gradcheck/cases/cases.h"

namespace ar::gradcheck_cases {
namespace {

/// The module in f64 on the table's device, kept alive by the function.
template <class M>
std::shared_ptr<M> in_f64(M module) {
  module.to(Dtype::f64);
  module.to(device());
  return std::make_shared<M>(std::move(module));
}

template <class M>
Problem of(M module, const Variable& x) {
  const auto m = in_f64(std::move(module));
  return {[m](auto& in) -> std::vector<Variable> { return {m->forward(in[0])}; }, {x}, m->parameters()};
}

template <class M>
M evaluating(M module) {
  module.eval();
  return module;
}

void add_layers(const Table& table) {
  using namespace nn;
  table("Linear", "vectors", [] { return of(nn::Linear({.in = 3, .out = 4}), sample({2, 3})); });
  table("Linear", "sequences_no_bias", [] {
    return of(nn::Linear({.in = 3, .out = 4, .bias = false}), sample({2, 2, 3}));
  });
  table("Conv2d", "padded", [] {
    return of(nn::Conv2d({.in = 3, .out = 4, .kernel = 3, .padding = 1}), sample({2, 3, 3, 3}));
  });
  table("Conv2d", "depthwise", [] {
    return of(nn::Conv2d({.in = 3, .out = 3, .kernel = 3, .stride = 2, .padding = 1, .groups = 3, .bias = false}),
              sample({2, 3, 4, 3}));
  });
  table("BatchNorm1d", "training", [] { return of(BatchNorm1d({.features = 3}), sample({4, 3})); });
  table("BatchNorm1d", "evaluation", [] { return of(evaluating(BatchNorm1d({.features = 3})), sample({2, 3, 2})); });
  table("BatchNorm2d", "training", [] { return of(BatchNorm2d({.features = 3}), sample({2, 3, 2, 2})); });
  table("BatchNorm2d", "evaluation", [] { return of(evaluating(BatchNorm2d({.features = 3})), sample({2, 3, 2, 2})); });
  table("BatchNorm2d", "cumulative_average", [] {
    return of(BatchNorm2d({.features = 3, .momentum = std::nullopt}), sample({2, 3, 2, 2}));
  });
  table("Identity", "matrix", [] { return of(Identity(), sample({2, 3})); });
  table("ReLU", "matrix", [] { return of(ReLU(), sample({2, 3})); });
  table("ReLU6", "matrix", [] { return of(ReLU6(), sample({2, 3}, 0, -3, 9)); });
  table("LeakyReLU", "matrix", [] { return of(LeakyReLU(0.3), sample({2, 3})); });
  table("Sigmoid", "matrix", [] { return of(Sigmoid(), sample({2, 3})); });
  table("Tanh", "matrix", [] { return of(Tanh(), sample({2, 3})); });
  table("Softmax", "matrix", [] { return of(Softmax(1), sample({2, 3})); });
  table("LogSoftmax", "matrix", [] { return of(LogSoftmax(-1), sample({2, 3})); });
  table("MaxPool2d", "images", [] { return of(MaxPool2d({.kernel = 2}), sample({2, 3, 4, 4})); });
  table("AvgPool2d", "images", [] { return of(AvgPool2d({.kernel = 2}), sample({2, 3, 4, 4})); });
  table("AdaptiveAvgPool2d", "images", [] { return of(AdaptiveAvgPool2d(1), sample({2, 3, 3, 4})); });
  table("LocalResponseNorm", "images", [] { return of(LocalResponseNorm({.size = 3}), sample({2, 4, 2, 2})); });
  table("Dropout", "training", [] { return of(Dropout(0.4), sample({3, 4})); });
  table("Dropout", "evaluation", [] { return of(evaluating(Dropout(0.4)), sample({3, 4})); });
  table("Flatten", "images", [] { return of(Flatten(), sample({2, 3, 2, 2})); });
  table("Sequential", "two_layers", [] {
    return of(Sequential(nn::Linear({.in = 3, .out = 4}), Tanh(), Dropout(0.3), nn::Linear({.in = 4, .out = 2})),
              sample({2, 3}));
  });
  table("conv_norm", "of_modules", [] {
    struct M {
      nn::Conv2d conv{{.in = 3, .out = 3, .kernel = 3, .padding = 1, .bias = false}};
      BatchNorm2d norm{{.features = 3}};
    };
    const auto m = std::make_shared<M>();
    for (nn::Module* part : {static_cast<nn::Module*>(&m->conv), static_cast<nn::Module*>(&m->norm)})
      part->to(Dtype::f64), part->to(device());
    std::vector<Variable> parameters = m->conv.parameters();
    for (const Variable& p : m->norm.parameters()) parameters.push_back(p);
    return Problem{[m](auto& x) -> std::vector<Variable> {
                     return {nn::conv_norm(x[0], {{m->conv, m->norm, Activation::relu}}, x[0])};
                   },
                   {sample({2, 3, 3, 2})},
                   parameters};
  });
}

void add_recurrent(const Table& table) {
  table("LSTM", "two_layers_bidirectional_lengths", [] {
    const auto m = in_f64(nn::LSTM({.input_size = 2,
                                    .hidden_size = 2,
                                    .num_layers = 2,
                                    .batch_first = true,
                                    .dropout = 0.3,
                                    .bidirectional = true}));
    return Problem{[m](auto& x) -> std::vector<Variable> {
                     const LstmResult r = (*m)(x[0], {}, {}, from_vector<int64_t>({3, 1}, {2}));
                     return {r.output, r.h, r.c};
                   },
                   {sample({2, 3, 2})},
                   m->parameters()};
  });
  table("LSTM", "steps_first", [] { return of(nn::LSTM({.input_size = 2, .hidden_size = 3}), sample({4, 2, 2})); });
  table("MultiheadAttention", "self", [] {
    return of(nn::MultiheadAttention({.embed_dim = 4, .num_heads = 2, .batch_first = true}), sample({2, 3, 4}));
  });
  table("MultiheadAttention", "cross_with_masks_and_weights", [] {
    const auto m = in_f64(nn::MultiheadAttention({.embed_dim = 4, .num_heads = 2, .dropout = 0.2}));
    return Problem{[m](auto& x) -> std::vector<Variable> {
                     const auto r =
                         (*m)(x[0], x[1], x[2],
                              {.key_padding_mask = from_vector<uint8_t>({0, 0, 1, 0, 0, 0}, {2, 3}).to(device()),
                               .attn_mask = sample({2, 3}, 9).value(),
                               .need_weights = true});
                     return {r.output, r.weights};
                   },
                   {sample({2, 2, 4}, 1), sample({3, 2, 4}, 2), sample({3, 2, 4}, 3)},
                   m->parameters()};
  });
}

void add_losses(const Table& table) {
  const Tensor target = from_vector<int64_t>({2, 0, 1}, {3});
  table("NLLLoss", "mean", [target] {
    return Problem{[target](auto& x) -> std::vector<Variable> { return {nn::NLLLoss{}(x[0], target)}; },
                   {sample({3, 4})}};
  });
  table("CrossEntropyLoss", "smoothed", [target] {
    return Problem{[target](auto& x) -> std::vector<Variable> {
                     return {nn::CrossEntropyLoss{{.label_smoothing = 0.1}}(x[0], target)};
                   },
                   {sample({3, 4})}};
  });
}

void add_checkpoint(const Table& table) {
  table("checkpoint", "of_inputs", [] {
    return Problem{[](auto& x) -> std::vector<Variable> {
                     return {checkpoint([](auto& in) { return mul(tanh(in[0]), in[1]); }, x)};
                   },
                   {sample({2, 3}, 1), sample({3}, 2)}};
  });
  table("checkpoint", "of_a_module_with_dropout", [] {
    const auto m = in_f64(nn::Sequential(nn::Linear({.in = 3, .out = 4}), nn::BatchNorm1d({.features = 4}), nn::Tanh(),
                                         nn::Dropout(0.3), nn::Linear({.in = 4, .out = 2})));
    return Problem{[m](auto& x) -> std::vector<Variable> {
                     return {checkpoint([&](auto& in) { return m->forward(in[0]); }, {dropout(x[0], 0.2, true)})};
                   },
                   {sample({3, 3})},
                   m->parameters()};
  });
}

}  // namespace

void add_modules(const Table& table) {
  add_layers(table);
  add_recurrent(table);
  add_losses(table);
  add_checkpoint(table);
}

}  // namespace ar::gradcheck_cases
