// index.html of an output folder: what was cut and why, to be looked through by a person.
#pragma once
#include <string>
#include <vector>

#include "apps/clips/journal.h"

namespace ar::apps {

/// A page for these videos: per video the scores over time with the chosen windows, and its clips with a key frame (at
/// the peak), a player and a choice of accept or reject. Choices are kept by the browser; a button saves them as CSV
/// with the columns of clips.csv and `verdict`. The page needs no other file but the clips, by relative address.
std::string clip_gallery(const std::string& out_dir, const std::vector<VideoRecord>& videos,
                         const std::vector<std::string>& classes);

}  // namespace ar::apps
