#include "io/cache_file.h"

#include <cstdlib>

#include "io/sha256.h"

namespace ar::io {

namespace fs = std::filesystem;

fs::path cache_root() {
  const auto variable = [](const char* name) { return std::string(std::getenv(name) ? std::getenv(name) : ""); };
  if (const std::string folder = variable("AR_CACHE"); !folder.empty()) return folder;
  const std::string home = variable("HOME");
  return home.empty() ? fs::path() : fs::path(home) / ".cache" / "ar";
}

fs::path cache_file(const std::string& kind, const fs::path& subject, const std::string& ending) {
  const fs::path root = cache_root();
  if (root.empty()) return {};
  std::error_code error;
  const std::string whole = fs::canonical(subject, error).string();
  const std::span<const uint8_t> bytes(reinterpret_cast<const uint8_t*>(whole.data()), whole.size());
  return root / kind / (sha256_hex(bytes).substr(0, 16) + ending);
}

FileState file_state(const fs::path& file) {
  std::error_code error;
  FileState state;
  const auto size = fs::file_size(file, error);
  if (error) return state;
  const auto time = fs::last_write_time(file, error);
  if (!error) state = {int64_t(size), int64_t(time.time_since_epoch().count())};
  return state;
}

}  // namespace ar::io
