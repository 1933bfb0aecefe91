// LRCN as an entry of the table of video models.
#pragma once
#include "apps/model/video_model.h"

namespace ar::apps {

std::unique_ptr<VideoModelOptions> lrcn_options();
std::unique_ptr<VideoModel> load_lrcn(const io::Field& architecture, int64_t classes);

}  // namespace ar::apps
