// Takes files out of a data set without losing any.
#pragma once
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace ar::apps {

/// Throws Error where `target` lies within `root` (it would become a class) or the other way round, or is no folder.
void check_aside(const std::filesystem::path& root, const std::filesystem::path& target);

struct MovedAside {
  int64_t moved = 0;
  std::vector<std::string> skipped = {};  // "PATH: why"
};

/// Moves root/PATH to target/PATH for all these paths. Nothing is ever overwritten: where a name is taken, "-2" and so
/// on is put before its ending. "target/moved.tsv" gets a line for each, before it is moved: the old place, tab, the
/// new one, both absolute. Links, and names with tabs or line breaks, stay. `stop` ends it between two files. Throws
/// Error, with what is done so far in that list.
MovedAside move_aside(const std::filesystem::path& root, const std::vector<std::string>& paths,
                      const std::filesystem::path& target, const std::atomic<bool>* stop = nullptr);

}  // namespace ar::apps
