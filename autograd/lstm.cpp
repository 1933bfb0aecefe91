#include "autograd/lstm.h"

#include <optional>

#include "autograd/checkpoint.h"
#include "autograd/elementwise.h"
#include "autograd/operands.h"
#include "autograd/shape.h"
#include "tensor/ops_lstm.h"

namespace ar {
namespace {

struct Direction {
  Variable output, h, c;  // (T,B,H), (B,H), (B,H)
};

/// One direction of one layer, recorded as one op. x (T,B,in); w: weight_ih, weight_hh, bias_ih, bias_hh.
Direction run(const Variable& x, const std::vector<Variable>& w, const Variable& h0, const Variable& c0,
              const Tensor& lengths, bool reverse) {
  const ops::LstmWeights weights{value_of(w[0]), value_of(w[1]), value_of(w[2]), value_of(w[3])};
  const bool training = learning() && w[0].requires_grad();
  const ops::LstmPass pass{.reverse = reverse, .lengths = lengths, .weights_rest = !training};
  const ops::LstmStates states = ops::lstm(x.value(), weights, value_of(h0), value_of(c0), pass);
  Tensor output = states.after(states.h, reverse);
  if (lengths.defined()) output = ops::zero_past(output, lengths);

  const Saved x_saved("lstm", "input", x.value()), ih("lstm", "weight_ih", weights.ih),
      hh("lstm", "weight_hh", weights.hh), h("lstm", "hidden state", states.h), c("lstm", "cell state", states.c);
  auto backward = [x_saved, ih, hh, h, c, gates = states.gates, pass](Backward& b) -> std::vector<Tensor> {
    const ops::LstmWeights weights{ih.get(), hh.get(), {}, {}};
    const ops::LstmGrads g = ops::lstm_backward(
        x_saved.get(), weights, {gates, h.get(), c.get()}, b.grad(0), b.grad(1), b.grad(2), pass,
        {.x = b.wanted(0), .ih = b.wanted(1), .hh = b.wanted(2), .bias = b.wanted(3) || b.wanted(4)});
    return {g.x, g.ih, g.hh, g.bias, g.bias, g.h0, g.c0};
  };
  // Copies: whoever writes into the last state must not write into the output.
  const Tensor last_h = states.last(states.h, reverse).clone(), last_c = states.last(states.c, reverse).clone();
  const std::vector<Variable> results =
      record("lstm", {output, last_h, last_c}, {x, w[0], w[1], w[2], w[3], h0, c0}, backward);
  return {results[0], results[1], results[2]};
}

struct Layer {
  Variable output, h, c;  // (T,B,D*H), (D,B,H)
};

/// One layer by the device's library, recorded as one op; nothing where there is none for it. w: four weights for each
/// direction; h0, c0 (D,B,H).
std::optional<Layer> run_by_library(const Variable& x, const std::vector<Variable>& w, const Variable& h0,
                                    const Variable& c0, const Tensor& lengths) {
  const auto gather = [](const auto& all) {
    std::vector<ops::LstmWeights> weights;
    for (size_t i = 0; i < all.size(); i += 4) weights.push_back({all[i], all[i + 1], all[i + 2], all[i + 3]});
    return weights;
  };
  std::vector<Variable> inputs{x, h0, c0};
  inputs.insert(inputs.end(), w.begin(), w.end());
  const bool training = learning() && any_requires_grad(inputs);
  std::vector<Tensor> values;
  for (const Variable& v : w) values.push_back(value_of(v));
  const auto layer = ops::lstm_sequence(x.value(), gather(values), value_of(h0), value_of(c0), lengths, training);
  if (!layer) return {};

  const Saved x_saved("lstm", "input", x.value()), h0_saved("lstm", "h0", value_of(h0)),
      c0_saved("lstm", "c0", value_of(c0)), y("lstm", "output", layer->y), h("lstm", "h", layer->h),
      c("lstm", "c", layer->c);
  std::vector<Saved> w_saved;
  for (const Tensor& t : values) w_saved.emplace_back("lstm", "weight", t);
  auto backward = [=, left = layer->left](Backward& b) -> std::vector<Tensor> {
    std::vector<Tensor> weights;
    bool weights_wanted = false;
    for (size_t i = 0; i < w_saved.size(); ++i) {
      weights.push_back(w_saved[i].get());
      weights_wanted = weights_wanted || b.wanted(int(i) + 3);
    }
    const ops::LstmLayerGrads g =
        ops::lstm_sequence_backward(x_saved.get(), gather(weights), h0_saved.get(), c0_saved.get(), lengths,
                                    {y.get(), h.get(), c.get(), left}, b.grad(0), b.grad(1), b.grad(2), weights_wanted);
    std::vector<Tensor> all{g.x, g.h0, g.c0};
    for (const ops::LstmWeights& d : g.weights) all.insert(all.end(), {d.ih, d.hh, d.bias_ih, d.bias_hh});
    all.resize(w_saved.size() + 3);
    return all;
  };
  const std::vector<Variable> results = record("lstm_layer", {layer->y, layer->h, layer->c}, inputs, backward);
  return Layer{results[0], results[1], results[2]};
}

/// One layer step by step, a direction after the other.
Layer run_by_steps(const Variable& x, const std::vector<Variable>& w, const Variable& h0, const Variable& c0,
                   const Tensor& lengths) {
  std::vector<Variable> outputs, h, c;
  for (int d = 0; d < int(w.size()) / 4; ++d) {
    const auto state = [d](const Variable& s) { return s.defined() ? select(s, 0, d) : Variable(); };
    const Direction r = run(x, {w.begin() + 4 * d, w.begin() + 4 * d + 4}, state(h0), state(c0), lengths, d == 1);
    outputs.push_back(r.output), h.push_back(r.h), c.push_back(r.c);
  }
  return {outputs.size() == 2 ? cat(outputs, 2) : outputs[0], stack(h, 0), stack(c, 0)};
}

void check_arguments(const Variable& x, const std::vector<Variable>& weights, const LstmOptions& o, const Variable& h0,
                     const Variable& c0) {
  const char* order = o.batch_first ? "(B,T,input)" : "(T,B,input)";
  AR_CHECK(x.rank() == 3, "lstm: x must have 3 dimensions ", order, ", it is ", x.shape());
  AR_CHECK(o.num_layers > 0 && o.hidden_size > 0, "lstm: layers and hidden size must be positive, they are ",
           o.num_layers, " and ", o.hidden_size);
  const int64_t states = o.num_layers * (o.bidirectional ? 2 : 1), each = o.bias ? 4 : 2;
  AR_CHECK(int64_t(weights.size()) == states * each, "lstm: ", o.num_layers, " layers",
           o.bidirectional ? " in two directions" : "", o.bias ? " with" : " without", " bias need ", states * each,
           " weights, there are ", weights.size());
  for (const Variable& w : weights) AR_CHECK(w.defined(), "lstm: a weight is undefined");
  const Dims shape{states, x.size(o.batch_first ? 0 : 1), o.hidden_size};
  const auto check_state = [&](const char* name, const Variable& s) {
    AR_CHECK(!s.defined() || s.shape() == shape, "lstm: ", name, " must be ", shape,
             " (layers * directions, B, hidden), it is ", s.shape());
  };
  check_state("h0", h0), check_state("c0", c0);
}

}  // namespace

LstmResult lstm(const Variable& x, const std::vector<Variable>& weights, const LstmOptions& o, const Variable& h0,
                const Variable& c0, const Tensor& given_lengths, Generator& g) {
  check_arguments(x, weights, o, h0, c0);
  // The backward pass reads them again, when the caller may have reused their memory.
  const Tensor lengths = given_lengths.defined() ? given_lengths.clone() : Tensor();
  const int directions = o.bidirectional ? 2 : 1, each = o.bias ? 4 : 2;
  Variable sequence = o.batch_first ? transpose(x, 0, 1) : x;
  std::vector<Variable> h, c;
  auto next = weights.begin();
  for (int layer = 0; layer < o.num_layers; ++layer) {
    std::vector<Variable> w;  // four for each direction, undefined where there are no biases
    for (int i = 0; i < directions * 4; ++i) w.push_back(i % 4 < each ? *next++ : Variable());
    const auto states = [&](const Variable& s) {
      return s.defined() ? narrow(s, 0, layer * directions, directions) : Variable();
    };
    std::optional<Layer> r = run_by_library(sequence, w, states(h0), states(c0), lengths);
    if (!r) r = run_by_steps(sequence, w, states(h0), states(c0), lengths);
    h.push_back(r->h), c.push_back(r->c);
    sequence = r->output;
    if (layer + 1 < o.num_layers) sequence = dropout(sequence, o.dropout, o.training, g);
  }
  return {o.batch_first ? transpose(sequence, 0, 1) : sequence, cat(h, 0), cat(c, 0)};
}

}  // namespace ar
