#include "autograd/lstm.h"

#include "autograd/checkpoint.h"
#include "autograd/elementwise.h"
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
  const auto value = [](const Variable& v) { return v.defined() ? v.value() : Tensor(); };
  const ops::LstmWeights weights{value(w[0]), value(w[1]), value(w[2]), value(w[3])};
  const bool training = learning() && w[0].requires_grad();
  const ops::LstmPass pass{.reverse = reverse, .lengths = lengths, .weights_rest = !training};
  const ops::LstmStates states = ops::lstm(x.value(), weights, value(h0), value(c0), pass);
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
  const std::vector<Variable> results =
      record("lstm", {output, states.last(states.h, reverse), states.last(states.c, reverse)},
             {x, w[0], w[1], w[2], w[3], h0, c0}, backward);
  return {results[0], results[1], results[2]};
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
                const Variable& c0, const Tensor& lengths, Generator& g) {
  check_arguments(x, weights, o, h0, c0);
  const int directions = o.bidirectional ? 2 : 1, each = o.bias ? 4 : 2;
  Variable sequence = o.batch_first ? transpose(x, 0, 1) : x;
  std::vector<Variable> h, c;
  for (int layer = 0; layer < o.num_layers; ++layer) {
    std::vector<Variable> outputs;
    for (int d = 0; d < directions; ++d) {
      const int i = layer * directions + d;
      std::vector<Variable> w(weights.begin() + i * each, weights.begin() + (i + 1) * each);
      w.resize(4);
      const auto state = [i](const Variable& s) { return s.defined() ? select(s, 0, i) : Variable(); };
      const Direction r = run(sequence, w, state(h0), state(c0), lengths, d == 1);
      outputs.push_back(r.output), h.push_back(r.h), c.push_back(r.c);
    }
    sequence = directions == 2 ? cat(outputs, 2) : outputs[0];
    if (layer + 1 < o.num_layers) sequence = dropout(sequence, o.dropout, o.training, g);
  }
  return {o.batch_first ? transpose(sequence, 0, 1) : sequence, stack(h, 0), stack(c, 0)};
}

}  // namespace ar
