// Confusion matrices as heat maps.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace ar::apps {

/// confusion[truth][predicted] counts samples. Up to 24 classes: a table with the numbers; more: a picture with the
/// names and numbers under the pointer (or at a cursor moved with the arrow keys). The colour is the share of the row,
/// right ones in blue, wrong ones in orange.
std::string html_matrix(const std::vector<std::string>& classes, const std::vector<std::vector<int64_t>>& confusion);

/// The pairs of classes that are confused most often, as a table of at most `most` rows; "" if nothing is confused.
std::string html_confused_pairs(const std::vector<std::string>& classes,
                                const std::vector<std::vector<int64_t>>& confusion, size_t most = 20);

}  // namespace ar::apps
