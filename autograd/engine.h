// The graph behind variables, for the engine (engine.cpp) and for recording (variable.cpp) only.
#pragma once
#include "autograd/variable.h"

namespace ar {

struct Hooks {
  std::vector<std::pair<int, GradHook>> all;  // with their numbers
  int next = 0;
};

/// What handles on one variable share.
struct VariableState {
  Tensor value, grad;
  bool requires_grad = false, retains_grad = false;
  std::shared_ptr<Node> producer;  // null: a leaf
  int output = 0;                  // which of the producer's results this is
  Hooks hooks;                     // of a leaf; a computed variable's are kept by its producer
};

/// Where the gradient of one input of a node goes: to an output of another node, or to a leaf, or (neither) nowhere.
struct Edge {
  std::shared_ptr<Node> node;
  int output = 0;
  std::shared_ptr<VariableState> leaf;
  Dims shape;
  Dtype dtype = Dtype::f32;
  bool wanted() const { return node || (leaf && leaf->requires_grad); }
};

/// One executed op.
class Node {
 public:
  struct Output {
    std::weak_ptr<VariableState> state;  // for retained gradients; the graph does not keep results alive
    Dims shape;
    Dtype dtype;
    Device device;
    Hooks hooks = {};  // here, as they are called even if no handle is left
  };
  Node(const char* op, BackwardFn fn);
  ~Node();
  Node(const Node&) = delete;
  Node& operator=(const Node&) = delete;

  const char* op;
  BackwardFn fn;  // null once freed
  std::vector<Edge> edges;
  std::vector<Output> outputs;
  uint64_t sequence;  // grows in the order of execution, so descending order visits users before producers
};

bool anomaly_detection();

}  // namespace ar
