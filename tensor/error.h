// Errors: one exception type, and a check that composes "op: rule, what came" from its parts.
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>

namespace ar {

/// Every misuse and every failure of this library. `what()` reads "op: rule, what came, remedy".
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws Error with all parts streamed one after another.
template <class... Parts>
[[noreturn, gnu::cold, gnu::noinline]] void fail(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  throw Error(out.str());
}

}  // namespace ar

/// AR_CHECK(x.rank() == 4, "conv2d: x must have 4 dimensions (N,C,H,W), x is ", x.shape());
#define AR_CHECK(condition, ...)   \
  do {                             \
    if (!(condition)) [[unlikely]] \
      ::ar::fail(__VA_ARGS__);     \
  } while (0)
