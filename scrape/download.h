// Downloading one large file, with resume.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

namespace ar::scrape {

struct Download {
  std::string url;   ///< http or https
  std::string path;  ///< where the file goes; its folder exists
  /// Called several times a second with the bytes so far and in all (-1: not known yet).
  std::function<void(int64_t done, int64_t total)> progress = {};
  /// Called with the name of the complete temporary: throws what it has to say if that is not the file wanted.
  std::function<void(const std::string& file)> check = {};
  const std::atomic<bool>* stop = nullptr;  ///< when it turns true the download ends with an Error, to be resumed later
  int attempts = 4;                         ///< of lost connections and answers of status 408, 429 and 5xx
  double pause_s = 1;                       ///< before the second attempt; doubles each time
  int64_t bytes_per_s = 0;                  ///< at most, on average over some seconds; 0: no limit
  double stall_s = 30;                      ///< a connection slower than `stall_bytes` for so long is lost
  int64_t stall_bytes = 512;                ///< per second
};

/// Fetches into "PATH.part" and renames when all bytes are there and `check` is content. A lost connection is taken up
/// where it broke, unless the server has another version of the file by then; so is a .part of an earlier process, if
/// there is a check to tell whether the pieces belong together. If not, it starts over once. Throws Error ("URL:
/// reason"; what `check` throws goes through).
void download(const Download& request);

}  // namespace ar::scrape
