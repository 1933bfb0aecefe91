#include "scrape/download.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <thread>

#include "scrape/certificates.h"
#include "scrape/error.h"
#include "scrape/http.h"

namespace ar::scrape {
namespace {

bool stopped(const Download& request) { return request.stop && request.stop->load(); }

/// The temporary, locked against other processes.
class Part {
 public:
  explicit Part(const std::string& path) : path_(path + ".part") {
    file_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (file_ < 0) fail(path_, ": cannot be written: ", system_error());
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
      ::close(file_);
      fail(path_, ": another process is downloading it");
    }
  }
  ~Part() { ::close(file_); }
  Part(const Part&) = delete;
  Part& operator=(const Part&) = delete;

  const std::string& path() const { return path_; }
  int64_t size() const {
    struct stat info = {};
    if (::fstat(file_, &info) != 0) fail(path_, ": cannot be read: ", system_error());
    return info.st_size;
  }
  void clear() {
    if (::ftruncate(file_, 0) != 0) fail(path_, ": cannot be written: ", system_error());
  }
  bool append(const char* data, size_t bytes) {
    if (::lseek(file_, 0, SEEK_END) < 0) return false;
    while (bytes > 0) {
      const ssize_t n = ::write(file_, data, bytes);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return false;
      data += n, bytes -= static_cast<size_t>(n);
    }
    return true;
  }
  void rename_to(const std::string& path) {
    if (::fsync(file_) != 0 || std::rename(path_.c_str(), path.c_str()) != 0)
      fail(path, ": cannot be written: ", system_error());
  }
  void remove() { ::unlink(path_.c_str()); }

  std::string version;  ///< ETag or date of the file that it begins; empty: not known

 private:
  std::string path_;
  int file_ = -1;
};

/// One request for what is missing.
class Attempt {
 public:
  enum class Result { complete, lost, start_over };

  Attempt(const Download& request, Part& part) : request_(request), part_(part), start_(part.size()) {
    handle_.reset(curl_easy_init());
    if (!handle_) fail(request.url, ": out of memory");
  }

  Result run() {
    CURL* handle = handle_.get();
    const auto set = [&](CURLoption option, auto value) { curl_easy_setopt(handle, option, value); };
    set(CURLOPT_URL, request_.url.c_str());
    set(CURLOPT_USERAGENT, user_agent().c_str());
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_PROTOCOLS_STR, "http,https");
    set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 1L);
    set(CURLOPT_MAXREDIRS, 5L);
    set(CURLOPT_CONNECTTIMEOUT_MS, 15'000L);
    set_certificates(handle);
    set(CURLOPT_MAX_RECV_SPEED_LARGE, curl_off_t(request_.bytes_per_s));
    set(CURLOPT_LOW_SPEED_LIMIT, slowest());
    set(CURLOPT_LOW_SPEED_TIME, std::max(1L, static_cast<long>(request_.stall_s)));
    // No CURLOPT_RESUME_FROM: that makes an error of a server that sends the whole file, which serves as well.
    const std::string range = std::to_string(start_) + "-";
    if (start_ > 0) set(CURLOPT_RANGE, range.c_str());
    const std::unique_ptr<curl_slist, void (*)(curl_slist*)> same_version(
        curl_slist_append(nullptr, ("If-Range: " + part_.version).c_str()), curl_slist_free_all);
    if (start_ > 0 && !part_.version.empty()) set(CURLOPT_HTTPHEADER, same_version.get());
    set(CURLOPT_WRITEFUNCTION, &Attempt::on_body);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_XFERINFOFUNCTION, &Attempt::on_progress);
    set(CURLOPT_XFERINFODATA, this);
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_ERRORBUFFER, error_);
    const CURLcode code = curl_easy_perform(handle);
    if (stopped(request_)) fail(request_.url, ": stopped");
    if (!disk_error_.empty()) fail(part_.path(), ": cannot be written: ", disk_error_);
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    return judge(code, status);
  }
  const std::string& reason() const { return reason_; }

 private:
  Result judge(CURLcode code, long status) {
    if (status == 416 && start_ > 0) return Result::start_over;  // nothing there, so the .part is of another file
    if (status >= 400) {
      reason_ = cat("the server answers ", status);
      if (status == 408 || status == 429 || status >= 500) return Result::lost;
      fail(request_.url, ": ", reason_);
    }
    if (other_range_) return Result::start_over;
    if (code == CURLE_OK) return Result::complete;
    // The details tell a slow server from one that does not answer.
    reason_ = code == CURLE_OPERATION_TIMEDOUT && *error_ ? error_ : curl_easy_strerror(code);
    switch (code) {
      case CURLE_URL_MALFORMAT:
      case CURLE_UNSUPPORTED_PROTOCOL:
      case CURLE_COULDNT_RESOLVE_HOST:
      case CURLE_COULDNT_RESOLVE_PROXY:
      case CURLE_PEER_FAILED_VERIFICATION:
      case CURLE_TOO_MANY_REDIRECTS:
        fail(request_.url, ": ", reason_);
      default:
        return Result::lost;
    }
  }

  /// Bytes a second below which a connection is lost; a rate that was asked for is never too slow.
  long slowest() const {
    const int64_t rate = request_.bytes_per_s;
    return static_cast<long>(rate > 0 ? std::min(request_.stall_bytes, std::max<int64_t>(1, rate / 2))
                                      : request_.stall_bytes);
  }

  /// A header of the answer; empty where it has none.
  std::string header(const char* name) const {
    curl_header* found = nullptr;
    return curl_easy_header(handle_.get(), name, 0, CURLH_HEADER, -1, &found) == CURLHE_OK ? found->value : "";
  }

  /// What If-Range may name: a strong ETag, else the date.
  std::string version() const {
    const std::string tag = header("ETag");
    return tag.starts_with('"') ? tag : header("Last-Modified");
  }

  size_t append(const char* data, size_t bytes) {
    long status = 0;
    curl_easy_getinfo(handle_.get(), CURLINFO_RESPONSE_CODE, &status);
    if (status >= 300) return bytes;  // the text of an error or a redirect
    if (!begun_) {
      if (start_ > 0 && status != 206) part_.clear(), start_ = 0;  // the whole file
      other_range_ = start_ > 0 && !header("Content-Range").starts_with(cat("bytes ", start_, "-"));
      if (start_ == 0) part_.version = version();
    }
    begun_ = true;
    if (other_range_) return 0;
    if (part_.append(data, bytes)) return bytes;
    disk_error_ = system_error();
    return 0;
  }
  static size_t on_body(const char* data, size_t, size_t bytes, void* self) {
    return static_cast<Attempt*>(self)->append(data, bytes);
  }
  static int on_progress(void* user, curl_off_t total, curl_off_t done, curl_off_t, curl_off_t) {
    const auto& self = *static_cast<Attempt*>(user);
    if (self.request_.progress && done > 0)
      self.request_.progress(self.start_ + done, total > 0 ? self.start_ + total : -1);
    return stopped(self.request_) ? 1 : 0;
  }

  const Download& request_;
  Part& part_;
  int64_t start_;
  bool begun_ = false, other_range_ = false;
  std::unique_ptr<CURL, void (*)(CURL*)> handle_{nullptr, curl_easy_cleanup};
  std::string reason_, disk_error_;
  char error_[CURL_ERROR_SIZE] = "";
};

void pause(const Download& request, double seconds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (std::chrono::steady_clock::now() < end) {
    if (stopped(request)) fail(request.url, ": stopped");
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
}

/// Until all bytes are there.
void fetch(const Download& request, Part& part) {
  double seconds = request.pause_s;
  for (int n = 1;; ++n) {
    Attempt attempt(request, part);
    const Attempt::Result result = attempt.run();
    if (result == Attempt::Result::complete) return;
    if (result == Attempt::Result::start_over) {
      part.clear();
      continue;
    }
    if (n >= request.attempts) fail(request.url, ": ", attempt.reason(), " (", n, " attempts)");
    pause(request, seconds);
    seconds *= 2;
  }
}

}  // namespace

void download(const Download& request) {
  init_http();
  Part part(request.path);
  if (!request.check) part.clear();
  for (bool resumed = part.size() > 0;; resumed = false) {
    fetch(request, part);
    if (!request.check) break;
    try {
      request.check(part.path());
      break;
    } catch (...) {
      if (!resumed) {
        part.remove();
        throw;
      }
      part.clear();  // the pieces did not belong together
    }
  }
  part.rename_to(request.path);
}

}  // namespace ar::scrape
