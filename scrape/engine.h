// Image search engines as data: a JSON profile tells where a search page, or a JSON API, keeps its results
// (docs/engine-profiles.md describes the members), and two interpreters read them.
#pragma once
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "scrape/error.h"
#include "scrape/webdriver.h"

namespace ar::scrape {

/// A page that does not look as its profile says. what() begins "engine profile NAME no longer matches the page".
class ProfileMismatch : public Error {
 public:
  using Error::Error;
};

/// One way to find a URL or a text in a page: an element, its attribute, and perhaps a part of that.
struct Rule {
  std::string selector;   ///< CSS; empty means the result itself
  bool in_page = false;   ///< look in the whole page instead of within the result
  std::string attribute;  ///< "text" for the element's text
  std::string json;       ///< dotted path, when the attribute holds JSON
  std::string parameter;  ///< name, when the wanted URL is a query parameter of the attribute's URL
};

/// An element that shows something by being visible, optionally only with `text` in it.
struct Sign {
  std::string selector;
  std::string text;
};

struct Profile {
  std::string name;
  std::string path;  ///< of the file it came from
  bool api = false;  ///< a JSON API rather than a page

  /// With {query} and perhaps {safe} and {license}; an API's also with {page} (1, 2, ...) or {continue}.
  std::string search_url;
  std::map<std::string, std::string> safe_search;  ///< level -> text for {safe}
  std::map<std::string, std::string> licenses;     ///< name -> text for {license}

  // Pages.
  std::string results;                             ///< CSS of one result
  std::vector<Rule> full, thumbnail, page, title;  ///< the first rule that yields something counts
  std::string click;                               ///< CSS within a result: what to click so that the full size shows
  std::vector<Rule> full_after_click;
  double click_wait_s = 3;
  std::vector<std::string> consent;  ///< CSS of buttons, clicked whenever visible
  std::vector<Sign> more, end, no_results, blocked;
  double load_s = 20;     ///< how long the first results may take
  double patience_s = 6;  ///< no new results for so long: the end

  // APIs: dotted paths in the answer, `list` to the results and the others within one of them.
  std::string list, image, preview, landing, caption, license, license_version, author, sort_by;
  std::string next;    ///< path of the value for {continue}; absent on the last page
  std::string pages;   ///< path of the number of pages
  double pause_s = 1;  ///< between two requests
};

/// Reads a profile; throws Error naming the file and the member that is wrong, missing or unknown.
Profile read_profile(const std::string& path);

/// The profile of a shipped engine (google, bing, ...), or of a path that ends in .json.
Profile find_profile(const std::string& name_or_path);

/// Names of the shipped engines.
std::vector<std::string> shipped_engines();

/// The URL that searches for `query`; throws Error when the profile has no such safe-search level or licence.
std::string search_url(const Profile& profile, const std::string& query, const std::string& safe,
                       const std::string& license, const std::string& page = "");

/// One result; what the engine does not tell is empty.
struct Found {
  std::string url;    ///< of the image in full size
  std::string thumb;  ///< of its thumbnail, often a data: URI
  std::string page;   ///< where it stands
  std::string title, license, author;
};

struct SearchRequest {
  std::string query;
  std::string safe = "on";
  std::string license = {};
  std::size_t wanted = 100;
  bool full = true;                         ///< whether URLs of the full size are wanted; else only thumbnails
  const std::atomic<bool>* stop = nullptr;  ///< ends the search when true
};

enum class SearchEnd {
  kWanted,   ///< as many as wanted; there may be more
  kEnd,      ///< the engine has no more
  kStopped,  ///< `stop`
};

/// Called for each result in the order of the page.
using OnFound = std::function<void(Found&&)>;

/// What a part of a profile found.
struct Inspected {
  std::string member;  ///< of the profile: "results", "full[0]", ...
  std::string what;    ///< its selector or path
  int64_t count = 0;   ///< elements or results that have it
  int64_t of = -1;     ///< results in all; -1: it is not looked for in each result
  std::string sample;  ///< what it found first
};

/// As a table of text, a line each.
std::string to_text(const std::vector<Inspected>& lines);

class Engine {
 public:
  virtual ~Engine() = default;
  /// What each part of the profile finds in the page, or the answer, that the last search() ended with.
  virtual std::vector<Inspected> inspect() { return {}; }
  /// Throws ProfileMismatch, and Error when the engine cannot be reached.
  virtual SearchEnd search(const SearchRequest& request, const OnFound& on_found) = 0;
};

/// Searches in a browser, which is started on first use and again after a crash. A page that does not fit the profile
/// is saved as `save_as`.html, with a screenshot, .png, and what each part of the profile finds in it, .txt.
std::unique_ptr<Engine> make_page_engine(const Profile& profile, const BrowserOptions& browser,
                                         const std::string& save_as);

/// Searches by a JSON API. An answer that does not fit is saved as `save_as`.json.
std::unique_ptr<Engine> make_api_engine(const Profile& profile, const std::string& save_as);

}  // namespace ar::scrape
