// JSON Lines files: one JSON value per line, appended; logs and journals that survive a kill.
#pragma once
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <vector>

namespace ar::io {

/// Appends to a JSON Lines file. Each line goes to the system in one piece; a last line that a kill tore is completed
/// (if only its end of line is missing) or cut off when the file is opened again.
class JsonLines {
 public:
  /// Creates folder and file where need be. Throws Error "PATH: ...".
  explicit JsonLines(std::filesystem::path path);
  ~JsonLines();
  JsonLines(const JsonLines&) = delete;
  JsonLines& operator=(const JsonLines&) = delete;

  /// NaN and infinity are written as null; broken UTF-8 with U+FFFD. Throws Error "PATH: ..." when the disk is full;
  /// the file is then as before.
  void write(const nlohmann::json& value);
  /// Waits until the disk has it.
  void sync();
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int fd_ = -1;
};

/// Calls `take` with one line after the other, of a file of any length; lines that are no JSON are left out. Returns
/// how many those are. A missing file has no lines.
int64_t for_each_json_line(const std::filesystem::path& path, const std::function<void(nlohmann::json&&)>& take);

/// All lines of a file; lines that are no JSON are left out (and counted, if asked). A missing file has none.
std::vector<nlohmann::json> read_json_lines(const std::filesystem::path& path, int64_t* bad_lines = nullptr);

/// Rewrites the file with the lines that `keep` accepts, atomically; lines that are no JSON go too.
void filter_json_lines(const std::filesystem::path& path, const std::function<bool(const nlohmann::json&)>& keep);

}  // namespace ar::io
