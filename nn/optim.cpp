#include "nn/optim.h"

#include <cmath>
#include <map>
#include <sstream>
#include <tuple>

#include "tensor/live_numbers.h"
#include "tensor/ops_common.h"
#include "tensor/ops_elementwise.h"
#include "tensor/ops_reduce.h"

namespace ar::optim {
namespace {

/// The same values in p's order in memory: itself where it lies so already. The update walks through both side by side.
Tensor in_order_of(const Tensor& p, const Tensor& t) {
  bool same = t.is_dense_in_any_order();
  for (int d = 0; d < p.rank(); ++d) same = same && (p.size(d) == 1 || p.stride(d) == t.stride(d));
  if (same) return t;
  const Tensor y = empty_like(p);
  y.copy_from(t);
  return y;
}

/// The update walks through memory.
void check_dense(const char* op, const Tensor& p) {
  AR_CHECK(p.is_dense_in_any_order(), op, ": a parameter must be dense, strides ", p.strides(), " of ", p.shape(),
           " are not");
}

void check_options(const char* op, const std::vector<std::pair<const char*, double>>& not_negative) {
  for (const auto& [what, value] : not_negative)
    AR_CHECK(value >= 0, op, ": ", what, " must not be negative, it is ", value);
}

}  // namespace

// ---- Optimizer ----

void Optimizer::check_group(int group) const {
  AR_CHECK(group >= 0 && group < num_groups(), name(), ": no parameter group ", group, " among ", num_groups());
}

void Optimizer::add_slots(const std::vector<Variable>& parameters) {
  AR_CHECK(!parameters.empty(), name(), ": a group without parameters");
  std::vector<Slot> added;
  const auto check_new = [&](const Variable& p, const std::vector<Slot>& slots) {
    for (const Slot& s : slots)
      AR_CHECK(!s.parameter.same_as(p), name(), ": a parameter ", p.shape(), " is given twice");
  };
  for (const Variable& p : parameters) {
    AR_CHECK(p.defined(), name(), ": an undefined parameter");
    AR_CHECK(p.is_leaf(), name(), ": only leaves can be optimised, not a computed variable ", p.shape());
    check_dense(name(), p.value());
    for (const std::vector<Slot>& group : slots_) check_new(p, group);
    check_new(p, added);
    added.push_back({p, {}});
  }
  slots_.push_back(std::move(added));
}

Optimizer::Due Optimizer::checked(Slot& slot) const {
  const Tensor &p = slot.parameter.value(), &g = slot.parameter.grad();
  check_dense(name(), p);
  check_kernel(p);
  AR_CHECK(g.shape() == p.shape(), name(), ": a parameter is ", p.shape(), ", its gradient ", g.shape());
  AR_CHECK(g.dtype() == p.dtype() && g.device() == p.device(), name(), ": a parameter is ", p.dtype(), " on ",
           p.device(), ", its gradient ", g.dtype(), " on ", g.device());
  for (Tensor& t : slot.state) {
    if (t.dtype() == Dtype::i64) continue;  // the count of steps
    AR_CHECK(t.shape() == p.shape(), name(), ": a parameter became ", p.shape(), " while its state is ", t.shape());
    AR_CHECK(t.dtype() == p.dtype(), name(), ": a parameter became ", p.dtype(), " while its state is ", t.dtype());
    AR_CHECK(t.device() == p.device(), name(), ": a parameter went to ", p.device(), " while its state is on ",
             t.device());
    t = in_order_of(p, t);
  }
  return {&slot, p, in_order_of(p, g)};
}

void Optimizer::step() {
  std::vector<std::vector<Due>> due(slots_.size());  // all of them first: no half steps
  for (size_t group = 0; group < slots_.size(); ++group)
    for (Slot& slot : slots_[group])
      if (slot.parameter.grad().defined() && slot.parameter.numel() > 0) due[group].push_back(checked(slot));
  for (size_t group = 0; group < slots_.size(); ++group)
    if (!due[group].empty()) update(due[group], int(group));
}

void Optimizer::zero_grad() {
  for (const auto& group : slots_)
    for (const Slot& slot : group) slot.parameter.zero_grad();
}

nn::StateDict Optimizer::state_dict() const {
  nn::StateDict all;
  const std::vector<std::string> names = state_names();
  int index = 0;
  for (const auto& group : slots_)
    for (const Slot& slot : group) {
      for (size_t i = 0; i < slot.state.size(); ++i)
        all.emplace_back("state." + std::to_string(index) + '.' + names[i], slot.state[i]);
      ++index;
    }
  for (int group = 0; group < num_groups(); ++group)
    for (const auto& [option, value] : const_cast<Optimizer*>(this)->options(group))
      all.emplace_back("param_groups." + std::to_string(group) + '.' + option,
                       full({}, std::visit([](auto* v) { return double(*v); }, value), {.dtype = Dtype::f64}));
  return all;
}

void Optimizer::load_state_dict(const nn::StateDict& state) {
  std::map<std::string, Tensor> given(state.begin(), state.end());
  std::ostringstream problems;
  const auto take = [&](const std::string& key, const Dims& shape) {
    const auto found = given.find(key);
    if (found == given.end()) {
      problems << "; missing " << key;
      return Tensor();
    }
    const Tensor t = found->second;
    given.erase(found);
    if (t.defined() && t.shape() == shape) return t;
    problems << "; " << key << " must be " << shape << ", given " << t.shape();
    return Tensor();
  };

  const std::vector<std::string> names = state_names();
  std::vector<std::pair<Tensor, Tensor>> copies;
  std::vector<std::vector<Tensor>> states;
  std::vector<std::pair<Option, Tensor>> numbers;
  for (const auto& group : slots_)
    for (const Slot& slot : group) {
      const std::string prefix = "state." + std::to_string(states.size()) + '.';
      bool any = false;
      for (const std::string& n : names) any = any || given.count(prefix + n) > 0;
      states.push_back(any ? fresh_state(slot.parameter.value()) : std::vector<Tensor>());
      for (size_t i = 0; i < states.back().size(); ++i)
        copies.emplace_back(states.back()[i], take(prefix + names[i], states.back()[i].shape()));
    }
  for (int group = 0; group < num_groups(); ++group)
    for (const auto& [option, value] : options(group)) {
      const std::string key = "param_groups." + std::to_string(group) + '.' + option;
      if (std::holds_alternative<double*>(value) || given.count(key)) numbers.emplace_back(value, take(key, {}));
    }
  for (const auto& [key, t] : state)
    if (given.count(key)) problems << "; unexpected " << key;
  AR_CHECK(problems.str().empty(), "load_state_dict: the state does not fit this ", name(), problems.str());

  for (const auto& [target, source] : copies) target.copy_from(source);
  for (const auto& [value, source] : numbers)
    std::visit([n = source.item()](auto* v) { *v = std::remove_reference_t<decltype(*v)>(n); }, value);
  size_t index = 0;
  for (auto& group : slots_)
    for (Slot& slot : group) slot.state = std::move(states[index++]);
}

/// A repeated step writes to parameters without their knowledge: what was derived from them must not be used again.
void Optimizer::count_writes(const std::vector<Slot*>& slots) {
  for (Slot* const slot : slots) slot->parameter.value().writable();
}

/// Parameters whose device updates many in one call, by device, type and what else they must have in common.
template <class Key>
class Optimizer::Together {
 public:
  struct List {
    std::vector<OptimTensors> tensors;
    std::vector<Slot*> slots;
  };
  void add(const Tensor& p, Key key, const OptimTensors& tensors, Slot* slot) {
    List& list = lists_[{&ops::kernels_of(p), p.dtype(), key}];
    list.tensors.push_back(tensors);
    list.slots.push_back(slot);
  }
  /// f(kernels, dtype, key, list).
  template <class F>
  void each(const F& f) const {
    for (const auto& [what, list] : lists_) f(*std::get<0>(what), std::get<1>(what), std::get<2>(what), list);
  }

 private:
  std::map<std::tuple<const Kernels*, Dtype, Key>, List> lists_;
};

// ---- SGD ----

SGD::SGD(const std::vector<Variable>& parameters, const SgdOptions& options) { add_group(parameters, options); }
SGD::SGD(const std::vector<Group<SgdOptions>>& groups) {
  AR_CHECK(!groups.empty(), "SGD: no parameter groups");
  for (const auto& g : groups) add_group(g.parameters, g.options);
}

void SGD::add_group(const std::vector<Variable>& parameters, const SgdOptions& o) {
  check_options("SGD", {{"lr", o.lr}, {"momentum", o.momentum}, {"weight_decay", o.weight_decay}});
  AR_CHECK(!o.nesterov || (o.momentum > 0 && o.dampening == 0),
           "SGD: nesterov needs a momentum and no dampening, they are ", o.momentum, " and ", o.dampening);
  add_slots(parameters);
  groups_.push_back(o);
}

Knobs SGD::knobs(int group) { return {&group_options(group).lr, &group_options(group).momentum}; }

std::vector<std::pair<std::string, Optimizer::Option>> SGD::options(int group) {
  SgdOptions& o = group_options(group);
  return {{"lr", &o.lr},
          {"momentum", &o.momentum},
          {"dampening", &o.dampening},
          {"weight_decay", &o.weight_decay},
          {"nesterov", &o.nesterov}};
}

std::vector<Tensor> SGD::fresh_state(const Tensor& parameter) const { return {zeros_like(parameter)}; }

SgdParams SGD::params(int group, bool first_step) {
  const SgdOptions& o = group_options(group);
  return {.lr = o.lr,
          .momentum = o.momentum,
          .dampening = o.dampening,
          .weight_decay = o.weight_decay,
          .nesterov = o.nesterov,
          .first_step = first_step};
}

void SGD::check_kernel(const Tensor& p) const {
  const Kernels& k = ops::kernels_of(p);
  if (!k.sgd_many[p.dtype()]) kernel_for(k.sgd, p.dtype(), name(), k.name);
}

void SGD::update(const std::vector<Due>& due, int group) {
  const bool momentum = group_options(group).momentum != 0;
  Together<bool> together;  // by whether it is the first step
  for (const auto& [slot, p, g] : due) {
    const bool first = slot->state.empty();
    if (momentum && first) slot->state = fresh_state(p);
    const View buffer = momentum ? slot->state[0].writable() : View{};
    const Kernels& k = ops::kernels_of(p);
    if (k.sgd_many[p.dtype()])
      together.add(p, momentum && first, {p.numel(), p.writable().data, g.view().data, buffer.data}, slot);
    else
      kernel_for(k.sgd, p.dtype(), "SGD", k.name)(params(group, first), p.writable(), g.view(), buffer);
  }
  together.each([&](const Kernels& k, Dtype dtype, bool first, const auto& list) {
    const SgdParams now = params(group, first), *live = nullptr;
    if (LiveNumbers* const numbers = recorded_numbers()) {
      AR_CHECK(!first, "SGD: a step must be done once before it is recorded");
      live = numbers->template add<SgdParams>(now, [this, group, slots = list.slots] {
        count_writes(slots);
        return params(group, false);
      });
    }
    k.sgd_many[dtype](now, live, int64_t(list.tensors.size()), list.tensors.data());
  });
}

// ---- Adam ----

namespace {
AdamOptions plain(const AdamWOptions& o) {
  return {.lr = o.lr, .beta1 = o.beta1, .beta2 = o.beta2, .eps = o.eps, .weight_decay = o.weight_decay};
}
}  // namespace

Adam::Adam(const std::vector<Variable>& parameters, const AdamOptions& options) { add_group(parameters, options); }
Adam::Adam(const std::vector<Group<AdamOptions>>& groups) {
  AR_CHECK(!groups.empty(), "Adam: no parameter groups");
  for (const auto& g : groups) add_group(g.parameters, g.options);
}

void Adam::add_group(const std::vector<Variable>& parameters, const AdamOptions& o) {
  check_options(name(), {{"lr", o.lr}, {"eps", o.eps}, {"weight_decay", o.weight_decay}});
  AR_CHECK(o.beta1 >= 0 && o.beta1 < 1 && o.beta2 >= 0 && o.beta2 < 1, name(),
           ": beta1 and beta2 must be in [0, 1), they are ", o.beta1, " and ", o.beta2);
  add_slots(parameters);
  groups_.push_back(o);
}

Knobs Adam::knobs(int group) { return {&group_options(group).lr, &group_options(group).beta1}; }

std::vector<std::pair<std::string, Optimizer::Option>> Adam::options(int group) {
  AdamOptions& o = group_options(group);
  return {{"lr", &o.lr}, {"beta1", &o.beta1}, {"beta2", &o.beta2}, {"eps", &o.eps}, {"weight_decay", &o.weight_decay}};
}

std::vector<Tensor> Adam::fresh_state(const Tensor& parameter) const {
  return {zeros({}, {.dtype = Dtype::i64}), zeros_like(parameter), zeros_like(parameter)};
}

AdamParams Adam::params(int group, int64_t step) {
  const AdamOptions& o = group_options(group);
  return {.lr = o.lr,
          .beta1 = o.beta1,
          .beta2 = o.beta2,
          .eps = o.eps,
          .weight_decay = o.weight_decay,
          .decoupled = decoupled_,
          .step = step};
}

void Adam::check_kernel(const Tensor& p) const {
  const Kernels& k = ops::kernels_of(p);
  if (!k.adam_many[p.dtype()]) kernel_for(k.adam, p.dtype(), name(), k.name);
}

void Adam::update(const std::vector<Due>& due, int group) {
  Together<int64_t> together;  // by the number of the step
  for (const auto& [slot, p, g] : due) {
    if (slot->state.empty()) slot->state = fresh_state(p);
    const auto& [count, m, v] = std::tie(slot->state[0], slot->state[1], slot->state[2]);
    count.fill(count.item() + 1);
    const int64_t step = int64_t(count.item());
    const Kernels& k = ops::kernels_of(p);
    if (k.adam_many[p.dtype()])
      together.add(p, step, {p.numel(), p.writable().data, g.view().data, m.writable().data, v.writable().data}, slot);
    else
      kernel_for(k.adam, p.dtype(), name(), k.name)(params(group, step), p.writable(), g.view(), m.writable(),
                                                    v.writable());
  }
  together.each([&](const Kernels& k, Dtype dtype, int64_t step, const auto& list) {
    const AdamNumbers now = adam_numbers(params(group, step)), *live = nullptr;
    if (LiveNumbers* const numbers = recorded_numbers()) {
      AR_CHECK(step > 1, name(), ": a step must be done once before it is recorded");
      const auto count_to = [slots = list.slots](int64_t n) {
        for (Slot* const slot : slots) slot->state[0].fill(double(n));
      };
      live = numbers->template add<AdamNumbers>(now, [this, group, slots = list.slots, count_to] {
        count_writes(slots);
        const int64_t next = int64_t(slots[0]->state[0].item()) + 1;
        count_to(next);
        return adam_numbers(params(group, next));
      });
      numbers->when_given_up([count_to, step] { count_to(step - 1); });
    }
    k.adam_many[dtype](now, live, int64_t(list.tensors.size()), list.tensors.data());
  });
}

AdamW::AdamW(const std::vector<Variable>& parameters, const AdamWOptions& options) : Adam(true) {
  Adam::add_group(parameters, plain(options));
}
AdamW::AdamW(const std::vector<Group<AdamWOptions>>& groups) : Adam(true) {
  AR_CHECK(!groups.empty(), "AdamW: no parameter groups");
  for (const auto& g : groups) Adam::add_group(g.parameters, plain(g.options));
}
void AdamW::add_group(const std::vector<Variable>& parameters, const AdamWOptions& options) {
  Adam::add_group(parameters, plain(options));
}

// ---- clipping ----

namespace {

/// Sum of |g|^p, or the largest |g| for p = infinity.
double power_sum(const Tensor& g, double p) {
  if (g.numel() == 0) return 0;
  if (p == 2) return ops::sum(ops::unary(UnaryOp::square, g)).item();
  Tensor magnitude = ops::unary(UnaryOp::abs, g);
  if (std::isinf(p)) return ops::reduce(ReduceOp::max, magnitude).item();
  if (p != 1)  // |g|^p = e^(p log |g|)
    magnitude = ops::unary(UnaryOp::exp, ops::affine(ops::unary(UnaryOp::log, magnitude), p));
  return ops::sum(magnitude).item();
}

double clip_one_by_one(const std::vector<Variable>& parameters, double max_norm, const ClipOptions& options) {
  const double p = options.norm_type;
  double norm = 0;
  for (const Variable& v : parameters) {
    if (!v.grad().defined()) continue;
    const double s = power_sum(v.grad(), p);
    if (std::isinf(p))
      norm = s > norm || std::isnan(s) ? s : norm;
    else
      norm += s;
  }
  if (!std::isinf(p)) norm = std::pow(norm, 1 / p);
  AR_CHECK(std::isfinite(norm) || !options.error_if_nonfinite, "clip_grad_norm_: the norm of the gradients is ", norm);
  const double scale = max_norm / (norm + 1e-6);
  if (scale >= 1) return norm;  // not so for NaN, which spreads to all gradients
  for (const Variable& v : parameters)
    if (v.grad().defined()) ops::unary_(UnaryOp::affine, v.grad(), {scale, 0});
  return norm;
}

/// The gradients, if their device clips many in one call: dense ones of one type on one device.
std::vector<OptimTensors> clipped_together(const std::vector<Variable>& parameters, Tensor& one_of_them) {
  std::vector<OptimTensors> all;
  for (const Variable& v : parameters) {
    const Tensor& g = v.grad();
    if (!g.defined()) continue;
    if (!one_of_them.defined()) one_of_them = g;
    const bool fits = g.is_dense_in_any_order() && g.dtype() == one_of_them.dtype() &&
                      g.device() == one_of_them.device() && ops::kernels_of(g).clip_norm[g.dtype()];
    if (!fits) return {};
    all.push_back({g.numel(), g.writable().data});
  }
  return all;
}

}  // namespace

Tensor clip_grad_norm_tensor_(const std::vector<Variable>& parameters, double max_norm, double p) {
  AR_CHECK(p > 0, "clip_grad_norm_: norm_type must be positive, it is ", p);
  Tensor g;
  const std::vector<OptimTensors> all = clipped_together(parameters, g);
  if (all.empty()) return full({}, clip_one_by_one(parameters, max_norm, {.norm_type = p}), {.dtype = Dtype::f64});
  const Tensor norm = empty({}, {.dtype = Dtype::f64, .device = g.device()});
  ops::kernels_of(g).clip_norm[g.dtype()](p, max_norm, int64_t(all.size()), all.data(),
                                          static_cast<double*>(norm.writable().data));
  return norm;
}

double clip_grad_norm_(const std::vector<Variable>& parameters, double max_norm, const ClipOptions& options) {
  if (!options.error_if_nonfinite) return clip_grad_norm_tensor_(parameters, max_norm, options.norm_type).item();
  AR_CHECK(options.norm_type > 0, "clip_grad_norm_: norm_type must be positive, it is ", options.norm_type);
  return clip_one_by_one(parameters, max_norm, options);
}

void clip_grad_value_(const std::vector<Variable>& parameters, double clip) {
  for (const Variable& v : parameters)
    if (v.grad().defined()) ops::unary_(UnaryOp::clamp, v.grad(), {-clip, clip});
}

}  // namespace ar::optim
