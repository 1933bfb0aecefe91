// Matrix products, an LSTM, and whole steps of networks: bench/workloads.h, which bench/compare.py also runs, under
// Google Benchmark.
#include <benchmark/benchmark.h>

#include "bench/workloads.h"

namespace {

using namespace ar::bench;

void run(benchmark::State& state, Workload (*make)(const std::string&, int64_t)) {
  const Workload workload = make("densenet121", state.range(0));
  workload.step();  // first use makes memory and packs weights
  for (auto _ : state) workload.step();
  state.counters[workload.unit] = benchmark::Counter(workload.work, benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK_CAPTURE(run, gemm, gemm)->RangeMultiplier(2)->Range(128, 2048)->UseRealTime();
BENCHMARK_CAPTURE(run, lstm, lstm)->Arg(1)->Arg(4)->Arg(32)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(run, lstm2, lstm2)->Arg(4)->Arg(32)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(run, inference, inference<>)->Arg(1)->Arg(8)->Arg(32)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(run, training, training<>)->Arg(8)->Arg(32)->UseRealTime()->Unit(benchmark::kMillisecond);
BENCHMARK_CAPTURE(run, lrcn, lrcn)->Arg(4)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
