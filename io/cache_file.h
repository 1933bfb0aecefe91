// Where what was learnt about a folder of data is remembered between runs.
#pragma once
#include <filesystem>
#include <string>

namespace ar::io {

/// $AR_CACHE, else ~/.cache/ar; empty when neither AR_CACHE nor HOME is set.
std::filesystem::path cache_root();
/// A file for `subject` (a data set's folder, say, as its canonical path): "ROOT/KIND/<16 hex digits>ENDING"; empty
/// when there is no cache_root().
std::filesystem::path cache_file(const std::string& kind, const std::filesystem::path& subject,
                                 const std::string& ending);

/// By what a file is known again without reading it.
struct FileState {
  int64_t size = -1, time = 0;  // bytes, -1: cannot be told; of the last change, in the clock's units
  friend bool operator==(const FileState&, const FileState&) = default;
};
FileState file_state(const std::filesystem::path& file);

}  // namespace ar::io
