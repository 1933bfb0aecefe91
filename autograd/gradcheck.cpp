#include "autograd/gradcheck.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <map>

#include "tensor/random.h"

namespace ar {
namespace {

/// A leaf whose gradient is checked, and where its elements are, in logical order.
struct Leaf {
  Variable variable;
  std::string name;
  std::vector<int64_t> where;  // from the storage's start
};

std::vector<int64_t> positions(const Tensor& t) {
  std::vector<int64_t> where{t.offset()};
  for (int d = 0; d < t.rank(); ++d) {
    std::vector<int64_t> next;
    for (int64_t p : where)
      for (int64_t i = 0; i < t.size(d); ++i) next.push_back(p + i * t.stride(d));
    where = std::move(next);
  }
  return where;
}

/// Changing one element must not change another one, of its leaf or of another leaf in the same memory.
void check_disjoint(const std::vector<Leaf>& leaves) {
  std::map<const Storage*, std::vector<const Leaf*>> by_storage;
  for (const Leaf& l : leaves) by_storage[l.variable.value().storage().get()].push_back(&l);
  for (const auto& [storage, sharing] : by_storage) {
    if (sharing.size() == 1 && sharing[0]->variable.value().is_dense_in_any_order()) continue;
    std::map<int64_t, const Leaf*> taken;
    for (const Leaf* l : sharing)
      for (int64_t p : l->where) {
        const auto [at, fresh] = taken.emplace(p, l);
        AR_CHECK(fresh, "gradcheck: ", l->name, " ", l->variable.shape(), " with strides ",
                 l->variable.value().strides(), " has elements that share memory with others",
                 at->second == l ? "" : " (of " + at->second->name + ")", "; check a clone() of it");
      }
  }
}

std::vector<Leaf> leaves_of(const std::vector<Variable>& inputs, const std::vector<Variable>& parameters) {
  std::vector<Leaf> leaves;
  const auto add = [&](const std::vector<Variable>& from, const char* what) {
    for (size_t i = 0; i < from.size(); ++i) {
      if (!from[i].defined() || !from[i].requires_grad()) continue;
      const std::string name = what + std::to_string(i);
      AR_CHECK(from[i].is_leaf(), "gradcheck: ", name, " is computed; it must be a leaf");
      AR_CHECK(from[i].dtype() == Dtype::f64, "gradcheck: ", name, " must be float64, it is ", from[i].dtype(),
               ": finite differences say nothing in less");
      leaves.push_back({from[i], name, positions(from[i].value())});
    }
  };
  add(inputs, "input ");
  add(parameters, "parameter ");
  AR_CHECK(!leaves.empty(), "gradcheck: no input and no parameter requires a gradient");
  check_disjoint(leaves);
  return leaves;
}

class Check {
 public:
  Check(const GradcheckFn& f, const std::vector<Variable>& inputs, std::vector<Leaf> leaves,
        const GradcheckOptions& options)
      : f_(f), inputs_(inputs), leaves_(std::move(leaves)), options_(options), random_(default_generator().state()) {}

  GradcheckResult run() {
    forget_gradients();
    const std::vector<Variable> results = call();
    check_results(results);
    if (result_.passed) check_repetition(results);
    if (result_.passed) compare_all(results);
    forget_gradients();
    return result_;
  }

 private:
  std::vector<Variable> call() const {
    default_generator().set_state(random_);
    std::vector<Variable> results = f_(inputs_);
    std::erase_if(results, [](const Variable& v) { return !v.defined(); });
    return results;
  }

  /// All results one after another, without recording.
  static std::vector<double> numbers(const std::vector<Variable>& results) {
    std::vector<double> all;
    for (const Variable& v : results) {
      const std::vector<double> x = v.value().to_vector<double>();
      all.insert(all.end(), x.begin(), x.end());
    }
    return all;
  }
  std::vector<double> values() const {
    NoGrad no_grad;
    return numbers(call());
  }

  void forget_gradients() const {
    for (const Leaf& l : leaves_) l.variable.zero_grad();
  }

  template <class... Parts>
  void wrong(const Parts&... parts) {
    result_.passed = false;
    if (!result_.message.empty()) return;
    std::ostringstream text;
    text.precision(9);
    (text << ... << parts);
    result_.message = text.str();
  }

  void check_results(const std::vector<Variable>& results) {
    bool any = false;
    for (size_t i = 0; i < results.size(); ++i) {
      AR_CHECK(results[i].dtype() == Dtype::f64, "gradcheck: result ", i, " must be float64, it is ",
               results[i].dtype());
      any = any || results[i].requires_grad();
    }
    if (!any) wrong("no result requires a gradient, though an input does");
  }

  void check_repetition(const std::vector<Variable>& results) {
    const std::vector<double> first = numbers(results), again = numbers(call());
    const auto bits = [](double value) { return std::bit_cast<uint64_t>(value); };
    if (!std::ranges::equal(first, again, {}, bits, bits)) wrong("two equal calls gave different results");
  }

  void compare_all(const std::vector<Variable>& results) {
    int64_t entries = 0, outputs = 0;
    for (const Leaf& l : leaves_) entries += int64_t(l.where.size());
    for (const Variable& v : results) outputs += v.numel();
    if (2 * entries + outputs <= options_.full_below)
      full(results);
    else
      for (int i = 0; i < options_.projections; ++i) projected(call(), options_.seed + uint64_t(i));
  }

  /// The gradient of v^T f: one vector per leaf, in logical order.
  std::vector<std::vector<double>> backward(const std::vector<Variable>& results, const std::vector<double>& v) const {
    forget_gradients();
    int64_t at = 0;
    for (const Variable& r : results) {
      const std::vector<double> part(v.begin() + at, v.begin() + at + r.numel());
      at += r.numel();
      if (r.requires_grad()) r.backward(from_vector(part, r.shape()).to(r.value().device()), true);
    }
    std::vector<std::vector<double>> grads;
    for (const Leaf& l : leaves_) {
      const Tensor& g = l.variable.grad();
      grads.push_back(g.defined() ? g.to_vector<double>() : std::vector<double>(l.where.size()));
    }
    return grads;
  }

  /// (f(x + eps u) - f(x - eps u)) / (2 eps), where u(i) is the direction at element i of one leaf.
  template <class Direction>
  std::vector<double> difference(const Leaf& leaf, int64_t first, int64_t last, Direction&& u) const {
    const std::vector<double> before = leaf.variable.value().to_vector<double>();
    const auto moved = [&](double step) {
      std::vector<double> after = before;
      for (int64_t i = first; i < last; ++i) after[size_t(i)] += step * u(i);
      leaf.variable.value().copy_from(from_vector(after, leaf.variable.shape()));
    };
    std::vector<double> d, lower;
    try {
      moved(options_.eps);
      d = values();
      moved(-options_.eps);
      lower = values();
    } catch (...) {
      moved(0);
      throw;
    }
    moved(0);
    for (size_t i = 0; i < d.size(); ++i) d[i] = (d[i] - lower[i]) / (2 * options_.eps);
    return d;
  }

  template <class... Where>
  void compare(double analytical, double numerical, const Leaf& leaf, const Where&... where) {
    const double error = std::abs(analytical - numerical) / (options_.atol / options_.rtol + std::abs(numerical));
    if (!(error <= result_.worst_relative_error)) result_.worst_relative_error = error;  // NaN is the worst
    if (!(error <= options_.rtol))
      wrong(leaf.name, " ", leaf.variable.shape(), where..., ": analytical ", analytical, ", numerical ", numerical);
  }

  void full(const std::vector<Variable>& results) {
    int64_t outputs = 0;
    for (const Variable& v : results) outputs += v.numel();
    std::vector<std::vector<std::vector<double>>> rows;  // [output][leaf][element]
    std::vector<double> v(static_cast<size_t>(outputs));
    for (double& one : v) {
      one = 1;
      rows.push_back(backward(results, v));
      one = 0;
    }
    if (outputs == 0) backward(results, v);  // runs all the same
    for (size_t l = 0; l < leaves_.size(); ++l)
      for (int64_t i = 0; i < int64_t(leaves_[l].where.size()); ++i) {
        const std::vector<double> column = difference(leaves_[l], i, i + 1, [](int64_t) { return 1.0; });
        for (size_t o = 0; o < column.size(); ++o)
          compare(rows[o][l][size_t(i)], column[o], leaves_[l], ", element ", i, ", result element ", o);
      }
  }

  void projected(const std::vector<Variable>& results, uint64_t seed) {
    Generator g(seed);
    const auto draw = [&](int64_t n) {
      const Tensor t = empty({n}, {.dtype = Dtype::f64});
      uniform_(t, -1, 1, g);
      return t.to_vector<double>();
    };
    int64_t outputs = 0;
    for (const Variable& r : results) outputs += r.numel();
    const std::vector<double> v = draw(outputs);
    const std::vector<std::vector<double>> grads = backward(results, v);
    for (size_t l = 0; l < leaves_.size(); ++l) {
      const int64_t n = int64_t(leaves_[l].where.size());
      const std::vector<double> u = draw(n);
      const std::vector<double> d = difference(leaves_[l], 0, n, [&](int64_t i) { return u[size_t(i)]; });
      double analytical = 0, numerical = 0;
      for (size_t i = 0; i < u.size(); ++i) analytical += grads[l][i] * u[i];
      for (size_t o = 0; o < d.size(); ++o) numerical += v[o] * d[o];
      compare(analytical, numerical, leaves_[l], ", random projection");
    }
  }

  const GradcheckFn& f_;
  const std::vector<Variable>& inputs_;
  const std::vector<Leaf> leaves_;
  const GradcheckOptions& options_;
  const PhiloxState random_;
  GradcheckResult result_;
};

}  // namespace

GradcheckResult gradcheck(const GradcheckFn& f, const std::vector<Variable>& inputs,
                          const std::vector<Variable>& parameters, const GradcheckOptions& options) {
  EnableGrad enable;
  return Check(f, inputs, leaves_of(inputs, parameters), options).run();
}

void check_gradients(const GradcheckFn& f, const std::vector<Variable>& inputs, const std::vector<Variable>& parameters,
                     const GradcheckOptions& options) {
  const GradcheckResult r = gradcheck(f, inputs, parameters, options);
  AR_CHECK(r.passed, "gradcheck: ", r.message, " (worst relative error ", r.worst_relative_error, ")");
}

}  // namespace ar
