// Building an image data set: searches for every class, downloads what they find, and keeps the account.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "scrape/engine.h"
#include "scrape/fetch_pool.h"
#include "scrape/ledger.h"

namespace ar::scrape {

/// A class and what to search for to fill it.
struct ActionClass {
  std::string name;  ///< also that of its folder
  std::vector<std::string> queries;
};

enum class Quality {
  kBest,   ///< full size, or else the thumbnail
  kFull,   ///< full size only
  kThumb,  ///< thumbnail only
};

struct BuildOptions {
  LedgerOptions ledger;
  FetchOptions fetch;
  Quality quality = Quality::kBest;
  int browsers = 1;  ///< searches at the same time
  std::string safe = "on", license;
  const std::atomic<bool>* stop = nullptr;  ///< when it turns true the build ends soon, and can be continued later
};

/// How far a build is.
struct BuildProgress {
  std::size_t classes = 0, classes_done = 0;
  int64_t kept = 0, failed = 0;
  int64_t expected = 0;  ///< images in the end, as far as can be told: classes not searched yet count like the others
  std::size_t downloading = 0;
  int64_t bytes = 0;
  std::vector<std::string> searching;  ///< classes that are searched for now
};

struct BuildResult {
  std::vector<Ledger::Counts> counts;  ///< per class
  bool stopped = false;
  std::vector<std::string> search_errors;  ///< one line each
  bool mismatch = false;                   ///< a profile did not match its page
};

/// Makes the engine of one browser; called in the thread that will use it.
using EngineFactory = std::function<std::unique_ptr<Engine>()>;
/// Whether these bytes are an image worth keeping. Called from several threads.
using ImageCheck = std::function<CheckedImage(const std::string& bytes)>;

/// Builds or continues the data set in `options.ledger.folder`. Returns when every class is full or its searches give
/// no more. Throws Error for what cannot be gone on from (disk full, no permission). `progress` is called ten times a
/// second.
BuildResult build_data_set(const std::vector<ActionClass>& classes, const BuildOptions& options,
                           const EngineFactory& make_engine, const ImageCheck& check,
                           const std::function<void(const BuildProgress&)>& progress);

}  // namespace ar::scrape
