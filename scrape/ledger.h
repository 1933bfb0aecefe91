// What is known of every class of a data set while it is built: results, what became of them, and what may be done
// next.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "scrape/manifest.h"
#include "scrape/near_index.h"

namespace ar::scrape {

/// The image check's answer, for bytes that arrived.
struct CheckedImage {
  std::string cause, error;  ///< why it is no good; empty when it is
  std::string format;        ///< the file's real format as an ending: jpg, png, webp, ...
  std::string sha256;        ///< 64 hexadecimal digits
  uint64_t phash = 0;        ///< perceptual hash
  int width = 0, height = 0;
};

struct LedgerOptions {
  std::string folder;
  int64_t wanted = 100;           ///< images per class
  int near_distance = 4;          ///< perceptual hashes that differ in at most so many bits are of the same picture
  bool keep_cross_class = false;  ///< keep a picture that two classes have, instead of dropping it from both
  bool retry_failed = false;      ///< failures recorded earlier are tried again
};

/// Keeps the manifest and the files of the data set in step with a few bytes a result in memory.
///
/// What is kept depends only on each class's results in their order and on what each download gave, not on which came
/// first: a class takes its results strictly in rank order and goes on only while it has fewer than `wanted`; a picture
/// near to an earlier one of its class is a duplicate; one near to any taken picture of another class is in neither. As
/// taking more results can only make a class lose pictures, the order in which classes go on does not matter: they all
/// end at the same least fixed point. That is why a killed and restarted run ends with the same set.
///
/// Not safe for several threads, except where said.
class Ledger {
 public:
  /// Opens the data set, and continues what its manifest tells. Classes of earlier runs that are not among `names`
  /// stay.
  Ledger(const LedgerOptions& options, const std::vector<std::string>& names);

  std::size_t classes() const { return active_; }
  const std::string& name(std::size_t c) const { return class_(c).name; }
  /// Whether the class has a result of the same URL.
  bool knows(std::size_t c, const Record& record) const;
  /// What became of the same URL in another class, if that is known: a record that is "failed", or of an image.
  std::optional<Record> same_elsewhere(std::size_t c, const Record& record) const;
  /// Adds a result of class `c` unless it has one of the same URL; whether it was added. `record.rank` is filled in.
  bool add(std::size_t c, Record record);
  /// The next result of the class that is worth downloading now, marked as under way; nothing if there is none.
  std::optional<Record> next(std::size_t c);
  /// Where the bytes of an image are to be written, whole, before arrived(). Any thread.
  std::string staged(const std::string& name, int64_t rank) const;
  /// Where the bytes of a data: URI are kept until they are needed.
  std::string spooled(const std::string& name) const { return path(".thumb-" + name); }
  std::string path(const std::string& relative) const { return options_.folder + "/" + relative; }
  /// A download is over, well or not; takes the class's results as far as possible. `record` is that of next() with
  /// what is known of the download filled in. A good image whose bytes are not staged must be of same_elsewhere(), and
  /// `keep_cross_class` be off: then it is dropped for certain.
  void arrived(std::size_t c, Record record, const CheckedImage& image);
  /// A search came to an end.
  void searched(std::size_t c, Record record);

  bool full(std::size_t c) const { return class_(c).kept >= class_(c).wanted; }
  /// Nothing is left to download or under way in this class.
  bool used_up(std::size_t c) const { return class_(c).taken == class_(c).results.size(); }
  /// Results that are not decided on.
  int64_t open(std::size_t c) const { return static_cast<int64_t>(class_(c).results.size() - class_(c).taken); }
  /// How many results of `query` an earlier search asked for, and whether the engine had no more.
  struct Searched {
    int64_t wanted = 0;
    bool end = false;
  };
  Searched search_of(std::size_t c, const std::string& query) const;

  struct Counts {
    int64_t found = 0, kept = 0, duplicate = 0, cross_class = 0, failed = 0;
    std::map<std::string, int64_t> causes;  ///< of the failures
  };
  Counts counts(std::size_t c) const;
  int64_t kept(std::size_t c) const { return class_(c).kept; }
  int64_t kept_in_all() const { return kept_in_all_; }
  int64_t failed_in_all() const { return failed_in_all_; }
  /// Takes away what is only needed while downloading.
  void finish();
  void sync() { manifest_->sync(); }

 private:
  enum class State : uint8_t { kFound, kAsked, kArrived, kFailed, kKept, kDuplicate, kCross };
  struct Result {
    int64_t offset;  // of its last line in the manifest
    uint64_t phash;
    State state;
    uint16_t cause;
  };
  struct Class {
    std::string name;
    int64_t wanted = 0;
    int64_t kept = 0;
    std::size_t taken = 0;  // results [0, taken) are decided
    std::size_t asked = 0;  // results [0, asked) are decided, under way or arrived
    int64_t under_way = 0;  // of [taken, asked): not failed
    std::vector<Result> results;
    std::map<std::string, Searched> searches;
  };
  struct Picture {
    uint32_t c;
    uint32_t rank;
  };

  static uint64_t key(const Record& record);
  const Class& class_(std::size_t c) const { return classes_[c]; }
  std::size_t find_class(const std::string& name);
  void replay(Record&& record, int64_t offset);
  void settle_after_replay();
  void take(std::size_t c);
  void take_pending();
  void decide(std::size_t c, std::size_t rank);
  void drop_from_other(const Picture& other, const std::string& of);
  uint16_t cause_number(const std::string& cause);
  void remove_files(const std::vector<std::string>& beginnings);

  LedgerOptions options_;
  std::size_t active_ = 0;
  std::vector<Class> classes_;
  std::unordered_map<std::string, std::size_t> by_name_;
  std::vector<std::string> causes_;
  std::unordered_multimap<uint64_t, Picture> by_url_;  // all results
  std::vector<Picture> pictures_;
  NearIndex index_;
  std::vector<std::size_t> pending_;  // classes that lost a picture to another, and may go on
  int64_t kept_in_all_ = 0, failed_in_all_ = 0;
  std::optional<Manifest> manifest_;
};

/// Writes `bytes` to `path` so that the file is there whole or not at all; throws Error.
void write_file(const std::string& path, const std::string& bytes);

/// A 64-bit hash (FNV-1a) for keys and names of temporary files.
uint64_t hash64(const std::string& text);
std::string hex64(uint64_t value);

}  // namespace ar::scrape
