// LSTMs over whole sequences on the device against the CPU's: step by step, and by a library (on a GPU cuDNN's).
#include "ar.h"
#include "autograd/checkpoint.h"
#include "tensor/ops_lstm.h"
#include "tests/cuda/both.h"

namespace ar::testing {
namespace {

struct Sequences {
  const char* name;
  int64_t steps, batch, in;
  LstmOptions options;
  bool state = false;
  std::vector<int64_t> lengths = {};
  bool transposed = false;  // x lies in memory as the other order of time and batch
};

const std::vector<Sequences>& sequences() {
  static const std::vector<Sequences> all = {
      {"one step", 1, 1, 1, {.hidden_size = 1}},
      {"plain", 5, 3, 4, {.hidden_size = 6}},
      {"no bias", 4, 2, 3, {.hidden_size = 5, .bias = false}},
      {"states", 4, 3, 3, {.hidden_size = 5}, true},
      {"bidirectional", 4, 3, 5, {.hidden_size = 3, .bidirectional = true}, true},
      {"lengths", 5, 4, 3, {.hidden_size = 4}, false, {5, 1, 3, 2}},
      {"all at once",
       5,
       3,
       4,
       {.hidden_size = 3, .num_layers = 2, .batch_first = true, .bidirectional = true},
       true,
       {2, 5, 4}},
      {"dropout", 3, 2, 4, {.hidden_size = 4, .num_layers = 3, .dropout = 0.4, .training = true}},
      {"transposed", 4, 3, 5, {.hidden_size = 3, .bidirectional = true}, false, {3, 4, 1}, true},
      {"batch first, transposed", 4, 3, 5, {.hidden_size = 3, .batch_first = true}, false, {}, true},
  };
  return all;
}

/// Under checkers fewer runs will do.
bool quick() { return many() < 100'000 || exact(); }

/// Input, states if any, and weights, in that order.
std::vector<Tensor> operands(const Sequences& s, Dtype t) {
  manual_seed(3);
  const LstmOptions& o = s.options;
  const int64_t directions = o.bidirectional ? 2 : 1, h = o.hidden_size;
  const auto random = [t](const Dims& shape) { return (randn(shape)).to(t); };
  const bool time_in_front = o.batch_first == s.transposed;
  Tensor x = random(time_in_front ? Dims{s.steps, s.batch, s.in} : Dims{s.batch, s.steps, s.in});
  std::vector<Tensor> all{s.transposed ? x.transpose(0, 1) : x};
  for (int i = 0; i < 2 && s.state; ++i) all.push_back(random({o.num_layers * directions, s.batch, h}));
  for (int64_t layer = 0; layer < o.num_layers; ++layer)
    for (int64_t d = 0; d < directions; ++d) {
      all.push_back(random({4 * h, layer ? directions * h : s.in}));
      all.push_back(random({4 * h, h}));
      for (int i = 0; i < 2 && o.bias; ++i) all.push_back(random({4 * h}));
    }
  return all;
}

/// Results, then gradients of all operands, as they come from a backward pass done twice over one graph.
std::vector<std::vector<double>> run(const Sequences& s, Dtype t, Device device, bool recomputed = false) {
  std::vector<Variable> in;
  for (const Tensor& o : operands(s, t)) in.emplace_back(o.to(device), true);
  const Tensor lengths = s.lengths.empty() ? Tensor() : from_vector(s.lengths, {s.batch});
  const auto f = [&](const std::vector<Variable>& v) {
    const size_t first = s.state ? 3 : 1;
    const std::vector<Variable> weights(v.begin() + int64_t(first), v.end());
    manual_seed(4);
    return lstm(v[0], weights, s.options, s.state ? v[1] : Variable(), s.state ? v[2] : Variable(), lengths);
  };
  std::vector<std::vector<double>> all;
  if (recomputed) {
    const Variable y = checkpoint([&](auto& v) { return f(v).output; }, in);
    all.push_back(y.value().to_vector<double>());
    sum(square(y)).backward();
  } else {
    const LstmResult r = f(in);
    for (const Variable& v : {r.output, r.h, r.c}) all.push_back(v.value().to_vector<double>());
    const Variable loss = sum(square(r.output)) + sum(square(r.h)) + sum(r.c);
    loss.backward({}, true);
    loss.backward();
  }
  for (const Variable& v : in) all.push_back(v.grad().to_vector<double>());
  return all;
}

void expect_the_same(const Sequences& s, Dtype t, bool recomputed, double tolerance) {
  SCOPED_TRACE(::testing::Message() << s.name << ' ' << t << (recomputed ? " recomputed" : ""));
  const auto want = run(s, t == Dtype::bf16 ? Dtype::f32 : t, Device{}, recomputed), got = run(s, t, kCuda, recomputed);
  ASSERT_EQ(got.size(), want.size());
  for (size_t i = 0; i < got.size(); ++i) {
    ASSERT_EQ(got[i].size(), want[i].size()) << i;
    double largest = 1;
    for (double v : want[i]) largest = std::max(largest, std::abs(v));
    for (size_t k = 0; k < got[i].size(); ++k) ASSERT_NEAR(got[i][k], want[i][k], tolerance * largest) << i << ' ' << k;
  }
  if (quick() || !bits_are_promised()) return;
  EXPECT_EQ(run(s, t, kCuda, recomputed), got) << "other bits on repetition";
}

void all_sequences(Dtype t, double tolerance) {
  for (const Sequences& s : sequences()) {
    expect_the_same(s, t, false, tolerance);
    if (!quick() && s.options.dropout == 0) expect_the_same(s, t, true, tolerance);
  }
}

TEST(CudaLstm, StepByStepAsOnTheCpu) {
  AR_NEEDS_CUDA();
  if (!quick()) all_sequences(Dtype::f64, 1e-12);
  all_sequences(Dtype::f32, 1e-5);
}

/// Does a library do this?
bool taken(Dtype t) {
  const auto weights = [t](const Dims& shape) { return zeros(shape, {.dtype = t, .device = kCuda}); };
  return ops::lstm_sequence(weights({2, 1, 3}), {{weights({8, 3}), weights({8, 2}), {}, {}}}, {}, {}, {}, true)
      .has_value();
}

TEST(CudaLstm, ByALibraryAsOnTheCpu) {
  AR_NEEDS_CUDA();
  const LstmByLibrary here;
  if (!taken(Dtype::f32)) GTEST_SKIP() << "the library declines (AR_CUDA_OWN, AR_DETERMINISTIC)";
  if (!quick()) all_sequences(Dtype::f64, 1e-12);
  all_sequences(Dtype::f32, 1e-5);
  if (taken(Dtype::bf16)) all_sequences(Dtype::bf16, 0.1);
}

TEST(CudaLstm, ByALibraryWithFrozenWeightsOrInput) {
  AR_NEEDS_CUDA();
  const LstmByLibrary here;
  const Sequences s{"", 3, 2, 4, {.hidden_size = 3, .bidirectional = true}};
  std::vector<std::vector<double>> all;
  for (const Device device : {Device{}, kCuda})
    for (const bool input_learns : {false, true}) {
      std::vector<Variable> in;
      for (const Tensor& o : operands(s, Dtype::f64)) in.emplace_back(o.to(device), in.empty() == input_learns);
      const LstmResult r = lstm(in[0], {in.begin() + 1, in.end()}, s.options);
      sum(square(r.output)).backward();
      all.emplace_back();
      for (const Variable& v : in)
        if (v.requires_grad())
          for (double g : v.grad().to_vector<double>()) all.back().push_back(g);
        else
          EXPECT_FALSE(v.grad().defined());
    }
  for (size_t i : {0, 1}) {
    ASSERT_EQ(all[i].size(), all[i + 2].size());
    for (size_t k = 0; k < all[i].size(); ++k) EXPECT_NEAR(all[i][k], all[i + 2][k], 1e-12);
  }
}

TEST(CudaLstm, ByALibraryKeepsNothingWithoutGradients) {
  AR_NEEDS_CUDA();
  const LstmByLibrary here;
  const NoGrad no_grad;
  const Sequences s{"", 20, 8, 4, {.hidden_size = 16}};
  std::vector<Variable> in;
  for (const Tensor& o : operands(s, Dtype::f32)) in.emplace_back(o.to(kCuda));
  const int64_t before = memory_stats(kCuda).live;
  const LstmResult r = lstm(in[0], {in.begin() + 1, in.end()}, s.options);
  EXPECT_LT(memory_stats(kCuda).live - before, 20 * 8 * 4 * 16 * 4) << "the gates alone";
}

}  // namespace
}  // namespace ar::testing
