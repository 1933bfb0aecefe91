// What the main functions of the benchmarks have in common.
#pragma once
#include <cstdio>
#include <exception>

namespace ar::bench {

/// The exit code of `body`; an exception becomes one line on standard error and 1.
template <class Body>
int run_or_complain(Body&& body) {
  try {
    return body();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "error: %s\n", e.what());
    return 1;
  }
}

}  // namespace ar::bench
