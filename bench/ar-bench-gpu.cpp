// One workload on a GPU: milliseconds a step, by events of the device, and peak memory, as one line of JSON.
// bench/compare_gpu.py runs it beside PyTorch; bench/peer/pytorch_gpu_worker.py is the other side. Needs the library
// `ar` alone.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <optional>

#include "autograd/autograd.h"
#include "bench/program.h"
#include "nn/models/lrcn.h"
#include "nn/optim.h"
#include "nn/step_graph.h"
#include "tensor/event.h"
#include "tensor/ops.h"
#include "tensor/random.h"

namespace {

using namespace ar;

constexpr const char* kUsage =
    "usage: ar-bench-gpu WORKLOAD BATCH [--device cuda] [--network densenet121] [--size 224] [--frames 16]\n"
    "                    [--precision bf16] [--graph on] [--steps 20]\n"
    "       training, inference (images), frames (bytes on the host to probabilities on the host), lrcn (clips)\n";

struct Options {
  std::string workload, network = "densenet121";
  int64_t batch = 1, size = 224, frames = 16;
  int steps = 20;
  Device device{Device::Type::cuda, 0};
  Dtype activations = Dtype::bf16;
  bool graph = true;  // steps of training are recorded once and repeated
};

Options read_options(int argc, char** argv) {
  AR_CHECK(argc >= 3 && argc % 2 == 1, "a workload, a batch and pairs of options are wanted; --help shows them");
  Options o{.workload = argv[1], .batch = std::atoll(argv[2])};
  AR_CHECK(o.batch > 0, "BATCH ", argv[2], ": must be positive");
  for (int i = 3; i < argc; i += 2) {
    const std::string name = argv[i], value = argv[i + 1];
    if (name == "--device")
      o.device = parse_device(value);
    else if (name == "--network")
      o.network = value;
    else if (name == "--size")
      o.size = std::atoll(value.c_str());
    else if (name == "--frames")
      o.frames = std::atoll(value.c_str());
    else if (name == "--steps")
      o.steps = std::max(std::atoi(value.c_str()), 1);
    else if (name == "--graph")
      o.graph = value != "off";
    else if (name == "--precision")
      o.activations = value == "f32" ? Dtype::f32 : Dtype::bf16;
    else
      fail(name, ": no such option");
  }
  return o;
}

std::shared_ptr<nn::Box<nn::Backbone>> classifier(const Options& o, bool training) {
  auto model = std::make_shared<nn::Box<nn::Backbone>>(nn::make_backbone(o.network, 1000));
  (*model)->train(training);
  (*model)->to(o.device);
  return model;
}

/// A step of training on inputs that stay the same.
std::function<void()> repeated(const Options& o, const Tensor& x, const Tensor& target,
                               std::function<Variable(const Tensor&, const Tensor&)> loss,
                               std::shared_ptr<optim::Optimizer> optimiser) {
  auto step = [loss = std::move(loss), optimiser = std::move(optimiser)](const std::vector<Tensor>& in) {
    optimiser->zero_grad();
    const Variable l = loss(in[0], in[1]);
    l.backward();
    optimiser->step();
    return std::vector<Tensor>{l.value()};
  };
  if (!o.graph) return [=] { step({x, target}); };
  const auto graph = std::make_shared<nn::StepGraph>(step);
  return [=] { (*graph)({x, target}); };
}

std::function<void()> training(const Options& o) {
  const auto model = classifier(o, true);
  const auto sgd = std::make_shared<optim::SGD>((*model)->parameters(), optim::SgdOptions{.lr = 1e-3, .momentum = 0.9});
  const Tensor x = randn({o.batch, 3, o.size, o.size}).to(o.activations).to(o.device);
  const auto loss = [model](const Tensor& images, const Tensor& target) {
    return cross_entropy((**model)(images), target);
  };
  return repeated(o, x, randint(1000, {o.batch}).to(o.device), loss, sgd);
}

std::function<void()> inference(const Options& o) {
  const auto model = classifier(o, false);
  const Variable x = randn({o.batch, 3, o.size, o.size}).to(o.activations).to(o.device);
  return [=] {
    const NoGrad guard;
    (**model)(x);
  };
}

/// As a clip generator sees frames: bytes come from the decoder, probabilities go back; both travel beside the
/// computation, and a result is read when the next batch has been asked for.
std::function<void()> frames(const Options& o) {
  const auto model = classifier(o, false);
  struct Flow {
    explicit Flow(Device device) : uploader(device) {}
    Uploader uploader;
    std::deque<Tensor> host;
    std::optional<Download> before;
  };
  const auto flow = std::make_shared<Flow>(o.device);
  for (int i = 0; i < 3; ++i) {
    flow->host.push_back(empty_pinned({o.batch, 3, o.size, o.size}, {.dtype = Dtype::u8}, o.device));
    flow->host.back().copy_from(randint(255, {o.batch, 3, o.size, o.size}).to(Dtype::u8));
  }
  return [=] {
    const NoGrad guard;
    const Tensor bytes = flow->uploader.upload(flow->host.front());
    std::rotate(flow->host.begin(), flow->host.begin() + 1, flow->host.end());
    const Variable x = ops::normalize_frames(bytes, {}, {.dtype = o.activations});
    Download now(softmax((**model)(x), 1).value());
    if (flow->before) flow->before->wait();
    flow->before = std::move(now);
  };
}

std::function<void()> lrcn(const Options& o) {
  const auto model = std::make_shared<nn::LRCN>(
      nn::LRCNOptions{.feature_extractor = o.network, .rnn_units = 512, .bidirectional = true, .head_dropout = 0});
  model->to(o.device);
  const auto adam = std::make_shared<optim::Adam>(model->parameters(), optim::AdamOptions{.lr = 1e-4});
  const Tensor x = randn({o.batch, 3, o.frames, o.size, o.size}).to(o.activations).to(o.device);
  const auto loss = [model](const Tensor& clips, const Tensor& target) { return model->loss(clips, target); };
  return repeated(o, x, randint(101, {o.batch}).to(o.device), loss, adam);
}

/// Milliseconds from the end of one step to that of the next.
std::vector<double> measure(const std::function<void()>& step, const Options& o) {
  for (int i = 0; i < 5; ++i) step();  // plans are made, memory is fetched, a step is recorded
  reset_peak_memory(o.device);
  std::deque<Event> events;
  for (int i = 0; i <= o.steps; ++i) {
    if (i > 0) step();
    events.emplace_back(o.device);
    events.back().record();
  }
  events.back().synchronize();
  std::vector<double> times;
  for (int i = 0; i < o.steps; ++i) times.push_back(Event::milliseconds(events[size_t(i)], events[size_t(i) + 1]));
  std::sort(times.begin(), times.end());
  return times;
}

void run(const Options& o) {
  struct Named {
    const char* name;
    std::function<void()> (*make)(const Options&);
  };
  constexpr Named kAll[] = {{"training", training}, {"inference", inference}, {"frames", frames}, {"lrcn", lrcn}};
  for (const Named& workload : kAll) {
    if (o.workload != workload.name) continue;
    manual_seed(0);
    const std::vector<double> times = measure(workload.make(o), o);
    std::printf(
        "{\"tool\": \"ar\", \"workload\": \"%s\", \"batch\": %lld, \"median_ms\": %.4f, \"least_ms\": %.4f, "
        "\"most_ms\": %.4f, \"steps\": %d, \"peak_mb\": %.1f}\n",
        workload.name, static_cast<long long>(o.batch), times[times.size() / 2], times.front(), times.back(), o.steps,
        double(memory_stats(o.device).peak) / (1 << 20));
    return;
  }
  fail(o.workload, ": not one of training, inference, frames, lrcn");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || std::strcmp(argv[1], "--help") == 0) return std::fputs(kUsage, argc < 2 ? stderr : stdout), argc < 2;
  return ar::bench::run_or_complain([&] { return run(read_options(argc, argv)), 0; });
}
