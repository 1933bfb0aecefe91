// Variable: a tensor that remembers how it was computed, so that gradients can flow back through it.
//
// Every differentiable op is one function: it computes its result and hands record() a closure that turns the gradient
// of the result into gradients of the inputs. The closure's captures are all that is kept alive for the backward pass.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "tensor/tensor.h"

namespace ar {

class Node;
struct VariableState;

/// Gets the gradient that arrives at a variable; a defined result replaces it.
using GradHook = std::function<Tensor(const Tensor&)>;

class Variable {
 public:
  /// Undefined: no value.
  Variable() = default;
  /// A leaf. Gradients of leaves that require them are added up in grad().
  Variable(Tensor value, bool requires_grad = false);

  bool defined() const { return state_ != nullptr; }
  explicit operator bool() const { return defined(); }
  const Tensor& value() const;
  const Dims& shape() const { return value().shape(); }
  int64_t size(int dim) const { return value().size(dim); }
  int rank() const { return value().rank(); }
  int64_t numel() const { return value().numel(); }
  Dtype dtype() const { return value().dtype(); }
  double item() const { return value().item(); }

  bool requires_grad() const;
  /// Of leaves only; throws Error on a computed variable. Turned off, a leaf gets no gradient from graphs
  /// recorded before, either.
  void set_requires_grad(bool on) const;
  bool is_leaf() const;
  /// The gradient so far: of leaves, and of computed variables after retain_grad(). Undefined before the first
  /// backward().
  const Tensor& grad() const;
  void set_grad(Tensor grad) const;
  /// Forgets the gradient.
  void zero_grad() const;
  /// Keeps the gradient of a computed variable, too.
  void retain_grad() const;
  /// Calls `hook` once in each backward pass that reaches this variable, with the whole gradient, before it goes on; a
  /// leaf's at the end of the pass. A computed variable's stays with the graph when no handle is left. Hooks may
  /// register and remove hooks, which counts from the next pass on. Returns a number for remove_hook().
  int register_hook(GradHook hook) const;
  void remove_hook(int id) const;
  /// Replaces the value of a leaf (loading, moving to a device). A gradient of another shape is forgotten.
  void set_value(Tensor value) const;

  /// Computes gradients of all leaves this was computed from and adds them to their grad(). `grad` is the gradient of
  /// this variable; it may be left out if this has one element (then 1). The graph is freed on the way unless retained.
  void backward(const Tensor& grad = {}, bool retain_graph = false) const;
  /// The same value, cut off from the graph.
  Variable detach() const;
  /// Are these two handles on one variable?
  bool same_as(const Variable& other) const { return state_ == other.state_; }

 private:
  friend class Node;
  friend struct Engine;
  friend std::vector<Variable> record(const char*, std::vector<Tensor>, const std::vector<Variable>&,
                                      std::function<std::vector<Tensor>(class Backward&)>, bool);
  explicit Variable(std::shared_ptr<VariableState> state) : state_(std::move(state)) {}
  std::shared_ptr<VariableState> state_;
};

std::ostream& operator<<(std::ostream& out, const Variable& v);

// ---- writing differentiable ops ----

/// What a gradient closure is given.
class Backward {
 public:
  /// The gradient of an output; of outputs that nothing used, undefined.
  const Tensor& grad(int output = 0) const { return grads_[output]; }
  /// The same, handed over: whoever is its only owner may write into it.
  Tensor take_grad(int output = 0) { return std::move(grads_[output]); }
  /// The same with zeros in place of undefined.
  Tensor grad_or_zeros(int output) const;
  /// Is the gradient of this input needed? If not, the closure may return an undefined tensor in its place.
  bool wanted(int input) const { return wanted_[input]; }

 private:
  friend struct Engine;
  std::vector<Tensor> grads_;
  std::vector<bool> wanted_;
  const Node* node_ = nullptr;
};

/// Returns one gradient per input, of the input's shape and dtype (undefined where not wanted). Gradients may share
/// memory with the incoming ones; the engine copies where it must.
using BackwardFn = std::function<std::vector<Tensor>(Backward&)>;

/// Makes `value`, computed from `inputs` by `op`, a variable. Without gradients in sight `backward` is dropped.
Variable record(const char* op, Tensor value, const std::vector<Variable>& inputs, BackwardFn backward);
/// The same for ops with several results. `always`: the result requires gradients even if no input does.
std::vector<Variable> record(const char* op, std::vector<Tensor> values, const std::vector<Variable>& inputs,
                             BackwardFn backward, bool always = false);

/// A tensor kept for the backward pass. get() throws Error when it was changed in place since.
class Saved {
 public:
  /// `op` and `what` ("weight") name it in the error.
  Saved(const char* op, const char* what, Tensor tensor)
      : op_(op), what_(what), tensor_(std::move(tensor)), version_(tensor_.version()) {}
  const Tensor& get() const;
  /// Its shape, which no write changes.
  const Dims& shape() const { return tensor_.shape(); }
  /// The tensor for its shape, strides and dtype alone: its values are not read.
  const Tensor& form() const { return tensor_; }

 private:
  const char *op_, *what_;
  Tensor tensor_;
  uint64_t version_;
};

// ---- modes, per thread ----

bool grad_enabled();
/// While it lives, this thread records nothing: for inference, and for updates of parameters.
class NoGrad {
 public:
  NoGrad();
  ~NoGrad();
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};
/// Undoes an outer NoGrad.
class EnableGrad {
 public:
  EnableGrad();
  ~EnableGrad();
  EnableGrad(const EnableGrad&) = delete;
  EnableGrad& operator=(const EnableGrad&) = delete;

 private:
  bool before_;
};
/// While it lives, every op's result and every gradient is checked: NaN or infinity throws Error naming the op, and, if
/// `name_of` knows one of the op's inputs ("" for those it does not), that input or the last one known before.
class DetectAnomaly {
 public:
  using NameOf = std::function<std::string(const Variable&)>;
  explicit DetectAnomaly(NameOf name_of = nullptr);
  ~DetectAnomaly();
  DetectAnomaly(const DetectAnomaly&) = delete;
  DetectAnomaly& operator=(const DetectAnomaly&) = delete;

 private:
  friend std::vector<Variable> record(const char*, std::vector<Tensor>, const std::vector<Variable>&, BackwardFn, bool);
  void check(const char* op, const std::vector<Tensor>& results, const std::vector<Variable>& inputs);
  DetectAnomaly* before_;
  NameOf name_of_;
  std::string last_known_;
};

}  // namespace ar
