// Clips as pictures, to see what a network gets.
#pragma once
#include <string>

#include "io/loader.h"

namespace ar::apps {

/// The first clips of a batch, one a row, eight of their frames side by side, cut out and mirrored as the network sees
/// them: a PNG file. `crop` is the side of the square; it is shown at half its size.
std::string clip_picture(const io::Batch& batch, int64_t crop);

}  // namespace ar::apps
