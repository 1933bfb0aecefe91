// Optimisers with PyTorch's rules, parameter groups and saved state; clipping of gradients.
//
//   optim::SGD sgd(model.parameters(), {.lr = 0.1, .momentum = 0.9});
//   optim::AdamW adam({{head.parameters(), {.lr = 1e-3}}, {base.parameters(), {.lr = 1e-5}}});
#pragma once
#include <variant>

#include "nn/module.h"
#include "tensor/kernels.h"

namespace ar::optim {

/// What a learning-rate schedule may turn in a parameter group.
struct Knobs {
  double* lr = nullptr;
  double* momentum = nullptr;  // Adam's beta1
};

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// One update of every parameter that has a gradient. Throws Error, before anything is written to, when a gradient or
  /// what is kept from earlier steps does not fit its parameter, or a device has no kernel for its dtype.
  void step();
  /// Forgets all gradients.
  void zero_grad();
  virtual int num_groups() const = 0;
  /// Throws Error out of range.
  virtual Knobs knobs(int group) = 0;

  /// "state.3.exp_avg" for the fourth parameter (counted over all groups), "param_groups.0.lr" for the groups' numbers:
  /// what it takes to go on as if never stopped. The tensors of "state" share memory with the optimiser.
  nn::StateDict state_dict() const;
  /// Copies a state in. Throws one Error that names what does not fit, and then changes nothing.
  void load_state_dict(const nn::StateDict& state);

 protected:
  Optimizer() = default;
  /// A parameter and what is kept for it from step to step: nothing before its first one.
  struct Slot {
    Variable parameter;
    std::vector<Tensor> state;  // as state_names() names them
  };
  virtual const char* name() const = 0;
  virtual std::vector<std::string> state_names() const = 0;
  virtual std::vector<Tensor> fresh_state(const Tensor& parameter) const = 0;
  /// A parameter with a gradient, which lies in memory as the value does.
  struct Due {
    Slot* slot;
    Tensor p, g;
  };
  virtual void update(const std::vector<Due>& due, int group) = 0;
  /// Throws Error when p's device has no kernel for its dtype.
  virtual void check_kernel(const Tensor& p) const = 0;
  template <class Key>
  class Together;
  static void count_writes(const std::vector<Slot*>& slots);
  /// A group's numbers and flags by name. Flags are saved as 0 or 1; a state may lack them (they then keep their
  /// value).
  using Option = std::variant<double*, bool*>;
  virtual std::vector<std::pair<std::string, Option>> options(int group) = 0;
  /// Takes a group's parameters over. Throws Error on none, computed and repeated ones.
  void add_slots(const std::vector<Variable>& parameters);
  void check_group(int group) const;

 private:
  Due checked(Slot& slot) const;

  std::vector<std::vector<Slot>> slots_;  // by group
};

template <class Options>
struct Group {
  std::vector<Variable> parameters;
  Options options = {};
};

/// Optimizers differ in their options and in the update of the parameters.
template <class OptionsType>
class GroupedOptimizer : public Optimizer {
 public:
  using Options = OptionsType;
  int num_groups() const override { return int(groups_.size()); }
  /// A group's numbers, to read and to change between steps.
  Options& group_options(int group) {
    check_group(group);
    return groups_[size_t(group)];
  }

 protected:
  std::vector<Options> groups_;
};

struct SgdOptions {
  double lr = 1e-3, momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false;
};

/// g += weight_decay * p;  v = momentum * v + (1 - dampening) * g (at first v = g);  p -= lr * (nesterov ? g + momentum
/// * v : v).
class SGD : public GroupedOptimizer<SgdOptions> {
 public:
  explicit SGD(const std::vector<Variable>& parameters, const SgdOptions& options = {});
  explicit SGD(const std::vector<Group<SgdOptions>>& groups);
  void add_group(const std::vector<Variable>& parameters, const SgdOptions& options);
  Knobs knobs(int group) override;

 protected:
  const char* name() const override { return "SGD"; }
  std::vector<std::string> state_names() const override { return {"momentum_buffer"}; }
  std::vector<Tensor> fresh_state(const Tensor& parameter) const override;
  void update(const std::vector<Due>& due, int group) override;
  void check_kernel(const Tensor& p) const override;
  std::vector<std::pair<std::string, Option>> options(int group) override;

 private:
  SgdParams params(int group, bool first_step);
};

struct AdamOptions {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
};

/// Kingma & Ba 2015 (arXiv 1412.6980): g += weight_decay * p;  m = beta1 * m + (1 - beta1) * g;  v = beta2 * v + (1 -
/// beta2) * g^2;  p -= lr * (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps).
class Adam : public GroupedOptimizer<AdamOptions> {
 public:
  explicit Adam(const std::vector<Variable>& parameters, const AdamOptions& options = {});
  explicit Adam(const std::vector<Group<AdamOptions>>& groups);
  void add_group(const std::vector<Variable>& parameters, const AdamOptions& options);
  Knobs knobs(int group) override;

 protected:
  explicit Adam(bool decoupled) : decoupled_(decoupled) {}
  const char* name() const override { return decoupled_ ? "AdamW" : "Adam"; }
  std::vector<std::string> state_names() const override { return {"step", "exp_avg", "exp_avg_sq"}; }
  std::vector<Tensor> fresh_state(const Tensor& parameter) const override;
  void update(const std::vector<Due>& due, int group) override;
  void check_kernel(const Tensor& p) const override;
  std::vector<std::pair<std::string, Option>> options(int group) override;

 private:
  AdamParams params(int group, int64_t step);

  bool decoupled_ = false;
};

struct AdamWOptions {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 1e-2;
};

/// Loshchilov & Hutter 2019 (arXiv 1711.05101): Adam, but p -= lr * weight_decay * p in place of the change of g.
class AdamW : public Adam {
 public:
  explicit AdamW(const std::vector<Variable>& parameters, const AdamWOptions& options = {});
  explicit AdamW(const std::vector<Group<AdamWOptions>>& groups);
  void add_group(const std::vector<Variable>& parameters, const AdamWOptions& options);
};

struct ClipOptions {
  double norm_type = 2;  // infinity: the largest magnitude
  bool error_if_nonfinite = false;
};
/// Scales all gradients by max_norm / (norm + 1e-6) if that is below 1, in place. Returns the norm of all gradients
/// taken as one vector, before. Parameters without gradient are left out.
double clip_grad_norm_(const std::vector<Variable>& parameters, double max_norm, const ClipOptions& options = {});
/// The same, with the norm left where the gradients are, () of f64: on a GPU the host does not wait for it. Without
/// gradients it is 0 on the CPU.
Tensor clip_grad_norm_tensor_(const std::vector<Variable>& parameters, double max_norm, double norm_type = 2);
/// Clamps each element of all gradients to [-clip, clip], in place.
void clip_grad_value_(const std::vector<Variable>& parameters, double clip);

}  // namespace ar::optim
