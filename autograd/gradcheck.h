// Checks the gradients of a function against finite differences, in f64. Whoever writes an op tests it with this.
#pragma once
#include <functional>
#include <string>

#include "autograd/variable.h"

namespace ar {

/// A function under test; undefined results are left out.
using GradcheckFn = std::function<std::vector<Variable>(const std::vector<Variable>&)>;

struct GradcheckOptions {
  double eps = 1e-6;   // the step of the central difference
  double atol = 1e-5;  // entries agree if |analytical - numerical| <= atol + rtol * |numerical|
  double rtol = 1e-3;
  int64_t full_below = 2000;  // more evaluations than this, and random projections v^T J u stand in for the Jacobian J
  int projections = 3;
  uint64_t seed = 0;  // of the projections
};

struct GradcheckResult {
  bool passed = true;
  /// The largest |analytical - numerical| / (atol / rtol + |numerical|): passed if at most rtol.
  double worst_relative_error = 0;
  std::string message;  // what is wrong, for people; empty if passed
  explicit operator bool() const { return passed; }
};

/// Compares the gradients of all results of f with respect to every input and parameter that requires one: analytical
/// by backward(), numerical by (f(x + eps) - f(x - eps)) / (2 eps). Also: equal calls give equal bits. The default
/// generator is put back before each call, so that dropout draws one mask. `parameters` are leaves that f uses by
/// itself (a module's). Values are left as they were, gradients undefined. Throws Error if a leaf to check is not f64,
/// if elements of leaves overlap in memory (an expanded view), or if nothing requires a gradient.
GradcheckResult gradcheck(const GradcheckFn& f, const std::vector<Variable>& inputs,
                          const std::vector<Variable>& parameters = {}, const GradcheckOptions& options = {});
/// The same; throws Error with the message if it fails.
void check_gradients(const GradcheckFn& f, const std::vector<Variable>& inputs,
                     const std::vector<Variable>& parameters = {}, const GradcheckOptions& options = {});

}  // namespace ar
