// Whole networks, small ones, with respect to their inputs and all their parameters.
#include "nn/models/densenet.h"
#include "nn/models/image_classifier.h"
#include "nn/models/lrcn.h"
#include "nn/models/resnet.h"
#include "nn/models/tiny_darknet.h"
#include "tests/gradcheck/cases/cases.h"

namespace ar::gradcheck_cases {
namespace {

/// Two convolutions: enough of an extractor to see gradients pass through.
class SmallBackbone : public nn::Backbone {
 public:
  Variable features(const Variable& images) const override { return relu(norm_(conv_(images))); }
  int64_t channels() const override { return 3; }
  Variable forward(const Variable& images) const override { return features(images); }

 protected:
  void members(nn::Members& add) override { add("conv", conv_), add("norm", norm_); }

 private:
  nn::Conv2d conv_{{.in = 3, .out = 3, .kernel = 3, .stride = 2, .padding = 1}};
  nn::BatchNorm2d norm_{{.features = 3}};
};

template <class M>
Problem of(M module, const Variable& x, bool training = true) {
  module.train(training);
  module.to(Dtype::f64);
  module.to(device());
  const auto m = std::make_shared<M>(std::move(module));
  // One projection: millions of parameters in a hundred tensors take their time. A small step: among so many units some
  // are near the kink of their activation.
  return {[m](auto& in) -> std::vector<Variable> { return {m->forward(in[0])}; },
          {x},
          m->parameters(),
          {.eps = 1e-8, .projections = 1}};
}

void add_lrcn(const Table& table) {
  for (const std::string& head : nn::lrcn_head_names())
    for (const bool loss : {false, true})
      table("LRCN", head + (loss ? "_loss" : "_probabilities"), [head, loss] {
        const auto m = std::make_shared<nn::LRCN>(
            nn::Box<nn::Backbone>(SmallBackbone()),
            nn::LRCNOptions{.classes = 3, .rnn_units = 8, .head_dropout = 0.3, .head = head});
        m->to(Dtype::f64);
        m->to(device());
        return Problem{[m, loss](auto& x) -> std::vector<Variable> {
                         if (loss) return {m->loss(x[0], from_vector<int64_t>({2, 0}, {2}))};
                         return {m->forward(x[0])};
                       },
                       {sample({2, 3, 3, 4, 4})},
                       m->parameters()};
      });
  table("LRCN", "one_clip_of_one_frame_bidirectional", [] {
    nn::LRCN m(nn::Box<nn::Backbone>(SmallBackbone()),
               {.classes = 2, .rnn_units = 2, .rnn_layers = 2, .bidirectional = true, .rnn_dropout = 0.2});
    return of(std::move(m), sample({1, 3, 1, 4, 4}));
  });
  table("LRCN", "frozen_extractor", [] {
    nn::LRCN m(nn::Box<nn::Backbone>(SmallBackbone()), {.classes = 2, .rnn_units = 3, .freeze = true});
    return of(std::move(m), sample({2, 3, 2, 4, 4}));
  });
}

}  // namespace

void add_models(const Table& table) {
  const nn::DenseNetOptions dense{
      .growth_rate = 2, .block_config = {2, 1}, .num_init_features = 4, .bn_size = 2, .classes = 3};
  table("DenseNet", "training", [dense] { return of(nn::DenseNet(dense), sample({2, 3, 32, 32})); });
  table("DenseNet", "evaluation", [dense] { return of(nn::DenseNet(dense), sample({1, 3, 32, 32}), false); });
  table("ResNet", "blocks", [] {
    return of(nn::ResNet({.layers = {1, 1, 0, 0}, .classes = 2}), sample({2, 3, 16, 16}));
  });
  table("TinyDarknet", "training", [] { return of(nn::TinyDarknet(2), sample({2, 3, 32, 35})); });
  table("ImageClassifier", "training", [] {
    return of(nn::ImageClassifier({.feature_extractor = "tiny_darknet", .classes = 3}), sample({2, 3, 32, 32}));
  });
  table("ImageClassifier", "frozen", [] {
    return of(nn::ImageClassifier({.feature_extractor = "tiny_darknet", .classes = 3, .freeze = true}),
              sample({2, 3, 32, 32}));
  });
  add_lrcn(table);
}

}  // namespace ar::gradcheck_cases
