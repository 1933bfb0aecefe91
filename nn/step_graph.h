// A step of training recorded once and then repeated by a single call: on a GPU a small network is bound by the
// launches of its many kernels, and a repeated step has only one.
//
//   nn::StepGraph step([&](const std::vector<Tensor>& in) {
//     optimizer.zero_grad();
//     const Variable loss = cross_entropy(net(in[0]), in[1]);
//     loss.backward();
//     optimizer.step();
//     return std::vector<Tensor>{loss.value()};
//   });
//   for (...) losses.push_back(step({images, labels})[0].item());
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tensor/tensor.h"

namespace ar::nn {

struct StepGraphOptions {
  int warm_up = 3;  // steps done as usual before one is recorded; at least one, in which optimisers make their state
  /// Told why the step cannot be recorded; from then on all are done as usual. Null: that is an Error instead.
  std::function<void(const std::string& reason)> cannot = nullptr;
};

/// A step is recorded for the shapes, types and layouts of the inputs of the first warm_up + 1 calls. Calls with others
/// (a last short batch), and all calls with inputs on the CPU, are done as usual.
///
/// A repeated step computes what the step would: the learning rate and other numbers of the optimisers, their counts of
/// steps and the random numbers of dropout go on as they do without. Other work of the host is not repeated: a step
/// must do the same from call to call, must not look at numbers (no item(); clip_grad_norm_tensor_ rather than
/// clip_grad_norm_), and must begin by forgetting the gradients. Networks and optimisers must outlive this; after they
/// were moved or an optimiser's state was loaded, a new StepGraph is needed. What a call returns, and the gradients of
/// the parameters, stay valid until the next one.
class StepGraph {
 public:
  using Step = std::function<std::vector<Tensor>(const std::vector<Tensor>& inputs)>;

  explicit StepGraph(Step step, const StepGraphOptions& options = {});
  ~StepGraph();
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;

  /// Throws Error when the step cannot be recorded, unless the options say what to do then.
  std::vector<Tensor> operator()(const std::vector<Tensor>& inputs);

  /// How many calls were repetitions of the recorded step.
  int64_t repeated() const { return repeated_; }

 private:
  struct Recorded;
  /// Copies of the inputs, and the step on them.
  std::unique_ptr<Recorded> record(const std::vector<Tensor>& inputs);

  Step step_;
  StepGraphOptions options_;
  int64_t repeated_ = 0;
  bool given_up_ = false;
  int alike_ = 0;             // calls in a row with inputs like the last one's
  std::vector<Dims> shapes_;  // the last one's
  std::unique_ptr<Recorded> recorded_;
};

}  // namespace ar::nn
