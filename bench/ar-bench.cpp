// Runs one workload and prints one line of JSON, as the workers in bench/peer do. bench/compare.py calls it.
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "bench/handoff.h"
#include "bench/measure.h"
#include "bench/program.h"
#include "bench/workloads.h"
#include "nn/init.h"
#include "nn/models/densenet.h"
#include "tensor/backend.h"
#include "tensor/parallel.h"
#include "tensor/peak.h"
#include "tensor/profile.h"

namespace {

using namespace ar;
using namespace ar::bench;

constexpr const char* kUsage =
    "usage: ar-bench [NETWORK/]WORKLOAD [BATCH [SAMPLES]]\n"
    "           inference, training, inference_bf16, training_bf16, lrcn (of a network, else of densenet121);\n"
    "           lstm, lstm2, gemm, relu, peak, peak_bf16, triad\n"
    "       ar-bench profile [NETWORK/]WORKLOAD [BATCH [TRACE.json]]   where the time of some steps goes\n"
    "       ar-bench save FILE                    writes DenseNet-121's weights, random ones\n"
    "       ar-bench first FILE                   loads them, runs one image\n"
    "       ar-bench handoff                      how far apart two cores are, in ns there and back\n"
    "       ar-bench --version\n";

/// The operations of a step, by the plain formulas, as a profile counts them.
double gflop_of(const Workload& workload) {
  profile::start();
  workload.step();
  double sum = 0;
  for (const profile::Row& row : profile::stop().rows) sum += row.gflop;
  return sum;
}

void print(const std::string& name, int64_t batch, const Workload& workload, const Measured& m) {
  std::printf("{\"tool\": \"ar\", \"version\": \"%s\", \"workload\": \"%s\", \"batch\": %ld, \"threads\": %d, ",
              AR_VERSION, name.c_str(), long(batch), num_threads());
  std::printf("\"kernels\": \"%s\", \"unit\": \"%s\", \"rate\": %.6g, \"seconds\": [", cpu_kernels().name,
              workload.unit, workload.work / m.median(&Sample::seconds));
  for (size_t i = 0; i < m.samples.size(); ++i) std::printf("%s%.6g", i ? ", " : "", m.samples[i].seconds);
  std::printf("], \"median\": %.6g, \"cpu_seconds\": %.6g, \"page_faults\": %.1f, \"foreign_share\": %.3f, ",
              m.median(&Sample::seconds), m.median(&Sample::cpu), m.median(&Sample::faults), m.samples.back().foreign);
  double load = 0;
  getloadavg(&load, 1);
  const double memory = peak_rss_mb();  // before one more step is profiled
  std::printf("\"discarded\": %d, \"disturbed\": %s, \"peak_rss_mb\": %.1f, \"gflop\": %.6g, \"load\": %.2f}\n",
              m.discarded, m.disturbed() ? "true" : "false", memory, gflop_of(workload) / workload.work, load);
}

/// All parameters and buffers of a module, one after another in a file as they lie in memory.
void transfer(const nn::Module& model, const char* path, bool save) {
  std::FILE* file = std::fopen(path, save ? "wb" : "rb");
  AR_CHECK(file, path, ": ", std::strerror(errno));
  for (const auto& [name, tensor] : model.state_dict()) {
    const size_t size = size_t(size_of(tensor.dtype())), count = size_t(tensor.numel());
    void* data = tensor.writable().data;
    const size_t done = save ? std::fwrite(data, size, count, file) : std::fread(data, size, count, file);
    AR_CHECK(done == count, path, ": ", name, " is incomplete");
  }
  AR_CHECK(std::fclose(file) == 0, path, ": ", std::strerror(errno));
}

void first(const char* path) {
  const double begin = clock_seconds(CLOCK_MONOTONIC);
  const nn::init::Skip loaded_next;
  nn::DenseNet model(nn::densenet121());
  const double built = clock_seconds(CLOCK_MONOTONIC);
  transfer(model, path, false);
  model.eval();
  const double loaded = clock_seconds(CLOCK_MONOTONIC);
  NoGrad guard;
  model(randn({1, 3, 224, 224}));
  const double end = clock_seconds(CLOCK_MONOTONIC);
  std::printf(
      "{\"tool\": \"ar\", \"workload\": \"first\", \"build\": %.4f, \"load\": %.4f, \"inference\": %.4f, "
      "\"peak_rss_mb\": %.1f}\n",
      built - begin, loaded - built, end - loaded, peak_rss_mb());
}

Workload find(const std::string& command, int64_t batch) {
  const size_t slash = command.find('/');
  const std::string network = slash == std::string::npos ? "densenet121" : command.substr(0, slash);
  const std::string name = command.substr(slash + 1);
  if (name == "peak") return {[] { multiply_adds(); }, multiply_adds(), "GFLOP/s"};
  if (name == "peak_bf16") return {[] { multiply_adds_bf16(); }, multiply_adds_bf16(), "GFLOP/s"};
  if (name == "triad") {
    const Triad triad;
    return {triad, triad.gigabytes(), "GB/s"};
  }
  for (const auto& w : kWorkloads)
    if (name == w.name) return w.make(network, batch);
  throw Error("ar-bench: there is no workload \"" + name + "\"");
}

void profile_steps(const std::string& command, int64_t batch, const char* trace) {
  const Workload workload = find(command, batch);
  for (int i = 0; i < 2; ++i) workload.step();
  profile::start();
  for (int i = 0; i < 5; ++i) workload.step();
  const profile::Report report = profile::stop();
  std::fputs(profile::table(report, profile::measure_peak()).c_str(), stdout);
  if (trace) profile::write_trace(report, trace);
}

void run(const std::string& command, int argc, char** argv) {
  if (command == "save") return transfer(nn::DenseNet(nn::densenet121()), argc > 2 ? argv[2] : "", true);
  if (command == "handoff") return void(std::printf("%.0f\n", handoff_ns()));
  if (command == "first") return first(argc > 2 ? argv[2] : "");
  if (command == "profile")
    return profile_steps(argc > 2 ? argv[2] : "", argc > 3 ? std::atol(argv[3]) : 1, argc > 4 ? argv[4] : nullptr);
  const int64_t batch = argc > 2 ? std::atol(argv[2]) : 1;
  const int samples = argc > 3 ? std::atoi(argv[3]) : 5;
  AR_CHECK(batch >= 1 && samples >= 1, "ar-bench: batch and samples are numbers from 1");
  const Workload workload = find(command, batch);
  print(command, batch, workload, measure(workload.step, samples));
}

}  // namespace

int main(int argc, char** argv) {
  const std::string command = argc > 1 ? argv[1] : "";
  if (command == "--version") return std::printf("ar-bench %s\n", AR_VERSION), 0;
  if (command.empty() || command[0] == '-' || argc > 5) return std::fputs(kUsage, stderr), 2;
  return run_or_complain([&] { return run(command, argc, argv), 0; });
}
