// The LSTM against a plain loop in double precision, in all its options; its bad inputs.
#include "nn/lstm.h"

#include "autograd/reduce.h"
#include "tensor/backend.h"
#include "tests/nn/nn_test.h"

namespace ar {
namespace {

using testing::HasSubstr;
using Vector = std::vector<double>;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

/// One sequence through one direction of one layer: xs[t] -> hs[t]; h and c change.
std::vector<Vector> naive_direction(const std::vector<Vector>& xs, const std::vector<Tensor>& w, bool reverse,
                                    Vector& h, Vector& c) {
  const size_t size = h.size(), steps = xs.size();
  std::vector<Vector> hs(steps);
  for (size_t i = 0; i < steps; ++i) {
    const size_t t = reverse ? steps - 1 - i : i;
    Vector gates(4 * size, 0.0);
    for (size_t k = 0; k < 4 * size; ++k) {
      for (size_t j = 0; j < xs[t].size(); ++j) gates[k] += w[0].at({int64_t(k), int64_t(j)}) * xs[t][j];
      for (size_t j = 0; j < size; ++j) gates[k] += w[1].at({int64_t(k), int64_t(j)}) * h[j];
      for (size_t b = 2; b < w.size(); ++b) gates[k] += w[b].at({int64_t(k)});
    }
    for (size_t j = 0; j < size; ++j) {
      c[j] = sigmoid(gates[size + j]) * c[j] + sigmoid(gates[j]) * std::tanh(gates[2 * size + j]);
      h[j] = sigmoid(gates[3 * size + j]) * std::tanh(c[j]);
    }
    hs[t] = h;
  }
  return hs;
}

struct Case {
  int64_t steps = 5, batch = 3, layers = 1;
  bool bias = true, batch_first = false, bidirectional = false, state = false;
  std::vector<int64_t> lengths = {};
};
std::ostream& operator<<(std::ostream& out, const Case& c) {
  out << "T=" << c.steps << " B=" << c.batch << " layers=" << c.layers << (c.bias ? "" : " no bias")
      << (c.batch_first ? " batch first" : "") << (c.bidirectional ? " bidirectional" : "")
      << (c.state ? " with state" : "");
  for (int64_t n : c.lengths) out << " length " << n;
  return out;
}

void compare_with_naive(const Case& o, Dtype dtype, double tolerance) {
  SCOPED_TRACE(testing::Message() << o << ' ' << dtype);
  const int64_t in = 4, size = 3, directions = o.bidirectional ? 2 : 1;
  nn::LSTM lstm({.input_size = in,
                 .hidden_size = size,
                 .num_layers = o.layers,
                 .bias = o.bias,
                 .batch_first = o.batch_first,
                 .bidirectional = o.bidirectional});
  lstm.to(dtype);
  std::vector<Tensor> weights;
  for (const Variable& p : lstm.parameters()) weights.push_back(p.value());
  const Tensor x = normal({o.steps, o.batch, in}, dtype), h0 = normal({o.layers * directions, o.batch, size}, dtype, 2),
               c0 = normal(h0.shape(), dtype, 3);
  const Tensor lengths = o.lengths.empty() ? Tensor() : from_vector(o.lengths, {o.batch});
  // Batch first without a copy: a transposed view; and dense.
  for (const bool dense : {true, false}) {
    Tensor input = o.batch_first ? x.transpose(0, 1) : x;
    if (dense) input = input.clone(Layout::channels_first);
    const auto [output, h, c] =
        lstm(Variable(input), o.state ? Variable(h0) : Variable(), o.state ? Variable(c0) : Variable(), lengths);
    ASSERT_EQ(output.shape(),
              (o.batch_first ? Dims{o.batch, o.steps, directions * size} : Dims{o.steps, o.batch, directions * size}));
    Tensor expected = zeros({o.steps, o.batch, directions * size}, {.dtype = Dtype::f64});
    Tensor expected_h = zeros(h0.shape(), {.dtype = Dtype::f64}), expected_c = zeros_like(expected_h);
    for (int64_t b = 0; b < o.batch; ++b) {
      const int64_t steps = o.lengths.empty() ? o.steps : o.lengths[size_t(b)];
      std::vector<Vector> sequence;
      for (int64_t t = 0; t < steps; ++t) sequence.push_back(x.select(0, t).select(0, b).to_vector<double>());
      for (int64_t layer = 0; layer < o.layers; ++layer) {
        std::vector<Vector> next(static_cast<size_t>(steps));
        for (int64_t d = 0; d < directions; ++d) {
          const int64_t i = layer * directions + d, each = o.bias ? 4 : 2;
          Vector state_h(static_cast<size_t>(size), 0.0), state_c = state_h;
          if (o.state) {
            state_h = h0.select(0, i).select(0, b).to_vector<double>();
            state_c = c0.select(0, i).select(0, b).to_vector<double>();
          }
          const std::vector<Tensor> w(weights.begin() + i * each, weights.begin() + (i + 1) * each);
          const auto hs = naive_direction(sequence, w, d == 1, state_h, state_c);
          for (size_t t = 0; t < hs.size(); ++t) next[t].insert(next[t].end(), hs[t].begin(), hs[t].end());
          expected_h.select(0, i).select(0, b).copy_from(from_vector(state_h, {size}));
          expected_c.select(0, i).select(0, b).copy_from(from_vector(state_c, {size}));
        }
        sequence = next;
      }
      for (int64_t t = 0; t < steps; ++t)
        expected.select(0, t).select(0, b).copy_from(from_vector(sequence[size_t(t)], {directions * size}));
    }
    EXPECT_LE(difference(o.batch_first ? output.value().transpose(0, 1) : output.value(), expected), tolerance);
    EXPECT_LE(difference(h.value(), expected_h), tolerance);
    EXPECT_LE(difference(c.value(), expected_c), tolerance);
  }
}

TEST(LSTM, AgreesWithAPlainLoop) {
  for (const Dtype dtype : {Dtype::f64, Dtype::f32})
    for (const int64_t layers : {1, 2})
      for (const bool batch_first : {false, true})
        for (const bool bidirectional : {false, true})
          for (const bool state : {false, true})
            for (const auto& lengths : {std::vector<int64_t>{}, {5, 1, 3}}) {
              const Case c{.layers = layers,
                           .batch_first = batch_first,
                           .bidirectional = bidirectional,
                           .state = state,
                           .lengths = lengths};
              compare_with_naive(c, dtype, dtype == Dtype::f64 ? 1e-13 : 2e-6);
            }
}

TEST(LSTM, SmallestCases) {
  compare_with_naive({.steps = 1}, Dtype::f64, 1e-13);
  compare_with_naive({.batch = 1}, Dtype::f64, 1e-13);
  compare_with_naive({.steps = 1, .batch = 1, .batch_first = true, .bidirectional = true, .state = true}, Dtype::f64,
                     1e-13);
  compare_with_naive({.bias = false, .state = true}, Dtype::f64, 1e-13);
  compare_with_naive({.batch = 1, .lengths = {2}}, Dtype::f64, 1e-13);
}

TEST(LSTM, StatesContinueASequence) {
  const nn::LSTM lstm({.input_size = 4, .hidden_size = 3, .num_layers = 2});
  const Variable x(normal({6, 2, 4}, Dtype::f32));
  const LstmResult whole = lstm(x), first = lstm(Variable(x.value().narrow(0, 0, 4)));
  const LstmResult second = lstm(Variable(x.value().narrow(0, 4, 2)), first.h, first.c);
  EXPECT_LE(difference(second.output.value(), whole.output.value().narrow(0, 4, 2)), 1e-6);
  EXPECT_LE(difference(second.c.value(), whole.c.value()), 1e-6);
}

TEST(LSTM, PaddingDoesNotMatter) {
  const nn::LSTM lstm({.input_size = 4, .hidden_size = 3, .num_layers = 2, .batch_first = true, .bidirectional = true});
  const Tensor lengths = from_vector(std::vector<int64_t>{2, 5}, {2});
  const Tensor x = normal({2, 5, 4}, Dtype::f32), other = x.clone();
  other.select(0, 0).narrow(0, 2, 3).fill(100);
  Variable a(x, true), b(other, true);
  const LstmResult ra = lstm(a, {}, {}, lengths), rb = lstm(b, {}, {}, lengths);
  EXPECT_EQ(ra.output.value().to_vector<float>(), rb.output.value().to_vector<float>());
  EXPECT_EQ(ra.h.value().to_vector<float>(), rb.h.value().to_vector<float>());
  EXPECT_EQ(ra.output.value().select(0, 0).select(0, 3).to_vector<float>(), std::vector<float>(6, 0.f));
  sum(rb.output).backward();
  EXPECT_EQ(b.grad().select(0, 0).narrow(0, 2, 3).to_vector<float>(), std::vector<float>(12, 0.f));
}

TEST(LSTM, DropoutWorksBetweenLayersWhileTraining) {
  nn::LSTM lstm({.input_size = 4, .hidden_size = 50, .num_layers = 2, .dropout = 0.5});
  const Variable x(normal({3, 2, 4}, Dtype::f32));
  const auto run = [&] { return lstm(x).output.value().to_vector<float>(); };
  manual_seed(1);
  const auto a = run(), b = run();
  EXPECT_NE(a, b);
  manual_seed(1);
  EXPECT_EQ(a, run());
  lstm.eval();
  EXPECT_EQ(run(), run());
  nn::LSTM all({.input_size = 4, .hidden_size = 3, .num_layers = 2, .bias = false, .dropout = 1});
  EXPECT_EQ(all(x).output.value().at({2, 1, 1}), 0) << "the second layer sees zeros";
}

TEST(LSTM, GradientsAreTheSameBitsEveryTime) {
  const nn::LSTM lstm({.input_size = 8, .hidden_size = 16, .num_layers = 2, .bidirectional = true});
  const Variable x(normal({7, 3, 8}, Dtype::f32));
  std::vector<std::vector<float>> runs[2];
  for (auto& grads : runs) {
    for (const Variable& p : lstm.parameters()) p.zero_grad();
    sum(lstm(x).output).backward();
    for (const Variable& p : lstm.parameters()) grads.push_back(p.grad().to_vector<float>());
  }
  EXPECT_EQ(runs[0], runs[1]);
}

TEST(LSTM, MakesNoLayoutCopies) {
  const nn::LSTM lstm({.input_size = 8, .hidden_size = 16, .batch_first = true});
  const int64_t before = layout_copies();
  sum(lstm(Variable(normal({3, 7, 8}, Dtype::f32), true)).output).backward();
  EXPECT_EQ(layout_copies(), before);
}

TEST(LSTM, LastStatesLieApartFromTheOutput) {
  const nn::LSTM lstm({.input_size = 4, .hidden_size = 3});
  const NoGrad no_grad;
  const LstmResult r = lstm(Variable(normal({5, 2, 4}, Dtype::f32)));
  const std::vector<float> before = r.output.value().to_vector<float>();
  r.h.value().fill(7), r.c.value().fill(7);
  EXPECT_EQ(r.output.value().to_vector<float>(), before);
}

TEST(LSTM, LengthsMayBeReusedBeforeBackward) {
  const nn::LSTM lstm({.input_size = 4, .hidden_size = 3});
  const auto gradient = [&](bool reused) {
    const Variable x(normal({5, 2, 4}, Dtype::f32), true);
    const Tensor lengths = from_vector(std::vector<int64_t>{2, 5}, {2});
    const Variable y = sum(lstm(x, {}, {}, lengths).output);
    if (reused) lengths.fill(1);
    y.backward();
    return x.grad().to_vector<float>();
  };
  EXPECT_EQ(gradient(true), gradient(false));
}

TEST(LSTM, BadInputs) {
  const nn::LSTM lstm({.input_size = 4, .hidden_size = 3, .batch_first = true});
  const auto run = [&](const Tensor& x, const Tensor& lengths = {}) { return lstm(Variable(x), {}, {}, lengths); };
  EXPECT_ERROR(run(zeros({2, 4})), "lstm: x must have 3 dimensions (B,T,input), it is [2,4]");
  EXPECT_ERROR(run(zeros({2, 0, 4})),
               "lstm: at least one step is needed, x has none ([0,2,4] as time, batch, features)");
  EXPECT_ERROR(run(zeros({2, 5, 3})),
               "lstm: weight_ih expects 4 features, x has 3 (x [5,2,3] as time, batch, "
               "features; weight_ih [12,4])");
  EXPECT_ERROR(run(zeros({2, 5, 4}, {.dtype = Dtype::f64})),
               "lstm: weight_ih must be float64 on cpu as x is; it is float32 on cpu");
  EXPECT_ERROR(run(zeros({2, 5, 4}), from_vector(std::vector<int64_t>{5, 6}, {2})),
               "lstm: lengths must lie in [1, 5], one is 6");
  EXPECT_ERROR(run(zeros({2, 5, 4}), from_vector(std::vector<int64_t>{0, 5}, {2})), HasSubstr("one is 0"));
  EXPECT_ERROR(run(zeros({2, 5, 4}), from_vector(std::vector<int64_t>{5}, {1})),
               "lstm: lengths must be int64 [2], they are int64 [1]");
  EXPECT_ERROR(lstm(Variable(zeros({2, 5, 4})), Variable(zeros({1, 3, 3}))),
               "lstm: h0 must be [1,2,3] (layers * directions, B, hidden), it is [1,3,3]");
  EXPECT_ERROR(lstm(Variable(zeros({2, 5, 4})), {}, Variable(zeros({2, 2, 3}))),
               "lstm: c0 must be [1,2,3] (layers * directions, B, hidden), it is [2,2,3]");
  EXPECT_ERROR(ar::lstm(Variable(zeros({2, 5, 4})), {}, {.hidden_size = 3, .bidirectional = true}),
               "lstm: 1 layers in two directions with bias need 8 weights, there are 0");
  EXPECT_EQ(run(zeros({0, 5, 4})).output.shape(), (Dims{0, 5, 3}));
}

TEST(LSTM, NoticesWeightsChangedBeforeBackward) {
  const nn::LSTM lstm({.input_size = 4, .hidden_size = 3});
  const Variable y = sum(lstm(Variable(zeros({2, 1, 4}), true)).output);
  lstm.parameters()[1].value().fill(0);
  EXPECT_ERROR(y.backward(), HasSubstr("lstm: its weight_hh [12,3] was changed in place after the forward pass"));
}

}  // namespace
}  // namespace ar
