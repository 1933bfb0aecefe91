// Errors of scrape/: one base type, and small helpers to compose their text.
#pragma once
#include <cerrno>
#include <cstring>
#include <sstream>
#include <stdexcept>
#include <string>

namespace ar::scrape {

/// Every failure of this library. `what()` is one line: what failed, why, and a remedy if there is one.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// All parts streamed one after another.
template <class... Parts>
std::string cat(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

/// Throws Error with all parts streamed one after another.
template <class... Parts>
[[noreturn, gnu::cold, gnu::noinline]] void fail(const Parts&... parts) {
  throw Error(cat(parts...));
}

/// The text of `errno`, as of now.
inline std::string system_error() { return std::strerror(errno); }

}  // namespace ar::scrape
