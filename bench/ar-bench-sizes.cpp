// Sizes that do not fit the registers beside neighbours that do: odd widths, channels that are no multiple of 16,
// images of 64 and 112 pixels. One thread, processor time, the best of many: other processes disturb it little.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "autograd/autograd.h"
#include "bench/measure.h"
#include "bench/program.h"
#include "nn/models/backbone.h"
#include "tensor/ops_conv.h"
#include "tensor/parallel.h"
#include "tensor/profile.h"
#include "tensor/random.h"

namespace {

using namespace ar;
using namespace ar::bench;

constexpr double kCliff = 0.8;

struct Work {
  std::function<void()> step;
  double gflop;
};

/// Processor seconds of one step, the best of as many as fit into `budget`, at least three.
double best_seconds(const std::function<void()>& step, double budget) {
  double best = 1e9, spent = 0;
  for (int i = 0; i < 4 || spent < budget; ++i) {
    const double begin = clock_seconds(CLOCK_THREAD_CPUTIME_ID);
    step();
    const double seconds = clock_seconds(CLOCK_THREAD_CPUTIME_ID) - begin;
    if (i > 0) best = std::min(best, seconds);  // the first one finds its memory
    spent += seconds;
  }
  return best;
}

int cliffs = 0;

/// One line: the rates of both, and their ratio.
void compare(const std::string& what, const std::string& nice_name, const std::string& odd_name, const Work& nice,
             const Work& odd, double budget) {
  double rates[2] = {0, 0};
  for (int round = 0; round < 2; ++round) {
    rates[0] = std::max(rates[0], nice.gflop / best_seconds(nice.step, budget / 2));
    rates[1] = std::max(rates[1], odd.gflop / best_seconds(odd.step, budget / 2));
  }
  const double ratio = rates[1] / rates[0];
  cliffs += ratio < kCliff;
  std::printf("| %-34s | %-22s | %-22s | %6.1f | %6.1f | %4.0f%% %s\n", what.c_str(), nice_name.c_str(),
              odd_name.c_str(), rates[0], rates[1], 100 * ratio, ratio < kCliff ? "| cliff |" : "|       |");
  std::fflush(stdout);
}

// ---- single convolutions ----

struct Shape {
  int64_t in, out, kernel, stride, size, groups = 1;
  std::string text() const {
    std::string s = std::to_string(in);
    s += " -> ", s += std::to_string(out), s += " at ", s += std::to_string(size);
    return s;
  }
};

struct Convolution {
  explicit Convolution(const Shape& s, Dtype dtype)
      : options{.stride = s.stride, .padding = s.kernel / 2, .groups = s.groups},
        x(randn({batch(s), s.in, s.size, s.size}).to(dtype)),
        weight(randn({s.out, s.in / s.groups, s.kernel, s.kernel})),
        y(randn(ops::conv2d_shape(x.shape(), weight.shape(), options)).to(dtype)),
        gy(y.clone()),
        gx(empty_like(x)),
        gw(empty_like(weight)) {}
  /// As many images as keep the number of output pixels about that of 8 images of 28 pixels.
  static int64_t batch(const Shape& s) {
    const int64_t side = s.size / s.stride;
    return std::max<int64_t>(1, 8 * 28 * 28 / (side * side));
  }
  double gflop() const { return 2e-9 * double(gy.numel()) * double(weight.numel()) / double(weight.size(0)); }

  Conv2dOptions options;
  Tensor x, weight, y, gy, gx, gw;
};

using Direction = void (*)(Convolution&);
constexpr std::pair<const char*, Direction> kDirections[] = {
    {"forward", [](Convolution& c) { ops::conv2d(c.x, c.weight, c.options, {}, {}, c.y, ops::Packing::cached); }},
    {"gradient of x",
     [](Convolution& c) {
       ops::conv2d_backward_data(c.gy, c.weight, c.x.shape(), c.options, {}, c.gx, false, ops::Packing::cached);
     }},
    {"gradient of w", [](Convolution& c) { ops::conv2d_backward_weight(c.x, c.gy, c.weight, c.options, {}, c.gw); }}};

struct Pair {
  const char* name;
  Shape nice, odd;
};
const Pair kPairs[] = {
    {"1x1", {128, 128, 1, 1, 28}, {120, 120, 1, 1, 28}},
    {"1x1", {128, 128, 1, 1, 28}, {100, 100, 1, 1, 28}},
    {"1x1", {64, 64, 1, 1, 28}, {50, 70, 1, 1, 28}},
    {"1x1", {16, 16, 1, 1, 56}, {24, 24, 1, 1, 56}},
    {"1x1", {32, 32, 1, 1, 56}, {24, 24, 1, 1, 56}},
    {"1x1", {16, 32, 1, 1, 56}, {17, 33, 1, 1, 56}},
    {"1x1", {32, 32, 1, 1, 56}, {17, 33, 1, 1, 56}},
    {"1x1", {256, 256, 1, 1, 14}, {256, 256, 1, 1, 13}},
    {"1x1", {256, 256, 1, 1, 14}, {256, 256, 1, 1, 7}},
    {"1x1", {256, 256, 1, 1, 14}, {256, 256, 1, 1, 4}},
    {"1x1", {512, 512, 1, 1, 7}, {500, 500, 1, 1, 2}},
    {"3x3", {128, 128, 3, 1, 28}, {120, 120, 3, 1, 28}},
    {"3x3", {128, 128, 3, 1, 28}, {100, 100, 3, 1, 28}},
    {"3x3", {64, 64, 3, 1, 28}, {50, 70, 3, 1, 28}},
    {"3x3", {16, 16, 3, 1, 56}, {24, 24, 3, 1, 56}},
    {"3x3", {32, 32, 3, 1, 56}, {24, 24, 3, 1, 56}},
    {"3x3", {16, 32, 3, 1, 56}, {17, 33, 3, 1, 56}},
    {"3x3", {32, 32, 3, 1, 56}, {17, 33, 3, 1, 56}},
    {"3x3", {128, 128, 3, 1, 28}, {128, 128, 3, 1, 27}},
    {"3x3", {128, 128, 3, 1, 28}, {128, 128, 3, 1, 29}},
    {"3x3", {256, 256, 3, 1, 14}, {256, 256, 3, 1, 13}},
    {"3x3", {256, 256, 3, 1, 14}, {256, 256, 3, 1, 7}},
    {"3x3", {256, 256, 3, 1, 14}, {256, 256, 3, 1, 4}},
    {"3x3", {512, 512, 3, 1, 7}, {512, 512, 3, 1, 2}},
    {"3x3", {128, 32, 3, 1, 28}, {128, 30, 3, 1, 27}},
    {"3x3 stride 2", {128, 128, 3, 2, 28}, {120, 120, 3, 2, 28}},
    {"3x3 stride 2", {128, 128, 3, 2, 28}, {100, 100, 3, 2, 28}},
    {"3x3 stride 2", {128, 128, 3, 2, 28}, {128, 128, 3, 2, 29}},
    {"3x3 stride 2", {128, 128, 3, 2, 28}, {128, 128, 3, 2, 8}},
    {"5x5", {64, 64, 5, 1, 28}, {50, 70, 5, 1, 27}},
    {"7x7 stride 2", {3, 64, 7, 2, 224}, {3, 64, 7, 2, 112}},
    {"7x7 stride 2", {3, 64, 7, 2, 224}, {3, 64, 7, 2, 113}},
    {"7x7 stride 2", {3, 64, 7, 2, 224}, {3, 64, 7, 2, 64}},
    {"7x7 stride 2", {3, 64, 7, 2, 224}, {3, 50, 7, 2, 224}},
    {"depthwise 3x3", {96, 96, 3, 1, 28, 96}, {100, 100, 3, 1, 28, 100}},
    {"depthwise 3x3", {96, 96, 3, 1, 28, 96}, {90, 90, 3, 1, 27, 90}},
    {"depthwise 3x3", {384, 384, 3, 1, 14, 384}, {384, 384, 3, 1, 7, 384}},
    {"depthwise 3x3", {384, 384, 3, 1, 14, 384}, {384, 384, 3, 1, 4, 384}},
    {"depthwise 3x3 stride 2", {96, 96, 3, 2, 28, 96}, {100, 100, 3, 2, 27, 100}},
};

void convolutions(Dtype dtype, double budget) {
  for (const Pair& p : kPairs)
    for (const auto& [direction, run] : kDirections) {
      Convolution nice(p.nice, dtype), odd(p.odd, dtype);
      const auto work = [run = run](Convolution& c) { return Work{[&c, run] { run(c); }, c.gflop()}; };
      std::string what = p.name;
      what += ", ", what += direction;
      compare(what, p.nice.text(), p.odd.text(), work(nice), work(odd), budget);
    }
}

// ---- networks ----

Work network(const std::string& name, int64_t side, Dtype dtype, bool training) {
  auto model = std::make_shared<nn::Box<nn::Backbone>>(nn::make_backbone(name, 1000));
  if (!training) (*model)->eval();
  const int64_t batch = std::max<int64_t>(1, 4 * 224 * 224 / (side * side));
  const Variable x = randn({batch, 3, side, side}).to(dtype);
  const Tensor target = randint(1000, {batch});
  std::function<void()> step;
  if (training)
    step = [=] {
      for (const Variable& p : (*model)->parameters()) p.zero_grad();
      cross_entropy((**model)(x), target).backward();
    };
  else
    step = [=] {
      NoGrad guard;
      (**model)(x);
    };
  profile::start();
  step();
  double gflop = 0;
  for (const profile::Row& row : profile::stop().rows) gflop += row.gflop;
  return {step, gflop};
}

void networks(Dtype dtype, double budget) {
  for (const char* name : {"densenet121", "resnet18", "resnet50", "mobilenet_v2", "tiny_darknet"})
    for (bool training : {false, true}) {
      const Work nice = network(name, 224, dtype, training);
      for (int64_t side : {64, 112, 113, 200, 225}) {
        std::string what = name;
        what += training ? ", training" : ", inference";
        compare(what, "224", std::to_string(side), nice, network(name, side, dtype, training), budget);
      }
    }
}

constexpr const char* kUsage =
    "usage: ar-bench-sizes convolutions|networks [f32|bf16 [SECONDS]]   SECONDS: for each line\n";

int run(int argc, char** argv) {
  const std::string what = argv[1], type = argc > 2 ? argv[2] : "f32";
  const double budget = argc > 3 ? std::atof(argv[3]) : 0.2;
  if ((what != "convolutions" && what != "networks") || (type != "f32" && type != "bf16"))
    return std::fputs(kUsage, stderr), 2;
  set_num_threads(1);
  std::printf("| %-34s | %-22s | %-22s | GFLOP/s |       |       |       |\n", "", "fits", "does not");
  const Dtype dtype = type == "f32" ? Dtype::f32 : Dtype::bf16;
  what == "networks" ? networks(dtype, budget) : convolutions(dtype, budget);
  std::printf("%d below %.0f %%\n", cliffs, 100 * kCliff);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4 || argv[1][0] == '-') return std::fputs(kUsage, stderr), 2;
  return run_or_complain([&] { return run(argc, argv); });
}
