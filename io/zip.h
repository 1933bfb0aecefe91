// Zip archives without compression, as PyTorch keeps its tensors (PKWARE's APPNOTE.TXT 6.3.10; zip64 for large ones).
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "io/atomic_file.h"
#include "io/byte_source.h"

namespace ar::io {

/// Reads the list of files at construction. Throws Error on what is no zip archive.
class ZipReader {
 public:
  struct Entry {
    int64_t header = 0;  // where its local header lies
    int64_t size = 0;
    bool stored = true;  // neither compressed nor encrypted
  };
  explicit ZipReader(const ByteSource& source);

  const ByteSource& source() const { return source_; }
  const std::map<std::string, Entry>& entries() const { return entries_; }
  /// Null where there is no such file.
  const Entry* find(const std::string& name) const;
  /// Where the file's bytes begin; all of them lie inside the source. Throws Error if they are compressed.
  int64_t data_offset(const std::string& name, const Entry& entry) const;

 private:
  const ByteSource& source_;
  std::map<std::string, Entry> entries_;
};

/// Appends files to an archive. finish() writes the list of them; then comes AtomicFile::commit().
class ZipWriter {
 public:
  /// `zip64` writes the fields for large archives always (they are written where needed in any case).
  explicit ZipWriter(AtomicFile& file, bool zip64 = false) : file_(file), zip64_(zip64) {}
  /// The bytes start at a multiple of `align` in the file.
  void add(const std::string& name, const void* data, int64_t bytes, int64_t align = 1);
  void add(const std::string& name, std::string_view text) { add(name, text.data(), int64_t(text.size())); }
  void finish();

 private:
  struct Entry {
    std::string name;
    uint32_t crc;
    int64_t size, header;
  };
  AtomicFile& file_;
  bool zip64_;
  std::vector<Entry> entries_;
};

}  // namespace ar::io
