// Switches of the environment.
#pragma once
#include <cstdlib>
#include <string>

namespace ar::cuda {

inline bool switched_on(const char* variable) {
  const char* const value = std::getenv(variable);
  return value && std::string(value) == "1";
}

}  // namespace ar::cuda
