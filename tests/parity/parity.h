// What the parity tests share: the fixtures, the tolerances and the comparison (tests/fixtures/README.md says why).
#pragma once
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "autograd/autograd.h"
#include "tests/fixtures/safetensors.h"

namespace parity {

/// A fixture file by its name without ending; read once.
const Safetensors& fixture(const char* name);

/// Largest difference allowed, relative to the largest value of the tensor.
inline double tolerance(ar::Dtype dtype) { return dtype == ar::Dtype::f64 ? 1e-9 : 1e-4; }

/// |got - want| <= tolerance * max(max |want|, floor), element by element, and equal shapes. The floor keeps a tensor
/// that is zero but for rounding from asking for the same rounding.
testing::AssertionResult close(const ar::Tensor& got, const ar::Tensor& want, double tolerance, double floor = 1e-2);

/// One case of an op, to be computed in one dtype.
class Case {
 public:
  Case(const std::string& file, std::string name, ar::Dtype dtype)
      : options(fixture(file.c_str()).options(name)),
        file_(fixture(file.c_str())),
        name_(std::move(name)),
        dtype_(dtype) {}

  const nlohmann::json& options;

  /// A leaf with the stored value; the same one on every call.
  ar::Variable input(const std::string& what);
  /// The same, undefined where the case has no such input.
  ar::Variable input_if_any(const std::string& what) { return has(what) ? input(what) : ar::Variable(); }
  /// Makes `variable` (a module's parameter, say) the input, so that its gradient is what check() looks at.
  void bind(const std::string& what, ar::Variable variable) { inputs_[what] = std::move(variable); }
  /// A constant; undefined where the case has none. The same memory on every call.
  ar::Tensor constant(const std::string& what);
  bool has(const std::string& what) const { return file_.has(name_ + "/" + what); }
  ar::Pair pair(const char* option) const;

  ar::Dtype dtype() const { return dtype_; }

  /// Compares outputs, the gradients of all inputs and changed constants with the stored ones.
  void check(const std::map<std::string, ar::Variable>& outputs);

 private:
  ar::Tensor stored(const std::string& what) const { return file_.tensor(name_ + "/" + what, dtype_); }

  const Safetensors& file_;
  std::string name_;
  ar::Dtype dtype_;
  std::map<std::string, ar::Variable> inputs_;
  std::map<std::string, ar::Tensor> constants_;
};

using Outputs = std::map<std::string, ar::Variable>;
using Op = std::function<Outputs(Case&)>;
using Ops = std::map<std::string, Op>;

/// Where a test of a case comes from; printed by GoogleTest.
struct CaseName {
  std::string file, name;
  ar::Dtype dtype;
};
/// Runs a case with the function its "op" names, and checks it.
void run(const CaseName& name, const Ops& ops);
/// All cases of these files, in double and in float.
std::vector<CaseName> all_cases(const std::vector<std::string>& files);
/// "conv2d_3x3_float32"
std::string test_name(const testing::TestParamInfo<CaseName>& info);
inline void PrintTo(const CaseName& name, std::ostream* out) { *out << name.file << "/" << name.name; }

}  // namespace parity
