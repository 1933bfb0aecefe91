// Where it happens: rooms and the open country, each its own for every seed.
#pragma once
#include <cstdint>

#include "apps/demo/view.h"

namespace ar::apps::demo {

/// Paints all that stands behind the person. The same seed is the same place, from wherever it is seen.
void draw_scene(const View& view, uint64_t seed);

}  // namespace ar::apps::demo
