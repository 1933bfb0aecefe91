// The names of the samples that a checkpoint was trained and validated on.
#pragma once
#include <string>
#include <vector>

#include "io/split.h"
#include "io/value.h"

namespace ar::apps {

io::Value split_value(const io::SplitLists& split);
io::SplitLists split_from_value(const io::Field& saved);
/// Empty lists where the checkpoint keeps none.
io::SplitLists split_of(const io::Value& checkpoint);

/// How many of an evaluation's samples a checkpoint knows, by their names below the data set's folder.
struct SeenSamples {
  int64_t trained_on = 0, validated_on = 0;
};
SeenSamples seen_samples(const io::SplitLists& split, const std::vector<std::string>& names);
/// Says so on the terminal, if it knows any. unit: "images".
void tell_seen(const SeenSamples& seen, size_t all, const std::string& unit);

}  // namespace ar::apps
