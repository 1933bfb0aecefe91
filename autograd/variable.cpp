#include "autograd/variable.h"

#include <atomic>
#include <utility>

#include "autograd/engine.h"
#include "tensor/ops_elementwise.h"

namespace ar {

namespace {
thread_local bool grad_mode = true;
thread_local DetectAnomaly* anomaly_mode = nullptr;
}  // namespace

bool grad_enabled() { return grad_mode; }
NoGrad::NoGrad() : before_(std::exchange(grad_mode, false)) {}
NoGrad::~NoGrad() { grad_mode = before_; }
EnableGrad::EnableGrad() : before_(std::exchange(grad_mode, true)) {}
EnableGrad::~EnableGrad() { grad_mode = before_; }
DetectAnomaly::DetectAnomaly(NameOf name_of)
    : before_(std::exchange(anomaly_mode, this)), name_of_(std::move(name_of)) {}
DetectAnomaly::~DetectAnomaly() { anomaly_mode = before_; }
bool anomaly_detection() { return anomaly_mode != nullptr; }

void DetectAnomaly::check(const char* op, const std::vector<Tensor>& results, const std::vector<Variable>& inputs) {
  bool known = false;
  for (size_t i = 0; name_of_ && !known && i < inputs.size(); ++i) {
    std::string name = inputs[i].defined() ? name_of_(inputs[i]) : "";
    known = !name.empty();
    if (known) last_known_ = std::move(name);
  }
  for (const Tensor& v : results)
    AR_CHECK(!v.defined() || !ops::any_nonfinite(v), op,
             last_known_.empty() ? ""
             : known             ? " of "
                                 : " after ",
             last_known_, ": result ", v.shape(), " holds NaN or infinity (anomaly detection)");
}

Variable::Variable(Tensor value, bool requires_grad) : state_(std::make_shared<VariableState>()) {
  AR_CHECK(value.defined(), "Variable: an undefined tensor");
  AR_CHECK(!requires_grad || is_floating(value.dtype()), "Variable: only floating tensors have gradients, not ",
           value.dtype());
  state_->value = std::move(value);
  state_->requires_grad = requires_grad;
}

namespace {
VariableState& checked(const std::shared_ptr<VariableState>& state) {
  AR_CHECK(state, "Variable: undefined");
  return *state;
}
}  // namespace

const Tensor& Variable::value() const { return checked(state_).value; }
bool Variable::requires_grad() const { return state_ && state_->requires_grad; }
bool Variable::is_leaf() const { return !checked(state_).producer; }
const Tensor& Variable::grad() const { return checked(state_).grad; }
void Variable::zero_grad() const { checked(state_).grad = {}; }
void Variable::retain_grad() const {
  AR_CHECK(requires_grad(), "retain_grad: the variable does not require gradients");
  state_->retains_grad = true;
}

void Variable::set_requires_grad(bool on) const {
  AR_CHECK(is_leaf(), "set_requires_grad: only leaves can be told; use detach()");
  AR_CHECK(!on || is_floating(dtype()), "set_requires_grad: only floating tensors have gradients, not ", dtype());
  state_->requires_grad = on;
}

void Variable::set_grad(Tensor grad) const {
  AR_CHECK(!grad.defined() || (grad.shape() == shape() && grad.dtype() == dtype()), "set_grad: a gradient of shape ",
           shape(), " and ", dtype(), " is needed, not ", grad.shape(), " and ", grad.dtype());
  state_->grad = std::move(grad);
}

void Variable::set_value(Tensor value) const {
  AR_CHECK(is_leaf(), "set_value: only leaves can be replaced");
  AR_CHECK(value.defined(), "set_value: an undefined tensor");
  AR_CHECK(!requires_grad() || is_floating(value.dtype()), "set_value: only floating tensors have gradients, not ",
           value.dtype());
  if (state_->grad.defined() && state_->grad.shape() != value.shape()) state_->grad = {};
  state_->value = std::move(value);
}

namespace {
Hooks& hooks_of(VariableState& state) {
  return state.producer ? state.producer->outputs[state.output].hooks : state.hooks;
}
}  // namespace

int Variable::register_hook(GradHook hook) const {
  AR_CHECK(requires_grad(), "register_hook: the variable does not require gradients");
  Hooks& hooks = hooks_of(*state_);
  hooks.all.emplace_back(hooks.next, std::move(hook));
  return hooks.next++;
}

void Variable::remove_hook(int id) const {
  std::erase_if(hooks_of(checked(state_)).all, [&](const auto& h) { return h.first == id; });
}

Variable Variable::detach() const { return Variable(value()); }

std::ostream& operator<<(std::ostream& out, const Variable& v) {
  if (!v.defined()) return out << "variable(undefined)";
  return out << v.value() << (v.requires_grad() ? ", requires_grad" : "");
}

const Tensor& Saved::get() const {
  AR_CHECK(tensor_.version() == version_, "backward: ", op_, ": its ", what_, " ", tensor_.shape(),
           " was changed in place after the forward pass (", tensor_.version() - version_, " writes)");
  return tensor_;
}

// ---- recording ----

Node::Node(const char* op, BackwardFn fn) : op(op), fn(std::move(fn)) {
  static std::atomic<uint64_t> counter{0};
  sequence = counter++;
}

// A long chain of nodes would be destroyed recursively and overflow the stack; instead, nodes are handed to the
// outermost destructor of this thread, which lets go of them one by one.
Node::~Node() {
  static thread_local std::vector<std::shared_ptr<Node>>* pending = nullptr;
  std::vector<std::shared_ptr<Node>> mine;
  const bool outermost = !pending;
  if (outermost) pending = &mine;
  for (Edge& e : edges)
    if (e.node) pending->push_back(std::move(e.node));
  fn = nullptr;
  if (!outermost) return;
  while (!mine.empty()) {
    const std::shared_ptr<Node> last = std::move(mine.back());
    mine.pop_back();
  }
  pending = nullptr;
}

std::vector<Variable> record(const char* op, std::vector<Tensor> values, const std::vector<Variable>& inputs,
                             BackwardFn fn, bool always) {
  if (anomaly_mode) anomaly_mode->check(op, values, inputs);
  bool needed = always;
  for (const Variable& v : inputs) needed = needed || v.requires_grad();
  std::vector<Variable> results(values.begin(), values.end());
  if (!grad_mode || !needed) return results;

  auto node = std::make_shared<Node>(op, std::move(fn));
  for (const Variable& v : inputs) {
    Edge e;
    if (v.requires_grad()) {
      e.node = v.state_->producer;
      e.output = v.state_->output;
      if (!e.node) e.leaf = v.state_;
      e.shape = v.shape();
      e.dtype = v.dtype();
    }
    node->edges.push_back(std::move(e));
  }
  for (int i = 0; i < int(results.size()); ++i) {
    const auto& state = results[i].state_;
    state->requires_grad = true;
    state->producer = node;
    state->output = i;
    node->outputs.push_back({state, state->value.shape(), state->value.dtype(), state->value.device()});
  }
  return results;
}

Variable record(const char* op, Tensor value, const std::vector<Variable>& inputs, BackwardFn fn) {
  return record(op, std::vector<Tensor>{std::move(value)}, inputs, std::move(fn), false)[0];
}

}  // namespace ar
