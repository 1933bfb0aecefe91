#include "scrape/fetch_pool.h"

#include <curl/curl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <ctime>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <queue>
#include <random>
#include <thread>
#include <vector>

#include "scrape/certificates.h"
#include "scrape/error.h"
#include "scrape/http.h"
#include "scrape/robots.h"
#include "scrape/url.h"

namespace ar::scrape {
namespace {

using Clock = std::chrono::steady_clock;
using Time = Clock::time_point;

Clock::duration seconds(double value) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(value));
}

/// One download through all its redirects and attempts; also the download of a robots.txt (no `done` then).
struct Job {
  Url url;
  std::function<void(Fetched&&)> done;
  std::string robots_of;  // origin whose robots.txt this is
  int attempt = 0;
  int redirects = 0;
  // Of the request under way.
  std::string body;
  std::string retry_after;
  bool noai = false, too_large = false, private_address = false;
  size_t limit = 0;
  const FetchOptions* options = nullptr;
  Time started;
};
using JobPtr = std::unique_ptr<Job>;

struct Host {
  std::deque<JobPtr> waiting;
  int active = 0;
  Time next_start{};
  enum class Rules { kUnknown, kAsked, kKnown } state = Rules::kUnknown;
  Robots robots;
};

size_t on_body(const char* data, size_t, size_t size, void* user) {
  auto& job = *static_cast<Job*>(user);
  const size_t fits = std::min(size, job.limit - job.body.size());
  job.body.append(data, fits);
  job.too_large = fits < size;
  return fits;
}

size_t on_header(const char* data, size_t, size_t size, void* user) {
  auto& job = *static_cast<Job*>(user);
  const std::string_view line(data, size);
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return size;
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && (value.back() == '\n' || value.back() == '\r')) value.remove_suffix(1);
  std::string name(line.substr(0, colon));
  for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  if (name == "retry-after") job.retry_after = value;
  if (name == "x-robots-tag") job.noai = job.noai || forbids_ai(value);
  return size;
}

curl_socket_t open_socket(void* user, curlsocktype, curl_sockaddr* address) {
  auto& job = *static_cast<Job*>(user);
  const bool may = job.options->allow_private || job.options->private_origins.contains(job.url.origin());
  if (!may && is_private_address(address->addr)) {
    job.private_address = true;
    return CURL_SOCKET_BAD;
  }
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

bool is_redirect(long status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}
bool may_pass(long status) {
  return status == 408 || status == 425 || status == 429 || status == 500 || (status >= 502 && status <= 504);
}

}  // namespace

struct FetchPool::State {
  explicit State(const FetchOptions& given) : options(given) {
    init_http();
    options.workers = std::max(1, options.workers);
    options.per_host = std::max(1, options.per_host);
    connections = options.workers * std::max(1, options.connections_per_worker);
    multi = curl_multi_init();
    if (multi == nullptr) fail("fetch: out of memory");
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, static_cast<long>(connections * 2));
    mover = std::thread([this] { move_bytes(); });
    for (int i = 0; i < options.workers; ++i) workers.emplace_back([this] { hand_out(); });
  }

  ~State() {
    stop();
    mover.join();
    for (std::thread& worker : workers) worker.join();
    for (const auto& [handle, job] : active) {
      curl_multi_remove_handle(multi, handle);
      curl_easy_cleanup(handle);
    }
    for (CURL* handle : idle) curl_easy_cleanup(handle);
    curl_multi_cleanup(multi);
  }

  void stop() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    room.notify_all();
    arrived_some.notify_all();
    curl_multi_wakeup(multi);
  }

  // ---- the workers --------------------------------------------------------------------------------------------------

  struct Arrived {
    std::function<void(Fetched&&)> done;
    Fetched fetched;
  };

  void hand_out() {
    for (;;) {
      Arrived next;
      {
        std::unique_lock lock(mutex);
        arrived_some.wait(lock, [&] { return stopping || !arrived.empty(); });
        if (stopping) return;
        next = std::move(arrived.front());
        arrived.pop_front();
      }
      curl_multi_wakeup(multi);
      if (next.done) next.done(std::move(next.fetched));
      next = {};
      {
        const std::lock_guard lock(mutex);
        --taken;
      }
      room.notify_one();
    }
  }

  // ---- the thread that moves bytes; all below is its own
  // --------------------------------------------------------------

  void finish(Job& job, Fetched fetched) {
    fetched.url = job.url.text;
    fetched.attempts = job.attempt;
    fetched.seconds = job.started == Time{} ? 0 : std::chrono::duration<double>(Clock::now() - job.started).count();
    {
      const std::lock_guard lock(mutex);
      arrived.push_back({std::move(job.done), std::move(fetched)});
    }
    arrived_some.notify_one();
  }
  void fail_job(Job& job, std::string cause, std::string error) {
    finish(job, {std::move(cause), std::move(error), {}, {}, 0, 0});
  }

  void enqueue(JobPtr job) {
    Host& host = hosts[job->url.origin()];
    host.waiting.push_back(std::move(job));
  }

  void ask_robots(const Url& url, Host& host) {
    host.state = Host::Rules::kAsked;
    auto job = std::make_unique<Job>();
    job->url = url;
    job->url.target = "/robots.txt";
    job->url.text = url.scheme + "://" + url.host + ":" + std::to_string(url.port) + "/robots.txt";
    job->robots_of = url.origin();
    start(std::move(job), host);
  }

  void start(JobPtr job, Host& host) {
    CURL* handle = nullptr;
    if (idle.empty()) {
      handle = curl_easy_init();
    } else {
      handle = idle.back();
      idle.pop_back();
    }
    const bool robots = !job->robots_of.empty();
    if (handle == nullptr) {
      if (robots) return on_robots(*job, CURLE_OUT_OF_MEMORY, 0);
      return fail_job(*job, "network", "out of memory");
    }
    curl_easy_reset(handle);
    ++job->attempt;
    job->body.clear();
    job->retry_after.clear();
    job->noai = job->too_large = job->private_address = false;
    job->limit = robots ? 512 * 1024 : options.max_bytes;
    job->options = &options;
    job->started = Clock::now();
    curl_easy_setopt(handle, CURLOPT_URL, job->url.text.c_str());
    curl_easy_setopt(handle, CURLOPT_USERAGENT, user_agent().c_str());
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    set_certificates(handle);
    if (!options.allow_private) curl_easy_setopt(handle, CURLOPT_PROXY, "");  // a proxy would hide where we connect to
    const double timeout = robots ? std::min(20.0, options.timeout_s) : options.timeout_s;
    curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, static_cast<long>(timeout * 1000));
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(std::min(15.0, timeout) * 1000));
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, options.stall_bytes);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, std::max(1L, static_cast<long>(options.stall_s)));
    if (!robots) curl_easy_setopt(handle, CURLOPT_MAXFILESIZE_LARGE, static_cast<curl_off_t>(job->limit));
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, job.get());
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, job.get());
    curl_easy_setopt(handle, CURLOPT_OPENSOCKETFUNCTION, open_socket);
    curl_easy_setopt(handle, CURLOPT_OPENSOCKETDATA, job.get());
    if (!robots) {
      curl_slist* headers = image_headers;
      curl_easy_setopt(handle, CURLOPT_HTTPHEADER, headers);
    }
    ++host.active;
    const double gap = std::max(options.rate > 0 ? 1 / options.rate : 0, host.robots.delay_s());
    if (!robots) host.next_start = std::max(host.next_start, Clock::now()) + seconds(gap);
    curl_multi_add_handle(multi, handle);
    active.emplace(handle, std::move(job));
  }

  /// Starts what may start now; when the next may.
  Time start_some() {
    const Time now = Clock::now();
    Time next = now + std::chrono::seconds(1);
    while (!later.empty() && later.top().at <= now) {
      JobPtr job = std::move(const_cast<Later&>(later.top()).job);
      later.pop();
      enqueue(std::move(job));
    }
    if (!later.empty()) next = std::min(next, later.top().at);
    size_t backlog = 0;
    {
      const std::lock_guard lock(mutex);
      backlog = arrived.size();
    }
    if (backlog > static_cast<size_t>(connections)) return next;  // the workers do not keep up: bodies would pile up
    if (hosts.empty()) return next;
    // Hosts take turns, beginning behind the one that was last served.
    auto at = hosts.upper_bound(last_host);
    for (size_t i = 0, count = hosts.size(); i < count && active.size() < static_cast<size_t>(connections); ++i, ++at) {
      if (at == hosts.end()) at = hosts.begin();
      Host& host = at->second;
      while (!host.waiting.empty() && active.size() < static_cast<size_t>(connections)) {
        if (options.robots && host.state == Host::Rules::kUnknown) ask_robots(host.waiting.front()->url, host);
        if (options.robots && host.state == Host::Rules::kAsked) break;
        if (host.active >= options.per_host) break;
        if (host.next_start > now) {
          next = std::min(next, host.next_start);
          break;
        }
        JobPtr job = std::move(host.waiting.front());
        host.waiting.pop_front();
        if (!host.robots.allows(job->url.target)) {
          fail_job(*job, "robots", "robots.txt of " + at->first + " forbids it");
          continue;
        }
        start(std::move(job), host);
        last_host = at->first;
      }
    }
    if (hosts.size() > kMaxHosts) forget_idle_hosts(now);
    return next;
  }

  void forget_idle_hosts(Time now) {
    std::erase_if(hosts, [&](const auto& entry) {
      const Host& host = entry.second;
      return host.waiting.empty() && host.active == 0 && host.next_start <= now && host.state != Host::Rules::kAsked;
    });
  }

  void on_robots(const Job& job, CURLcode code, long status) {
    Host& host = hosts[job.robots_of];
    if (job.too_large) code = CURLE_OK;  // its beginning counts (RFC 9309, 2.5)
    host.state = Host::Rules::kKnown;
    if (code == CURLE_OK && status == 200) {
      host.robots = Robots::parse(job.body);
    } else if (code == CURLE_OK && status >= 500) {
      host.robots = Robots::nothing();
    }  // absent, redirected to nowhere, or the host cannot be reached at all: then the image tells
  }

  /// Whether the job goes on by itself at the place it was redirected to.
  bool redirect(JobPtr& job, CURL* handle) {
    const char* location = nullptr;
    curl_easy_getinfo(handle, CURLINFO_REDIRECT_URL, &location);
    if (location == nullptr) return false;
    const auto url = parse_url(location);
    if (!url) {
      if (job->robots_of.empty())
        fail_job(*job, "redirects", cat("redirected to ", location, ", which is not fetched"));
      return true;
    }
    if (++job->redirects > options.max_redirects) {
      if (job->robots_of.empty()) {
        fail_job(*job, "redirects", cat("more than ", options.max_redirects, " redirects"));
      }
      return true;
    }
    job->url = *url;
    --job->attempt;
    if (job->robots_of.empty()) {
      enqueue(std::move(job));
    } else {
      Host& host = hosts[url->origin()];
      start(std::move(job), host);
    }
    return true;
  }

  void again(JobPtr job, double wait_s) { later.push({Clock::now() + seconds(wait_s), std::move(job)}); }

  void ended(CURL* handle, CURLcode code) {
    const auto at = active.find(handle);
    JobPtr job = std::move(at->second);
    active.erase(at);
    long status = 0;
    curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
    received += static_cast<int64_t>(job->body.size());
    curl_multi_remove_handle(multi, handle);
    idle.push_back(handle);
    Host& host = hosts[job->url.origin()];
    --host.active;
    if (code == CURLE_OK && is_redirect(status)) {
      const bool for_robots = !job->robots_of.empty();
      const std::string robots_of = job->robots_of;
      if (redirect(job, handle)) {
        if (for_robots && job) hosts[robots_of].state = Host::Rules::kKnown;  // could not be followed: no rules
        return;
      }
    }
    if (!job->robots_of.empty()) return on_robots(*job, code, status);
    if (code == CURLE_OK && status == 200) {
      if (options.robots && job->noai) return fail_job(*job, "noai", "X-Robots-Tag forbids it");
      Fetched fetched;
      fetched.body = std::move(job->body);
      return finish(*job, std::move(fetched));
    }
    failed(std::move(job), host, code, status);
  }

  void failed(JobPtr job, Host& host, CURLcode code, long status) {
    std::string cause, error = code == CURLE_OK ? cat("status ", status) : curl_easy_strerror(code);
    bool retry = false;
    if (code == CURLE_OK) {
      cause = cat("http-", status);
      retry = may_pass(status);
    } else if (job->private_address) {
      cause = "private-address";
      error = "its address is private or loopback, see --allow-private";
    } else if (job->too_large || code == CURLE_FILESIZE_EXCEEDED) {
      cause = "too-large";
      error = cat("longer than ", job->limit, " bytes");
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
      cause = job->body.empty() ? "timeout" : "slow";
      retry = job->body.empty();
    } else if (code == CURLE_COULDNT_RESOLVE_HOST) {
      cause = "dns";
      retry = job->attempt == 1;
    } else if (code == CURLE_COULDNT_CONNECT) {
      cause = "connect";
      retry = job->attempt == 1;
    } else if (code == CURLE_PARTIAL_FILE) {
      cause = "truncated";
      retry = true;
    } else if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CONNECT_ERROR ||
               code == CURLE_SSL_CACERT_BADFILE) {
      cause = "tls";
    } else {
      cause = "network";
      retry = true;
    }
    double wait_s = options.backoff_s * static_cast<double>(1 << std::min(job->attempt - 1, 10)) * jitter(random);
    if (const auto asked = parse_retry_after(job->retry_after, std::time(nullptr)); retry && asked) {
      const auto asked_s = static_cast<double>(*asked);
      if (asked_s > options.max_retry_after_s) {
        retry = false;
        error += cat(", asks to come back in ", *asked, " s");
      } else {
        wait_s = std::max(wait_s, asked_s);
        host.next_start = std::max(host.next_start, Clock::now() + seconds(asked_s));
      }
    }
    if (retry && job->attempt <= options.retries) return again(std::move(job), wait_s);
    fail_job(*job, std::move(cause), std::move(error));
  }

  void move_bytes() {
    image_headers = curl_slist_append(nullptr, "Accept: image/jpeg,image/png,image/webp,image/*;q=0.8,*/*;q=0.5");
    for (;;) {
      std::deque<JobPtr> fresh;
      {
        const std::lock_guard lock(mutex);
        if (stopping) break;
        fresh.swap(submitted);
      }
      for (JobPtr& job : fresh) enqueue(std::move(job));
      const Time next = start_some();
      int running = 0;
      curl_multi_perform(multi, &running);
      int left = 0;
      bool any = false;
      while (CURLMsg* message = curl_multi_info_read(multi, &left)) {
        if (message->msg != CURLMSG_DONE) continue;
        any = true;
        ended(message->easy_handle, message->data.result);
      }
      if (any) continue;  // others may start at once
      const auto wait = std::chrono::duration_cast<std::chrono::milliseconds>(next - Clock::now()).count();
      curl_multi_poll(multi, nullptr, 0, static_cast<int>(std::clamp<int64_t>(wait + 1, 1, 1000)), nullptr);
    }
    curl_slist_free_all(image_headers);
  }

  struct Later {
    Time at;
    JobPtr job;
    bool operator<(const Later& other) const { return at > other.at; }
  };
  static constexpr size_t kMaxHosts = 8192;

  FetchOptions options;
  int connections = 1;
  CURLM* multi = nullptr;
  std::atomic<int64_t> received = 0;

  // The mover's.
  std::map<CURL*, JobPtr> active;
  std::vector<CURL*> idle;
  std::map<std::string, Host> hosts;
  std::string last_host;
  std::priority_queue<Later> later;
  std::mt19937 random{std::random_device{}()};
  std::uniform_real_distribution<double> jitter{0.75, 1.25};
  curl_slist* image_headers = nullptr;

  // Shared, under the mutex.
  mutable std::mutex mutex;
  std::condition_variable room, arrived_some;
  std::deque<JobPtr> submitted;
  std::deque<Arrived> arrived;
  size_t taken = 0;  // submitted and not yet handed out
  bool stopping = false;

  std::thread mover;
  std::vector<std::thread> workers;
};

FetchPool::FetchPool(const FetchOptions& options) : state_(std::make_unique<State>(options)) {}
FetchPool::~FetchPool() = default;

bool FetchPool::submit(const std::string& text, std::function<void(Fetched&&)> done) {
  State& state = *state_;
  Fetched at_once;
  auto url = parse_url(text);
  if (auto data = url ? std::nullopt : parse_data_uri(text)) {
    at_once.body = std::move(data->bytes);
    if (at_once.body.size() > state.options.max_bytes) at_once = {"too-large", "data: URI too long", {}, {}, 0, 0};
  } else if (!url) {
    at_once.cause = "bad-url";
    at_once.error = "neither an http(s) URL nor a data: URI";
  }
  {
    std::unique_lock lock(state.mutex);
    state.room.wait(lock, [&] { return state.stopping || state.taken < state.options.capacity; });
    if (state.stopping) return false;
    ++state.taken;
    if (url) {
      auto job = std::make_unique<Job>();
      job->url = std::move(*url);
      job->done = std::move(done);
      state.submitted.push_back(std::move(job));
    } else {
      state.arrived.push_back({std::move(done), std::move(at_once)});
    }
  }
  if (url) {
    curl_multi_wakeup(state.multi);
  } else {
    state.arrived_some.notify_one();
  }
  return true;
}

void FetchPool::stop() { state_->stop(); }

size_t FetchPool::pending() const {
  const std::lock_guard lock(state_->mutex);
  return state_->taken;
}

int64_t FetchPool::bytes() const { return state_->received; }

}  // namespace ar::scrape
