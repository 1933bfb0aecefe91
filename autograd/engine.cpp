// The backward pass: nodes are visited from the last executed to the first, each when all gradients of its results have
// arrived, without recursion.
#include "autograd/engine.h"

#include <algorithm>
#include <map>

#include "tensor/ops_elementwise.h"
#include "tensor/profile.h"

namespace ar {
namespace {

/// Adds g to `sum`. The first gradient is only referred to; from the second on, `sum` is memory of our own.
void accumulate(Tensor& sum, bool& owned, Tensor g) {
  if (!sum.defined()) {
    sum = std::move(g);
    owned = false;
  } else if (owned) {
    ops::axpby_(1, g, 1, sum);
  } else {
    sum = ops::add(sum, g);
    owned = true;
  }
}

struct Slot {
  Tensor grad;
  bool owned = false;
};

Tensor run_hooks(const Hooks& hooks, Tensor g) {
  const auto now = hooks.all;  // they may register and remove hooks
  for (const auto& [id, hook] : now) {
    Tensor replaced = hook(g);
    if (!replaced.defined()) continue;
    AR_CHECK(replaced.shape() == g.shape() && replaced.dtype() == g.dtype(), "backward: a hook returned ",
             replaced.shape(), " ", replaced.dtype(), " for a gradient of ", g.shape(), " ", g.dtype());
    g = std::move(replaced);
  }
  return g;
}

void add_to_leaf(VariableState& leaf, Tensor g) {
  if (leaf.grad.defined()) {
    ops::axpby_(1, g, 1, leaf.grad);
    return;
  }
  // The gradient gets memory of its own, in the order of the value: optimisers walk through both as flat arrays.
  const bool ours = g.storage().use_count() == 1 && g.strides() == leaf.value.strides() && g.is_dense_in_any_order();
  if (ours) {
    leaf.grad = std::move(g);
  } else {
    leaf.grad = empty_like(leaf.value);
    leaf.grad.copy_from(g);
  }
}

std::vector<Tensor> gradients(const Node& node, Backward& context) {
  const profile::Span span("backward", [&] { return std::string(node.op); });
  return node.fn(context);
}

}  // namespace

struct Engine {
  static void run(const Variable& root, Tensor grad, bool retain_graph) {
    NoGrad no_grad;
    const std::shared_ptr<VariableState>& state = root.state_;
    if (!state->producer) {
      add_to_leaf(*state, run_hooks(state->hooks, std::move(grad)));
      return;
    }
    std::map<uint64_t, std::pair<std::shared_ptr<Node>, std::vector<Slot>>, std::greater<>> pending;
    auto arrive = [&](const std::shared_ptr<Node>& node, int output, Tensor g) {
      auto& [held, slots] = pending[node->sequence];
      if (!held) held = node, slots.resize(node->outputs.size());
      accumulate(slots[output].grad, slots[output].owned, std::move(g));
    };
    arrive(state->producer, state->output, std::move(grad));
    // Leaves without hooks take each gradient as it comes; hooks see the sum, so others wait for the end of the pass.
    std::vector<std::pair<std::shared_ptr<VariableState>, Slot>> hooked;
    auto wait = [&](const std::shared_ptr<VariableState>& leaf, Tensor g) {
      auto at = std::find_if(hooked.begin(), hooked.end(), [&](const auto& h) { return h.first == leaf; });
      if (at == hooked.end()) at = hooked.insert(at, {leaf, {}});
      accumulate(at->second.grad, at->second.owned, std::move(g));
    };

    while (!pending.empty()) {
      const std::shared_ptr<Node> node = pending.begin()->second.first;
      std::vector<Slot> slots = std::move(pending.begin()->second.second);
      pending.erase(pending.begin());

      AR_CHECK(node->fn, "backward: the graph of ", node->op,
               " was freed by an earlier backward(); retain_graph keeps it");
      Backward context;
      context.node_ = node.get();
      for (size_t i = 0; i < slots.size(); ++i) {
        Tensor g = std::move(slots[i].grad);
        if (g.defined()) g = run_hooks(node->outputs[i].hooks, std::move(g));
        if (const auto result = node->outputs[i].state.lock(); result && result->retains_grad && g.defined())
          result->grad = result->grad.defined() ? ops::add(result->grad, g) : g.clone();
        context.grads_.push_back(std::move(g));
      }
      for (const Edge& e : node->edges) context.wanted_.push_back(e.wanted());
      std::vector<Tensor> grads = gradients(*node, context);
      if (!retain_graph) {
        node->fn = nullptr;
        for (Node::Output& o : node->outputs) o.hooks.all.clear();  // they may hold variables of this very graph
      }
      context.grads_.clear();
      AR_CHECK(grads.size() == node->edges.size(), "backward: ", node->op, " returned ", grads.size(),
               " gradients for ", node->edges.size(), " inputs");

      for (size_t i = 0; i < grads.size(); ++i) {
        const Edge& e = node->edges[i];
        Tensor g = std::move(grads[i]);
        if (!context.wanted(int(i))) continue;
        AR_CHECK(g.defined(), "backward: ", node->op, " returned no gradient for input ", i);
        AR_CHECK(g.shape() == e.shape && g.dtype() == e.dtype, "backward: ", node->op, " returned a gradient of ",
                 g.shape(), " ", g.dtype(), " for input ", i, " of ", e.shape, " ", e.dtype);
        AR_CHECK(!anomaly_detection() || !ops::any_nonfinite(g), "backward: ", node->op, ": gradient of input ", i, " ",
                 g.shape(), " holds NaN or infinity (anomaly detection)");
        if (e.node)
          arrive(e.node, e.output, std::move(g));
        else if (e.leaf->hooks.all.empty())
          add_to_leaf(*e.leaf, std::move(g));
        else
          wait(e.leaf, std::move(g));
      }
    }
    for (auto& [leaf, slot] : hooked) add_to_leaf(*leaf, run_hooks(leaf->hooks, std::move(slot.grad)));
  }
};

Tensor Backward::grad_or_zeros(int output) const {
  if (grads_[output].defined()) return grads_[output];
  const Node::Output& o = node_->outputs[output];
  return zeros(o.shape, {.dtype = o.dtype, .device = o.device});
}

void Variable::backward(const Tensor& grad, bool retain_graph) const {
  AR_CHECK(requires_grad(), "backward: the variable does not require gradients (no input of its computation did)");
  if (!grad.defined())
    AR_CHECK(numel() == 1, "backward: a variable of shape ", shape(),
             " needs a gradient; only one element can start from 1");
  else
    AR_CHECK(grad.shape() == shape() && grad.dtype() == dtype(), "backward: gradient ", grad.shape(), " ", grad.dtype(),
             " does not fit the variable's ", shape(), " ", dtype());
  Engine::run(*this, grad.defined() ? grad : ones(shape(), value().options()), retain_graph);
}

}  // namespace ar
