#include "nn/step_graph.h"

#include "tensor/backend.h"
#include "tensor/graphs.h"
#include "tensor/live_numbers.h"
#include "tensor/profile.h"
#include "tensor/random.h"

namespace ar::nn {

struct StepGraph::Recorded {
  std::vector<Tensor> inputs, outputs;
  LiveNumbers numbers;
  const Graphs& device;
  void* graph = nullptr;

  Recorded(std::vector<Tensor> given, Device where)
      : inputs(std::move(given)), numbers(where), device(*backend(where).graphs) {}
  ~Recorded() {
    outputs.clear();
    if (graph)
      device.destroy(graph);
    else
      numbers.give_up();  // something threw while it was recorded
  }
  bool fits(const std::vector<Tensor>& given) const {
    if (given.size() != inputs.size()) return false;
    for (size_t i = 0; i < given.size(); ++i)
      if (given[i].shape() != inputs[i].shape() || given[i].dtype() != inputs[i].dtype() ||
          given[i].device() != inputs[i].device())
        return false;
    return true;
  }
};

StepGraph::StepGraph(Step step, const StepGraphOptions& options) : step_(std::move(step)), options_(options) {
  AR_CHECK(options.warm_up > 0, "StepGraph: at least one step must be done before one is recorded");
}
StepGraph::~StepGraph() = default;

std::unique_ptr<StepGraph::Recorded> StepGraph::record(const std::vector<Tensor>& inputs) {
  std::vector<Tensor> own;
  for (const Tensor& t : inputs) own.push_back(t.clone());
  auto r = std::make_unique<Recorded>(std::move(own), inputs[0].device());
  const RecordNumbers here(r->numbers);
  r->device.begin();
  try {
    r->outputs = step_(r->inputs);
  } catch (...) {
    r->device.abandon();
    throw;
  }
  r->graph = r->device.end();
  return r;
}

std::vector<Tensor> StepGraph::operator()(const std::vector<Tensor>& inputs) {
  AR_CHECK(!inputs.empty(), "StepGraph: a step without inputs");
  const Device device = inputs[0].device();
  if (device.is_cpu() || !backend(device).graphs || profile::enabled()) return step_(inputs);

  if (recorded_ && recorded_->fits(inputs)) {
    for (size_t i = 0; i < inputs.size(); ++i) recorded_->inputs[i].copy_from(inputs[i]);
    recorded_->numbers.advance();
  } else {
    std::vector<Dims> shapes;
    for (const Tensor& t : inputs) shapes.push_back(t.shape());
    alike_ = shapes == shapes_ ? alike_ + 1 : 1;
    shapes_ = std::move(shapes);
    if (recorded_ || given_up_ || alike_ <= options_.warm_up) return step_(inputs);
    const PhiloxState random = default_generator().state();
    try {
      recorded_ = record(inputs);
    } catch (const Error& e) {
      if (!options_.cannot) throw;
      default_generator().set_state(random);
      given_up_ = true;
      options_.cannot(e.what());
      return step_(inputs);
    }
  }
  recorded_->numbers.upload();
  recorded_->device.launch(recorded_->graph);
  ++repeated_;
  return recorded_->outputs;
}

}  // namespace ar::nn
