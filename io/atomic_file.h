// AtomicFile: a file that appears under its name only when it is complete.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace ar::io {

/// Writes to "PATH.tmp" beside the file; commit() flushes that to the disk and renames it. Before that the former file
/// stays as it is, whatever happens, be it a full disk or the end of the process. Without commit the temporary is
/// removed; one that a killed process left is overwritten by the next AtomicFile of that path. Missing folders are
/// made; a link is followed. All functions throw Error, starting with the path.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  const std::string& path() const { return path_; }
  /// Bytes written so far.
  int64_t position() const { return position_; }
  void write(const void* data, int64_t bytes);
  void write(std::string_view text) { write(text.data(), int64_t(text.size())); }
  void commit();

 private:
  void open_temporary();
  void flush();
  void write_through(const char* data, int64_t bytes);
  [[noreturn]] void error(const char* what) const;

  std::string path_, target_, temporary_, buffer_;
  int file_ = -1;
  int64_t position_ = 0;
};

/// The whole file in one call.
void write_file_atomically(const std::string& path, std::string_view text);

}  // namespace ar::io
