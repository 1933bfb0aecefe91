// Videos of many kinds, for tests that must hold for each.
#pragma once
#include <ostream>
#include <string>
#include <vector>

#include "tests/video/make_video.h"

namespace ar::test {

struct Kind {
  std::string name, file;
  Movie movie;
};
inline std::ostream& operator<<(std::ostream& out, const Kind& k) { return out << k.name; }

std::vector<Kind> kinds();

}  // namespace ar::test
