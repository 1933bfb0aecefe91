// Module: a part of a network, with parameters, buffers and further modules inside, each with a name.
//
// Modules are plain values. Their members are plain members, and members() lists them once, in PyTorch's order:
//
//   struct Block : nn::Module {
//     nn::Conv2d conv{{.in = 64, .out = 128, .kernel = 3, .padding = 1}};
//     nn::BatchNorm2d norm{{.features = 128}};
//     Variable forward(const Variable& x) const override { return relu(norm(conv(x))); }
//     void members(nn::Members& add) override { add("conv", conv), add("norm", norm); }
//   };
//
// Names, loading, training mode, counting and printing follow from that list. Copying a module copies all it holds: the
// copy shares no memory with the original. Moving keeps the parameters' identity, so optimisers go on.
#pragma once
#include <concepts>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <typeinfo>
#include <utility>
#include <vector>

#include "autograd/variable.h"

namespace ar::nn {

/// A module's trained tensor. Copying copies the values and requires_grad, but not the gradient; `Variable v = p` is
/// another handle on the same parameter. Undefined: the module goes without (no bias).
class Parameter : public Variable {
 public:
  Parameter() = default;
  explicit Parameter(Tensor value) : Variable(std::move(value), true) {}
  Parameter(const Parameter& other) : Variable(copy(other)) {}
  Parameter(Parameter&&) noexcept = default;
  Parameter& operator=(const Parameter& other) {
    if (this != &other) Variable::operator=(copy(other));
    return *this;
  }
  Parameter& operator=(Parameter&&) noexcept = default;
  ~Parameter() = default;

 private:
  static Variable copy(const Parameter& p) {
    return p.defined() ? Variable(p.value().clone(), p.requires_grad()) : Variable();
  }
};

/// A module's tensor that is saved but not trained (running statistics). Copying copies the values; `Tensor t = b`
/// shares them. Undefined: the module goes without.
class Buffer : public Tensor {
 public:
  Buffer() = default;
  explicit Buffer(Tensor value) : Tensor(std::move(value)) {}
  Buffer(const Buffer& other) : Tensor(other.defined() ? other.clone() : Tensor()) {}
  Buffer(Buffer&&) noexcept = default;
  Buffer& operator=(const Buffer& other) {
    if (this != &other) Tensor::operator=(other.defined() ? other.clone() : Tensor());
    return *this;
  }
  Buffer& operator=(Buffer&&) noexcept = default;
  ~Buffer() = default;
};

class Module;
template <class Base>
class Box;

/// What members() fills in. Undefined parameters and buffers, empty optionals and empty boxes are left out.
class Members {
 public:
  void operator()(const std::string& name, Parameter& parameter);
  /// `required` false: a state to be loaded may lack it (it then keeps its value).
  void operator()(const std::string& name, Buffer& buffer, bool required = true);
  void operator()(const std::string& name, Module& module);
  template <std::derived_from<Module> M>
  void operator()(const std::string& name, std::optional<M>& module) {
    if (module) (*this)(name, *module);
  }
  template <class M>
  void operator()(const std::string& name, Box<M>& module) {
    if (module) (*this)(name, *module);
  }

 private:
  friend class Module;
  struct BufferEntry {
    std::string name;
    Buffer* buffer;
    bool required;
  };
  void check_name(const std::string& name) const;
  std::vector<std::pair<std::string, Parameter*>> parameters_;
  std::vector<BufferEntry> buffers_;
  std::vector<std::pair<std::string, Module*>> modules_;
};

/// Names and values, in order.
using StateDict = std::vector<std::pair<std::string, Tensor>>;
using NamedParameters = std::vector<std::pair<std::string, Variable>>;

struct LoadReport {
  std::vector<std::string> missing, unexpected;
};

class Module {
 public:
  virtual ~Module() = default;

  /// The result for one input. Throws Error in modules that take something else.
  virtual Variable forward(const Variable& x) const;
  /// forward(x), as a span of a profile (tensor/profile.h).
  Variable operator()(const Variable& x) const;

  // ---- what is inside: names are dotted paths ("features.conv0.weight"); a module's own parameters come first, then
  // its buffers, then its children's, as in PyTorch's state_dict ----
  NamedParameters named_parameters() const;
  std::vector<Variable> parameters() const;
  /// The buffers themselves: writing changes the module.
  StateDict named_buffers() const;
  /// The direct children.
  std::vector<std::pair<std::string, Module*>> children();
  /// This module (named "") and all below it, parents first.
  std::vector<std::pair<std::string, Module*>> named_modules();
  /// Elements of all parameters, or of those that require gradients.
  int64_t num_parameters(bool trainable_only = false) const;

  // ---- state ----
  /// All parameters and buffers. The tensors share memory with the module; clone() them for a snapshot.
  StateDict state_dict() const;
  /// Copies values in, converting dtypes. Throws one Error naming all missing, unexpected and mis-shaped entries, and
  /// then changes nothing. Not strict: missing and unexpected ones are only reported.
  LoadReport load_state_dict(const StateDict& state, bool strict = true);
  /// Converts floating parameters (with their gradients) and buffers; handles and optimisers stay valid.
  void to(Dtype dtype);
  /// Parameters (with their gradients) and all buffers, counts too, to a device. Before an optimiser is made: its state
  /// lies beside the parameters.
  void to(Device device);

  // ---- modes ----
  /// Batch norm and dropout behave differently while training. Modules start in training mode.
  virtual void train(bool on = true);
  void eval() { train(false); }
  bool is_training() const { return training_; }
  void requires_grad_(bool on = true);
  void zero_grad();

  // ---- words ----
  /// The class, without its namespace: "Conv2d".
  std::string type_name() const;
  /// What stands between the parentheses when printed; "" by default.
  virtual std::string describe() const { return ""; }
  friend std::ostream& operator<<(std::ostream& out, const Module& module);

 protected:
  Module() = default;
  Module(const Module&) = default;  // for derived classes: a Module alone cannot be copied
  Module(Module&&) = default;
  Module& operator=(const Module&) = default;
  Module& operator=(Module&&) = default;

  /// Lists all parameters, buffers and modules held: add("weight", weight). Names are not empty, have no dots and do
  /// not repeat.
  virtual void members(Members& add) = 0;

 private:
  Members list() const;
  void change_all(const std::function<Tensor(const Tensor&)>& changed);
  void collect_modules(const std::string& prefix, std::vector<std::pair<std::string, Module*>>& into);

  bool training_ = true;
};

/// One module of any type derived from Base, owned. Copying copies the module.
template <class Base = Module>
class Box {
 public:
  Box() = default;
  template <class M>
  requires std::derived_from<std::remove_cvref_t<M>, Base> Box(M&& module) {
    using Type = std::remove_cvref_t<M>;
    AR_CHECK(typeid(module) == typeid(Type), "Box: a ", module.type_name(),
             " known by its base class only; give it by its own type");
    module_ = std::make_unique<Type>(std::forward<M>(module));
    copy_ = [](const Base& m) -> std::unique_ptr<Base> { return std::make_unique<Type>(static_cast<const Type&>(m)); };
  }
  Box(const Box& other) : module_(other.module_ ? other.copy_(*other.module_) : nullptr), copy_(other.copy_) {}
  Box(Box&&) noexcept = default;
  Box& operator=(Box other) noexcept {
    module_ = std::move(other.module_);
    copy_ = other.copy_;
    return *this;
  }
  ~Box() = default;

  explicit operator bool() const { return module_ != nullptr; }
  Base& operator*() { return *module_; }
  const Base& operator*() const { return *module_; }
  Base* operator->() { return module_.get(); }
  const Base* operator->() const { return module_.get(); }

 private:
  std::unique_ptr<Base> module_;
  std::unique_ptr<Base> (*copy_)(const Base&) = nullptr;
};

/// Modules one after another, each with one input and one result. Unnamed ones are called "0", "1", ...
class Sequential : public Module {
 public:
  Sequential() = default;
  template <class... M>
  requires(sizeof...(M) > 0 && (std::derived_from<std::remove_cvref_t<M>, Module> && ...) &&
           !(sizeof...(M) == 1 &&
             (std::same_as<std::remove_cvref_t<M>, Sequential> && ...))) explicit Sequential(M&&... modules) {
    (add(std::forward<M>(modules)), ...);
  }
  Sequential& add(Box<> module);
  Sequential& add(std::string name, Box<> module);
  int size() const { return int(modules_.size()); }
  /// Throws Error out of range.
  Module& operator[](int i);
  const Module& operator[](int i) const { return const_cast<Sequential&>(*this)[i]; }
  Variable forward(const Variable& x) const override;

 protected:
  void members(Members& add) override;

 private:
  std::vector<std::pair<std::string, Box<>>> modules_;
};

/// Modules in a row, named "0", "1", ...; what to do with them is up to the holder.
template <class M = Module>
class ModuleList : public Module {
 public:
  void push_back(Box<M> module) { modules_.push_back(std::move(module)); }
  int size() const { return int(modules_.size()); }
  /// Throws Error out of range.
  M& operator[](int i) {
    AR_CHECK(i >= 0 && i < size(), "ModuleList: no module ", i, " among ", size());
    return *modules_[size_t(i)];
  }
  const M& operator[](int i) const { return const_cast<ModuleList&>(*this)[i]; }

 protected:
  void members(Members& add) override {
    for (size_t i = 0; i < modules_.size(); ++i) add(std::to_string(i), modules_[i]);
  }

 private:
  std::vector<Box<M>> modules_;
};

}  // namespace ar::nn
