// A web site on the loopback interface that behaves like an image search, and hosts that misbehave.
#pragma once
#include <atomic>
#include <memory>
#include <string>

namespace ar::scrape::test {

/// Serves until it is destroyed.
///
///     /search?q=Q      a result page whose script loads results from /list as one scrolls; a consent page lies over it
///     /list?q=Q&from=N results as JSON, `total` of each query in all; every kind of trouble is among them (see
///     kind_of) /api?q=Q&page=N  the same as a JSON API /img/Q/N         what result N of query Q leads to
///     /fixture/NAME    a file of tests/fixtures/engines
class Site {
 public:
  struct Options {
    int total = 300;                ///< results of a query
    bool trouble = true;            ///< whether some results misbehave
    std::string small_images = {};  ///< when given, every image is these bytes followed by its number
  };
  Site() : Site(Options{}) {}
  explicit Site(const Options& options);
  ~Site();

  std::string url(const std::string& path) const;        ///< http://127.0.0.1:PORT/path
  std::string other_url(const std::string& path) const;  ///< http://localhost:PORT/path, whose robots.txt forbids /img/
  int port() const;
  /// Requests of image paths so far.
  int image_requests() const;
  /// Writes the profile of this search engine and returns its path.
  std::string write_profile(const std::string& folder) const;
  /// The same of its JSON API, which needs no browser.
  std::string write_api_profile(const std::string& folder) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// What becomes of result `n`: ok, 404, 429, 500, html, truncated, redirect, loop, huge, copy (the bytes of its
/// predecessor), near (its predecessor recompressed), robots, noai, drip, endless, tiny, shared (the same picture in
/// each query).
std::string kind_of(int n, bool trouble);

/// A picture of its own for each seed, as a JPEG.
std::string picture(unsigned seed, int quality = 90);

}  // namespace ar::scrape::test
