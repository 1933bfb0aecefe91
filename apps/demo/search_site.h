// Pictures behind a small image search: a folder of static files that any web server can serve.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace ar::apps::demo {

struct SiteOptions {
  uint64_t seed = 0;
  int per_action = 100;  ///< results that show the action; others are mixed in
};

/// Results are not all what they should be, as with real searches.
enum class ResultKind {
  good,
  wrong,    ///< shows another action
  copy,     ///< the bytes of an earlier result under another address
  near,     ///< an earlier result, compressed once more
  shared,   ///< also a result of the next action
  missing,  ///< nothing is at its address
  page,     ///< HTML that says it is a JPEG
  cut,      ///< the first half of a file
  tiny,     ///< an icon
};
const char* to_string(ResultKind kind);

struct SearchResult {
  std::string action;
  int rank = 0;
  std::string file;  ///< "images/waving/012.jpg"
  ResultKind kind = ResultKind::good;
};

/// Writes search.html (the page; ?q=ACTION), results/ACTION.json, images/, robots.txt, and truth.csv, which says what
/// is wrong with which result. Returns the same. `done` is called after each picture.
std::vector<SearchResult> write_search_site(const std::filesystem::path& folder, const SiteOptions& options,
                                            const std::function<void()>& done);
/// Number of results, of all actions together.
int count(const SiteOptions& options);

/// The engine profile for ar-build-image-ds; `address` is where the site is served ("http://127.0.0.1:8000").
std::string engine_profile(const std::string& address);

}  // namespace ar::apps::demo
