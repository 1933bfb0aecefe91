#include "nn/module.h"

#include <cxxabi.h>

#include <cstdlib>
#include <map>
#include <set>
#include <sstream>

#include "tensor/profile.h"

namespace ar::nn {

// ---- listing ----

void Members::check_name(const std::string& name) const {
  AR_CHECK(!name.empty() && name.find('.') == std::string::npos, "members: \"", name,
           "\" is no name: it must not be empty or hold a dot");
  bool taken = false;
  for (const auto& [other, p] : parameters_) taken = taken || other == name;
  for (const BufferEntry& b : buffers_) taken = taken || b.name == name;
  for (const auto& [other, m] : modules_) taken = taken || other == name;
  AR_CHECK(!taken, "members: \"", name, "\" is listed twice");
}

void Members::operator()(const std::string& name, Parameter& parameter) {
  check_name(name);
  if (parameter.defined()) parameters_.emplace_back(name, &parameter);
}

void Members::operator()(const std::string& name, Buffer& buffer, bool required) {
  check_name(name);
  if (buffer.defined()) buffers_.push_back({name, &buffer, required});
}

void Members::operator()(const std::string& name, Module& module) {
  check_name(name);
  modules_.emplace_back(name, &module);
}

Members Module::list() const {
  Members found;
  const_cast<Module*>(this)->members(found);  // lists only
  return found;
}

// ---- walking ----

namespace {
std::string joined(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : prefix + '.' + name;
}
}  // namespace

Variable Module::operator()(const Variable& x) const {
  const profile::Span span("layer", [this] { return type_name() + "(" + describe() + ")"; });
  return forward(x);
}

Variable Module::forward(const Variable&) const { fail(type_name(), ": has no forward of a single input"); }

void Module::collect_modules(const std::string& prefix, std::vector<std::pair<std::string, Module*>>& into) {
  into.emplace_back(prefix, this);
  for (const auto& [name, m] : list().modules_) m->collect_modules(joined(prefix, name), into);
}

std::vector<std::pair<std::string, Module*>> Module::children() { return list().modules_; }

std::vector<std::pair<std::string, Module*>> Module::named_modules() {
  std::vector<std::pair<std::string, Module*>> all;
  collect_modules("", all);
  return all;
}

NamedParameters Module::named_parameters() const {
  NamedParameters all;
  for (const auto& [path, m] : const_cast<Module*>(this)->named_modules())
    for (const auto& [name, p] : m->list().parameters_) all.emplace_back(joined(path, name), *p);
  return all;
}

std::vector<Variable> Module::parameters() const {
  std::vector<Variable> all;
  for (auto& [name, p] : named_parameters()) all.push_back(p);
  return all;
}

StateDict Module::named_buffers() const {
  StateDict all;
  for (const auto& [path, m] : const_cast<Module*>(this)->named_modules())
    for (const auto& b : m->list().buffers_) all.emplace_back(joined(path, b.name), *b.buffer);
  return all;
}

int64_t Module::num_parameters(bool trainable_only) const {
  int64_t n = 0;
  for (const Variable& p : parameters())
    if (p.requires_grad() || !trainable_only) n += p.numel();
  return n;
}

// ---- state ----

StateDict Module::state_dict() const {
  StateDict all;
  for (const auto& [path, m] : const_cast<Module*>(this)->named_modules()) {
    const Members here = m->list();
    for (const auto& [name, p] : here.parameters_) all.emplace_back(joined(path, name), p->value());
    for (const auto& b : here.buffers_) all.emplace_back(joined(path, b.name), *b.buffer);
  }
  return all;
}

namespace {
void complain(std::ostream& out, const char* what, const std::vector<std::string>& names) {
  if (names.empty()) return;
  out << "; " << names.size() << ' ' << what << ": ";
  for (size_t i = 0; i < names.size(); ++i) out << (i ? ", " : "") << names[i];
}
}  // namespace

LoadReport Module::load_state_dict(const StateDict& state, bool strict) {
  std::map<std::string, Tensor> given(state.begin(), state.end());
  std::set<std::string> optional;
  for (const auto& [path, m] : named_modules())
    for (const auto& b : m->list().buffers_)
      if (!b.required) optional.insert(joined(path, b.name));

  LoadReport report;
  std::vector<std::string> misshaped;
  std::vector<std::pair<Tensor, Tensor>> copies;
  for (const auto& [name, target] : state_dict()) {
    const auto found = given.find(name);
    if (found == given.end()) {
      if (!optional.count(name)) report.missing.push_back(name);
      continue;
    }
    const Tensor source = found->second;
    given.erase(found);
    std::ostringstream shapes;
    if (!source.defined())
      shapes << name << " (undefined)";
    else if (source.shape() != target.shape())
      shapes << name << " (here " << target.shape() << ", given " << source.shape() << ")";
    else
      copies.emplace_back(target, source);
    if (!shapes.str().empty()) misshaped.push_back(shapes.str());
  }
  for (const auto& [name, t] : state)
    if (given.count(name)) report.unexpected.push_back(name);

  if (!misshaped.empty() || (strict && (!report.missing.empty() || !report.unexpected.empty()))) {
    std::ostringstream out;
    complain(out, "missing", report.missing);
    complain(out, "unexpected", report.unexpected);
    complain(out, "mis-shaped", misshaped);
    fail("load_state_dict: the state does not fit ", type_name(), out.str());
  }
  for (const auto& [target, source] : copies) target.copy_from(source);
  return report;
}

void Module::to(Dtype dtype) {
  AR_CHECK(is_floating(dtype), "to: modules hold floating values, not ", dtype);
  change_all([&](const Tensor& t) { return is_floating(t.dtype()) ? t.to(dtype) : t; });
}

void Module::to(Device device) {
  change_all([&](const Tensor& t) { return t.to(device); });
}

void Module::change_all(const std::function<Tensor(const Tensor&)>& changed) {
  for (const auto& [path, m] : named_modules()) {
    const Members here = m->list();
    for (const auto& [name, p] : here.parameters_) {
      const Tensor grad = p->grad();
      p->zero_grad();
      p->set_value(changed(p->value()));
      if (grad.defined()) p->set_grad(changed(grad));
    }
    for (const auto& b : here.buffers_) *b.buffer = Buffer(changed(*b.buffer));
  }
}

// ---- modes ----

void Module::train(bool on) {
  training_ = on;
  for (const auto& [name, m] : list().modules_) m->train(on);
}

void Module::requires_grad_(bool on) {
  for (const Variable& p : parameters()) p.set_requires_grad(on);
}

void Module::zero_grad() {
  for (const Variable& p : parameters()) p.zero_grad();
}

// ---- words ----

std::string Module::type_name() const {
  int status = 0;
  char* demangled = abi::__cxa_demangle(typeid(*this).name(), nullptr, nullptr, &status);
  std::string name = status == 0 ? demangled : typeid(*this).name();
  std::free(demangled);
  name = name.substr(0, name.find('<'));
  const size_t scope = name.rfind("::");
  return scope == std::string::npos ? name : name.substr(scope + 2);
}

std::ostream& operator<<(std::ostream& out, const Module& module) {
  const auto children = const_cast<Module&>(module).children();
  const std::string words = module.describe();
  out << module.type_name() << '(';
  if (children.empty()) return out << words << ')';
  if (!words.empty()) out << "\n  " << words;
  for (const auto& [name, m] : children) {
    std::ostringstream text;
    text << *m;
    out << "\n  (" << name << "): ";
    for (const char c : text.str()) {
      out << c;
      if (c == '\n') out << "  ";
    }
  }
  return out << "\n)";
}

// ---- Sequential ----

Sequential& Sequential::add(Box<> module) { return add(std::to_string(modules_.size()), std::move(module)); }

Sequential& Sequential::add(std::string name, Box<> module) {
  AR_CHECK(module, "Sequential: \"", name, "\" is an empty box");
  modules_.emplace_back(std::move(name), std::move(module));
  return *this;
}

Module& Sequential::operator[](int i) {
  AR_CHECK(i >= 0 && i < size(), "Sequential: no module ", i, " among ", size());
  return *modules_[size_t(i)].second;
}

Variable Sequential::forward(const Variable& x) const {
  Variable y = x;
  for (const auto& [name, m] : modules_) y = (*m)(y);
  return y;
}

void Sequential::members(Members& add) {
  for (auto& [name, m] : modules_) add(name, m);
}

}  // namespace ar::nn
