// Many downloads at once from hosts that one cannot trust.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>

namespace ar::scrape {

struct FetchOptions {
  int workers = 4;                 ///< threads that are given what arrived
  int connections_per_worker = 4;  ///< downloads at the same time, for each of them
  int per_host = 4;                ///< downloads at the same time from one host
  double rate = 5;                 ///< requests a second to one host; 0: no limit
  double timeout_s = 60;           ///< for one request from connecting to the last byte
  double stall_s = 15;             ///< fewer than `stall_bytes` a second for so long: given up
  long stall_bytes = 512;
  int retries = 3;                    ///< further attempts after a failure that may pass
  double backoff_s = 1;               ///< before the second attempt; doubles each time, with jitter
  double max_retry_after_s = 120;     ///< a server that asks for a longer pause has failed
  std::size_t max_bytes = 32u << 20;  ///< a longer answer has failed
  int max_redirects = 5;
  bool allow_private = false;  ///< whether loopback and private addresses (and the environment's proxies) may be used
  std::set<std::string> private_origins =
      {};                       ///< origins ("http://host:port") for which allow_private holds all the same
  bool robots = true;           ///< obey robots.txt, and X-Robots-Tag's noai and noimageai
  std::size_t capacity = 2048;  ///< downloads waiting; submit() blocks above
};

/// Why a download failed, in one word: bad-url, private-address, robots, noai, dns, connect, tls, timeout, slow,
/// network, truncated, too-large, redirects, http-404 and the like. Empty when it did not.
struct Fetched {
  std::string cause;
  std::string error;  ///< the same in more words
  std::string body;
  std::string url;  ///< after redirects
  int attempts = 0;
  double seconds = 0;  ///< of the last attempt
};

/// A pool of downloads over libcurl's multi interface: one thread moves the bytes, `workers` threads are given what
/// arrived. Takes http and https URLs, following redirects by itself so that each hop obeys the limits, and data: URIs.
/// The address that a name resolved to is checked when the socket is opened, so neither a redirect nor a changing DNS
/// answer leads into the user's network.
class FetchPool {
 public:
  explicit FetchPool(const FetchOptions& options);
  /// Drops what has not been handed out.
  ~FetchPool();
  FetchPool(const FetchPool&) = delete;
  FetchPool& operator=(const FetchPool&) = delete;

  /// `done` is called once, on a worker thread, unless the pool stops before; it must not throw. Blocks while
  /// `capacity` downloads wait; whether it was taken (not after stop()). Not to be called from `done`.
  bool submit(const std::string& url, std::function<void(Fetched&&)> done);
  /// Drops all downloads that wait or are under way; returns at once. Calls of `done` that began go on.
  void stop();
  /// Downloads that wait or are under way.
  std::size_t pending() const;
  /// Bytes received so far.
  int64_t bytes() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ar::scrape
