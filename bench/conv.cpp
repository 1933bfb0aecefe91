// DenseNet-121's convolutions, each direction alone and with what the network fuses into it. Inputs are, as there, the
// first channels of a wider buffer.
#include <benchmark/benchmark.h>

#include <functional>
#include <string>
#include <vector>

#include "tensor/ops_conv.h"
#include "tensor/random.h"

namespace {

using namespace ar;

struct Shape {
  const char* name;
  int64_t in, out, kernel, stride, size, buffer;  // `size`: of the input; `buffer`: channels that x is the front of
};
constexpr Shape kShapes[] = {
    {"stem_7x7_3_64_at_224", 3, 64, 7, 2, 224, 3},     {"1x1_96_128_at_56", 96, 128, 1, 1, 56, 256},
    {"1x1_256_128_at_28", 256, 128, 1, 1, 28, 512},    {"1x1_992_128_at_14", 992, 128, 1, 1, 14, 1024},
    {"1x1_1024_512_at_14", 1024, 512, 1, 1, 14, 1024}, {"3x3_128_32_at_56", 128, 32, 3, 1, 56, 128},
    {"3x3_128_32_at_28", 128, 32, 3, 1, 28, 128},      {"3x3_128_32_at_14", 128, 32, 3, 1, 14, 128},
    {"3x3_128_32_at_7", 128, 32, 3, 1, 7, 128}};
constexpr int64_t kBatch = 8;

struct Case {
  explicit Case(const Shape& s)
      : options{.stride = s.stride, .padding = s.kernel / 2},
        x(randn({kBatch, s.buffer, s.size, s.size}).narrow(1, 0, s.in)),
        gx(zeros({kBatch, s.buffer, s.size, s.size}).narrow(1, 0, s.in)),
        weight(randn({s.out, s.in, s.kernel, s.kernel})),
        gy(randn(ops::conv2d_shape(x.shape(), weight.shape(), options))),
        y(empty_like(gy)),
        gw(empty_like(weight)),
        scale(ones({s.in})),
        shift(zeros({s.in})),
        out_sums(zeros({2, s.out}, {.dtype = Dtype::f64})),
        in_sums(zeros({2, s.in}, {.dtype = Dtype::f64})) {}

  double gflop() const { return 2e-9 * double(gy.numel()) * double(weight.numel()) / double(weight.size(0)); }
  ops::Reader reader() const { return {.scale = scale, .shift = shift, .activation = Activation::relu}; }
  ops::Epilogue statistics() { return {.sum = out_sums.select(0, 0), .sum_sq = out_sums.select(0, 1)}; }
  ops::Gate gate() {
    return {.x = x,
            .scale = scale,
            .shift = shift,
            .activation = Activation::relu,
            .sum_d = in_sums.select(0, 0),
            .sum_dx = in_sums.select(0, 1)};
  }

  Conv2dOptions options;
  Tensor x, gx, weight, gy, y, gw, scale, shift, out_sums, in_sums;
};

void add(const Shape& shape, const char* what, std::function<void(Case&)> run) {
  benchmark::RegisterBenchmark((std::string(shape.name) + "/" + what).c_str(),
                               [=](benchmark::State& state) {
                                 Case c(shape);
                                 run(c);  // packs the weight
                                 for (auto _ : state) run(c);
                                 state.counters["GFLOP/s"] =
                                     benchmark::Counter(c.gflop(), benchmark::Counter::kIsIterationInvariantRate);
                               })
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
}

const bool registered = [] {
  for (const Shape& shape : kShapes) {
    add(shape, "forward", [](Case& c) { ops::conv2d(c.x, c.weight, c.options, {}, {}, c.y, ops::Packing::cached); });
    add(shape, "forward_norm_relu_sums",
        [](Case& c) { ops::conv2d(c.x, c.weight, c.options, c.reader(), c.statistics(), c.y, ops::Packing::cached); });
    add(shape, "backward_data", [](Case& c) {
      ops::conv2d_backward_data(c.gy, c.weight, c.x.shape(), c.options, {}, c.gx, false, ops::Packing::cached);
    });
    add(shape, "backward_data_gate_accumulate", [](Case& c) {
      ops::conv2d_backward_data(c.gy, c.weight, c.x.shape(), c.options, c.gate(), c.gx, true, ops::Packing::cached);
    });
    add(shape, "backward_weight",
        [](Case& c) { ops::conv2d_backward_weight(c.x, c.gy, c.weight, c.options, {}, c.gw); });
    add(shape, "backward_weight_norm_relu",
        [](Case& c) { ops::conv2d_backward_weight(c.x, c.gy, c.weight, c.options, c.reader(), c.gw); });
  }
  return true;
}();

}  // namespace
