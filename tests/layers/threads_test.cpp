// More threads than the machine has cores, and more than there are images, rows or channels: the same results.
#include <functional>

#include "autograd/autograd.h"
#include "nn/models/backbone.h"
#include "tensor/parallel.h"
#include "tests/layers/reference.h"

using namespace ar;
using reference::expect_close;
using reference::random;

namespace {

constexpr int kThreads[] = {2, 5, 8, 16, 64};

struct Result {
  std::string name;
  Tensor value;
  bool same_bits = false;  // whatever the number of threads
};

/// make() with one thread, and with many, twice each: the same values within `tolerance` of the largest, and the same
/// bits in a repetition.
void expect_the_same(const std::function<std::vector<Result>()>& make, double tolerance = 1e-5) {
  const int before = num_threads();
  set_num_threads(1);
  const std::vector<Result> one = make();
  for (int threads : kThreads) {
    set_num_threads(threads);
    const std::vector<Result> many = make(), again = make();
    for (size_t i = 0; i < one.size(); ++i) {
      const std::string what = one[i].name + " with " + std::to_string(threads);
      const std::vector<double> values = many[i].value.to_vector<double>(), wanted = one[i].value.to_vector<double>();
      EXPECT_EQ(values, again[i].value.to_vector<double>()) << what << ", repeated";
      if (one[i].same_bits)
        EXPECT_EQ(values, wanted) << what;
      else
        expect_close(many[i].value, one[i].value.shape(), wanted, tolerance, what);
    }
  }
  set_num_threads(before);
}

struct Shape {
  const char* name;
  Dims x, weight;
  Conv2dOptions options = {};
};
const Shape kShapes[] = {
    {"stem", {2, 3, 62, 62}, {16, 3, 7, 7}, {.stride = 2, .padding = 3}},
    {"pointwise_few_channels", {2, 8, 23, 21}, {24, 8, 1, 1}},  // the gradient of the weights is cut over pixels
    {"pointwise_many_channels", {1, 300, 7, 7}, {256, 300, 1, 1}},
    {"three_few_channels", {3, 16, 19, 17}, {16, 16, 3, 3}, {.padding = 1}},
    {"three", {2, 64, 14, 14}, {96, 64, 3, 3}, {.padding = 1}},
    {"three_few_pixels", {1, 160, 4, 4}, {200, 160, 3, 3}, {.padding = 1}},
    {"three_stride_2", {2, 40, 13, 13}, {40, 40, 3, 3}, {.stride = 2, .padding = 1}},
    {"depthwise", {2, 48, 11, 11}, {48, 1, 3, 3}, {.padding = 1, .groups = 48}},
    {"groups", {2, 30, 9, 9}, {20, 15, 5, 5}, {.padding = 2, .groups = 2}},
};

class Threads : public testing::TestWithParam<Shape> {};
INSTANTIATE_TEST_SUITE_P(Conv, Threads, testing::ValuesIn(kShapes), [](const auto& i) { return i.param.name; });

TEST_P(Threads, Convolution) {
  const Shape& s = GetParam();
  const Variable x(random("x", s.x, Dtype::f32), true), w(random("w", s.weight, Dtype::f32), true);
  expect_the_same([&]() -> std::vector<Result> {
    x.zero_grad(), w.zero_grad();
    const Variable y = conv2d(x, w, {}, s.options);
    y.backward(random("gy", y.shape(), Dtype::f32));
    return {{"output", y.value(), true}, {"gradient of x", x.grad(), true}, {"gradient of the weights", w.grad()}};
  });
}

TEST(Threads, Products) {
  for (const auto& [m, k, n] : {std::tuple<int64_t, int64_t, int64_t>{1, 300, 700},
                                {3, 129, 1000},
                                {64, 64, 64},
                                {200, 37, 5},
                                {97, 513, 130}}) {
    const Variable a(random("a", {m, k}, Dtype::f32), true), b(random("b", {k, n}, Dtype::f32), true);
    expect_the_same([&]() -> std::vector<Result> {
      a.zero_grad(), b.zero_grad();
      const Variable c = matmul(a, b);
      c.backward(random("gc", c.shape(), Dtype::f32));
      return {{"product", c.value()}, {"gradient of a", a.grad()}, {"gradient of b", b.grad()}};
    });
  }
}

TEST(Threads, Lstm) {
  constexpr int64_t in = 70, hidden = 48;
  std::vector<Variable> weights;
  for (int i = 0; i < 2; ++i)
    for (const Dims& shape : {Dims{4 * hidden, in}, Dims{4 * hidden, hidden}, Dims{4 * hidden}, Dims{4 * hidden}})
      weights.push_back(Variable(random(std::string(1 + weights.size(), 'w'), shape, Dtype::f32, {}, 0.2), true));
  const Variable x(random("x", {3, 9, in}, Dtype::f32), true);
  const Tensor lengths = from_vector(std::vector<int64_t>{9, 4, 7}, {3});
  expect_the_same([&]() -> std::vector<Result> {
    x.zero_grad();
    for (const Variable& w : weights) w.zero_grad();
    const LstmResult r =
        lstm(x, weights, {.hidden_size = hidden, .batch_first = true, .bidirectional = true}, {}, {}, lengths);
    r.output.backward(random("gy", r.output.shape(), Dtype::f32));
    std::vector<Result> results = {{"output", r.output.value()}, {"last state", r.c.value()}, {"gradient", x.grad()}};
    for (const Variable& w : weights) results.push_back({"gradient of a weight", w.grad()});
    return results;
  });
}

/// A step of training: forward and backward of convolutions, norms, pools and the loss. In f64, where sums in another
/// order do not move a number across a corner of ReLU6.
TEST(Threads, StepOfANetwork) {
  for (const auto& [name, dtype, tolerance] : {std::tuple{"tiny_darknet", Dtype::f32, 1e-3},
                                               {"tiny_darknet", Dtype::f64, 1e-9},
                                               {"mobilenet_v2", Dtype::f64, 1e-9}})
    expect_the_same(
        [&, name = std::string(name), dtype = dtype]() -> std::vector<Result> {
          manual_seed(3);
          auto model = nn::make_backbone(name, 10);
          model->to(dtype);
          const Variable loss = cross_entropy((*model)(random("x", {4, 3, 64, 64}, dtype)),
                                              from_vector(std::vector<int64_t>{1, 2, 3, 4}, {4}));
          loss.backward();
          std::vector<Result> results = {{name + ", loss", loss.value()}};
          for (const auto& [key, p] : model->named_parameters()) results.push_back({name + ", " + key, p.grad()});
          return results;
        },
        tolerance);
}

}  // namespace
