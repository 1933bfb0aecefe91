// manifest.jsonl: what became of every result, a JSON object a line, only ever appended to.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "scrape/error.h"

namespace ar::scrape {

/// One line. For each class and rank the last line counts. A line without rank tells of a search.
struct Record {
  /// found: a result of a search, nothing done yet.     downloaded: arrived, checked, waiting for its turn.
  /// failed: see `cause`.                               kept: in the data set, as `file`.
  /// duplicate: of an earlier one of its class, `of`.   cross-class: also found in another class, `of`; in neither.
  /// searched: the search for `query` came to an end.   search-failed: it did not, see `error`.
  std::string status;
  std::string name;  ///< the class ("class")
  std::string query;
  int64_t rank = -1;  ///< place among the class's results, from 0
  std::string url, thumb, page, title, license, author;
  std::string source;        ///< full or thumb: which of the two the image came from
  std::string cause, error;  ///< of a failure: in a word, and in more
  std::string file;          ///< relative to the data set
  std::string format, sha256, phash, of;
  int64_t width = 0, height = 0, bytes = 0;
  double seconds = 0;  ///< that the download took
  int attempts = 0;
  int64_t found = 0, wanted = 0;  ///< of a search: results seen, and how many were asked for
  bool end = false;               ///< of a search: the engine has no more
  std::string time;               ///< when the line was written, UTC, ISO 8601; filled in by append()
};

std::string to_line(const Record& record);
/// Throws Error when the line is none of ours.
Record from_line(std::string_view line);

/// The open manifest of a data set, locked against a second program. Every line is written in one call, so that even a
/// killed program leaves at most one torn line, at the end, which the next open() cuts off.
class Manifest {
 public:
  /// Creates or opens `folder`/manifest.jsonl and gives every record with its place to `visit`. Throws Error when the
  /// folder is in use by another program or holds something else.
  Manifest(const std::string& folder, const std::function<void(Record&&, int64_t offset)>& visit);
  ~Manifest();
  Manifest(const Manifest&) = delete;
  Manifest& operator=(const Manifest&) = delete;

  /// Appends and returns the place of the line. Not to be called by two threads at once.
  int64_t append(Record& record);
  /// The record at a place.
  Record at(int64_t offset) const;
  /// Waits until all of it is on the disk.
  void sync();

 private:
  std::string path_;
  int file_ = -1;
  int64_t size_ = 0;
};

/// Whether `folder` can become or is a data set: absent, empty, or with a manifest of ours. Throws Error if not.
void check_data_set_folder(const std::string& folder);

/// Reads the manifest of a data set that nobody writes now: the last record of each class and rank, and the searches.
void read_manifest(const std::string& folder, const std::function<void(Record&&, int64_t offset)>& visit);

}  // namespace ar::scrape
