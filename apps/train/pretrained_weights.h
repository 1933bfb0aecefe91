// Pretrained weights for a training run, with the progress of a download on the terminal.
#pragma once
#include <functional>
#include <string>

#include "apps/model/pretrained.h"

namespace ar::apps {

/// Calls `load` with the source, a display of its download and the stop signal; then says which file it was, and all
/// notes.
void show_pretrained(const std::string& source, const std::function<Pretrained(const PretrainedOptions&)>& load);

}  // namespace ar::apps
