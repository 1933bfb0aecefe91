// Elementwise and per-channel passes, in GB/s of memory read and written; compare with `ar-bench triad 1`.
#include <benchmark/benchmark.h>

#include "tensor/ops_elementwise.h"
#include "tensor/ops_norm.h"
#include "tensor/random.h"

namespace {

using namespace ar;

/// Runs f with `passes` reads or writes of `numel` floats.
template <class F>
void measure(benchmark::State& state, int64_t numel, int passes, F f) {
  f();  // first use makes memory
  for (auto _ : state) f();
  state.counters["GB/s"] =
      benchmark::Counter(4e-9 * double(passes * numel), benchmark::Counter::kIsIterationInvariantRate);
}
Tensor numbers(const benchmark::State& state) { return randn({state.range(0) << 20}); }

void relu_in_place(benchmark::State& state) {
  const Tensor x = numbers(state);
  measure(state, x.numel(), 2, [&] { ops::unary_(UnaryOp::relu, x); });
}
void add(benchmark::State& state) {
  const Tensor a = numbers(state), b = numbers(state);
  measure(state, a.numel(), 3, [&] { benchmark::DoNotOptimize(ops::add(a, b)); });
}
void sigmoid(benchmark::State& state) {
  const Tensor x = numbers(state);
  measure(state, x.numel(), 2, [&] { benchmark::DoNotOptimize(ops::unary(UnaryOp::sigmoid, x)); });
}
void axpby_in_place(benchmark::State& state) {
  const Tensor x = numbers(state), y = numbers(state);
  measure(state, x.numel(), 3, [&] { ops::axpby_(0.5, x, 0.5, y); });
}
void dropout(benchmark::State& state) {
  const Tensor x = numbers(state);
  measure(state, x.numel(), 2,
          [&] { benchmark::DoNotOptimize(ops::dropout(x, 0.5, default_generator().take(x.numel()))); });
}
void channel_affine_relu(benchmark::State& state) {
  const Tensor x = randn({state.range(0), 256, 64, 64}), scale = ones({256}), shift = zeros({256});
  measure(state, x.numel(), 2,
          [&] { benchmark::DoNotOptimize(ops::channel_affine(x, scale, shift, Activation::relu)); });
}

BENCHMARK(relu_in_place)->Arg(1)->Arg(16)->UseRealTime();
BENCHMARK(add)->Arg(1)->Arg(16)->UseRealTime();
BENCHMARK(sigmoid)->Arg(1)->Arg(16)->UseRealTime();
BENCHMARK(axpby_in_place)->Arg(1)->Arg(16)->UseRealTime();
BENCHMARK(dropout)->Arg(1)->Arg(16)->UseRealTime();
BENCHMARK(channel_affine_relu)->Arg(1)->Arg(16)->UseRealTime();

}  // namespace
