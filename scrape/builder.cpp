#include "scrape/builder.h"

#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <fstream>
#include <mutex>
#include <set>
#include <sstream>
#include <thread>
#include <unordered_map>

#include "scrape/url.h"

namespace ar::scrape {
namespace {

constexpr const char* kSpool = "spool:";  // a thumbnail that came as a data: URI lies in a file until it is needed
constexpr int kSearchFailuresInARow = 3;  // then the engine is given up
constexpr int64_t kMaxTarget = 1 << 20;   // results asked for in one class

class Builder {
 public:
  Builder(const std::vector<ActionClass>& classes, const BuildOptions& options, const EngineFactory& make_engine,
          const ImageCheck& check, const std::function<void(const BuildProgress&)>& progress)
      : options_(options),
        make_engine_(make_engine),
        check_(check),
        progress_(progress),
        ledger_(options.ledger, names(classes)) {
    for (const ActionClass& one : classes) {
      Class entry;
      entry.queries = one.queries;
      // Some results are always broken or duplicates.
      entry.target = options.ledger.wanted + std::max<int64_t>(10, options.ledger.wanted / 2);
      classes_.push_back(std::move(entry));
    }
    fetch_capacity_ = options.fetch.capacity;
    pool_.emplace(options.fetch);
  }

  BuildResult run() {
    for (int i = 0; i < std::max(1, options_.browsers); ++i) searchers_.emplace_back([this] { search_loop(); });
    feed();
    for (std::thread& searcher : searchers_) searcher.join();
    pool_.reset();
    if (error_) std::rethrow_exception(error_);
    for (size_t c = 0; c < classes_.size(); ++c) result_.counts.push_back(ledger_.counts(c));
    result_.stopped = stopped();
    if (result_.stopped) {
      ledger_.sync();
    } else {
      ledger_.finish();
    }
    return std::move(result_);
  }

 private:
  struct Class {
    std::vector<std::string> queries;
    int64_t target = 0;            // results wanted of all queries together
    std::set<std::string> failed;  // queries that failed in this run
    bool searching = false;
    std::shared_ptr<std::atomic<bool>> enough;  // ends the search under way
  };
  struct Download {
    size_t c;
    Record record;
    std::string url;
    std::optional<Record> same = {};  // what became of this URL in another class
  };

  static std::vector<std::string> names(const std::vector<ActionClass>& classes) {
    std::vector<std::string> result;
    for (const ActionClass& one : classes) result.push_back(one.name);
    return result;
  }

  bool stopped() const { return options_.stop != nullptr && options_.stop->load(); }

  /// Runs `body` under the lock; an exception ends the build.
  template <class Body>
  void guarded(Body body) {
    const std::lock_guard lock(mutex_);
    try {
      body();
    } catch (...) {
      give_up(std::current_exception());
    }
    changed_.notify_all();
  }

  void give_up(std::exception_ptr error) {
    if (!error_) error_ = std::move(error);
    finished_ = true;
  }

  // ---- searching ----------------------------------------------------------------------------------------------------

  /// Whether there is nothing more to be had from this query.
  bool over(size_t c, const std::string& query) const {
    return classes_[c].failed.contains(query) || ledger_.search_of(c, query).end;
  }

  /// The next query of this class to search for, given what was searched before; nothing if there is none.
  const std::string* next_query(size_t c) {
    Class& entry = classes_[c];
    const bool all_over = std::all_of(entry.queries.begin(), entry.queries.end(),
                                      [&](const std::string& query) { return over(c, query); });
    for (;;) {
      for (const std::string& query : entry.queries) {
        if (!over(c, query) && ledger_.search_of(c, query).wanted < per_query(entry)) return &query;
      }
      if (all_over || !ledger_.used_up(c) || entry.target >= kMaxTarget) return nullptr;
      entry.target *= 2;
    }
  }

  static int64_t per_query(const Class& entry) {
    const auto count = static_cast<int64_t>(entry.queries.size());
    return (entry.target + count - 1) / count;
  }

  void search_loop() {
    std::unique_ptr<Engine> engine;
    std::unique_lock lock(mutex_);
    while (!finished_ && !stopped()) {
      size_t c = 0;
      const std::string* query = nullptr;
      for (c = 0; c < classes_.size() && query == nullptr; ++c) {
        if (!classes_[c].searching && !ledger_.full(c) && !engine_dead_) query = next_query(c);
      }
      if (query == nullptr) {
        changed_.wait_for(lock, std::chrono::milliseconds(200));
        continue;
      }
      Class& entry = classes_[--c];
      entry.searching = true;
      entry.enough = std::make_shared<std::atomic<bool>>(false);
      SearchRequest request;
      request.query = *query;
      request.safe = options_.safe;
      request.license = options_.license;
      request.wanted = static_cast<size_t>(per_query(entry));
      request.full = options_.quality != Quality::kThumb;
      request.stop = entry.enough.get();
      lock.unlock();
      search(engine, c, request);
      lock.lock();
      entry.searching = false;
      changed_.notify_all();
    }
  }

  void search(std::unique_ptr<Engine>& engine, size_t c, const SearchRequest& request) {
    Record record;
    record.query = request.query;
    record.wanted = static_cast<int64_t>(request.wanted);
    bool mismatch = false;
    try {
      if (!engine) engine = make_engine_();
      const SearchEnd end = engine->search(request, [&](Found&& found) {
        ++record.found;
        on_found(c, request, std::move(found));
      });
      if (end == SearchEnd::kStopped) return;
      record.status = "searched";
      record.end = end == SearchEnd::kEnd;
    } catch (const std::exception& error) {
      if (stopped() || finished()) return;
      mismatch = dynamic_cast<const ProfileMismatch*>(&error) != nullptr;
      record.status = "search-failed";
      record.error = error.what();
    }
    guarded([&] {
      if (record.status == "searched") {
        any_search_worked_ = true;
        failures_in_a_row_ = 0;
      } else {
        classes_[c].failed.insert(request.query);
        result_.mismatch = result_.mismatch || mismatch;
        result_.search_errors.push_back(record.error);
        if (++failures_in_a_row_ >= (any_search_worked_ ? kSearchFailuresInARow : 1)) engine_dead_ = true;
      }
      ledger_.searched(c, record);
    });
  }

  bool finished() {
    const std::lock_guard lock(mutex_);
    return finished_;
  }

  void on_found(size_t c, const SearchRequest& request, Found&& found) {
    Record record;
    record.query = request.query;
    record.url = options_.quality == Quality::kThumb ? "" : std::move(found.url);
    record.thumb = options_.quality == Quality::kFull ? "" : std::move(found.thumb);
    record.page = std::move(found.page);
    record.title = std::move(found.title);
    record.license = std::move(found.license);
    record.author = std::move(found.author);
    if (record.url.empty() && record.thumb.empty()) return;
    guarded([&] {
      if (finished_) return;
      if (record.thumb.starts_with("data:")) {
        const auto data = parse_data_uri(record.thumb);
        const std::string name = hex64(hash64(ledger_.name(c) + "\n" + record.url + "\n" + record.thumb));
        record.thumb = data ? kSpool + name : "";
        if ((record.url.empty() && !data) || ledger_.knows(c, record)) return;
        if (data) write_file(ledger_.spooled(name), data->bytes);
      }
      ledger_.add(c, std::move(record));
    });
  }

  // ---- downloading --------------------------------------------------------------------------------------------------

  /// Nothing can change any more: every class is full, or has used up all that its searches give.
  bool all_settled() {
    for (size_t c = 0; c < classes_.size(); ++c) {
      if (ledger_.full(c)) continue;
      if (classes_[c].searching || !ledger_.used_up(c)) return false;
      if (!engine_dead_ && next_query(c) != nullptr) return false;
    }
    return true;
  }

  /// The next that is to be started now. What another class is fetching waits for that.
  std::optional<Download> next_download() {
    while (auto next = next_wanted()) {
      if (next->same || next->url.starts_with(kSpool)) return next;
      const auto [at, is_first] = waiting_.try_emplace(next->url);
      if (is_first) return next;
      at->second.push_back(std::move(*next));
    }
    return std::nullopt;
  }

  std::optional<Download> next_wanted() {
    if (!again_.empty()) {
      Download next = std::move(again_.front());
      again_.pop_front();
      return next;
    }
    for (size_t c = 0; c < classes_.size(); ++c) {
      if (auto record = ledger_.next(c)) {
        const bool full = !record->url.empty();
        record->source = full ? "full" : "thumb";
        std::string url = full ? record->url : record->thumb;
        auto same = ledger_.same_elsewhere(c, *record);
        // The cause of a failure is that of the full size, even where the thumbnail was good.
        if (same && same->cause.empty() && same->source != record->source) same.reset();
        return Download{c, std::move(*record), std::move(url), std::move(same)};
      }
    }
    return std::nullopt;
  }

  void feed() {
    auto next_report = std::chrono::steady_clock::now();
    std::unique_lock lock(mutex_);
    while (!finished_ && !stopped()) {
      if (std::chrono::steady_clock::now() >= next_report) {
        next_report = std::chrono::steady_clock::now() + std::chrono::milliseconds(100);
        for (size_t c = 0; c < classes_.size(); ++c) {
          if (classes_[c].searching && ledger_.full(c)) *classes_[c].enough = true;
        }
        const BuildProgress state = progress();
        lock.unlock();
        if (progress_) progress_(state);
        lock.lock();
      }
      std::optional<Download> next;
      try {
        if (pool_->pending() < fetch_capacity_) next = next_download();
        if (!next && all_settled()) break;
      } catch (...) {
        give_up(std::current_exception());
        break;
      }
      if (!next) {
        changed_.wait_for(lock, std::chrono::milliseconds(50));
        continue;
      }
      lock.unlock();
      start(std::move(*next));
      lock.lock();
    }
    finished_ = true;
    for (Class& entry : classes_) {
      if (entry.searching) *entry.enough = true;
    }
    lock.unlock();
    pool_->stop();
    changed_.notify_all();
  }

  BuildProgress progress() {
    BuildProgress state;
    state.classes = classes_.size();
    int64_t known = 0;  // classes of which all results are found
    for (size_t c = 0; c < classes_.size(); ++c) {
      const Class& entry = classes_[c];
      if (entry.searching) state.searching.push_back(entry.queries.front());
      const bool all_found = !entry.searching && std::all_of(entry.queries.begin(), entry.queries.end(),
                                                             [&](const auto& query) { return over(c, query); });
      if (!all_found && !ledger_.full(c)) continue;
      ++known;
      state.classes_done += ledger_.full(c) || ledger_.used_up(c) ? 1 : 0;
      state.expected += std::min(options_.ledger.wanted, ledger_.kept(c) + ledger_.open(c));
    }
    const auto classes = static_cast<int64_t>(classes_.size());
    state.expected +=
        (classes - known) * (known > 0 ? std::max<int64_t>(1, state.expected / known) : options_.ledger.wanted);
    state.kept = ledger_.kept_in_all();
    state.failed = ledger_.failed_in_all();
    state.downloading = pool_->pending();
    state.bytes = pool_->bytes();
    return state;
  }

  void start(Download download) {
    const std::string url = download.url;
    auto shared = std::make_shared<Download>(std::move(download));
    if (shared->same || url.starts_with(kSpool)) {  // by way of the pool, so that a worker reads and checks it
      pool_->submit("data:,", [this, shared](Fetched&&) { shared->same ? copy(*shared) : unspool(*shared); });
    } else {
      pool_->submit(url, [this, shared](Fetched&& fetched) { done(std::move(*shared), fetched); });
    }
  }

  // ---- on the workers of the pool -----------------------------------------------------------------------------------

  static std::optional<std::string> read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream bytes;
    bytes << file.rdbuf();
    return file ? std::optional(bytes.str()) : std::nullopt;
  }

  void unspool(Download& download) {
    Fetched fetched;
    if (auto bytes = read_file(ledger_.spooled(download.url.substr(std::string(kSpool).size())))) {
      fetched.body = std::move(*bytes);
    } else {
      fetched = {"thumb-gone", "the thumbnail that the page held is gone", {}, {}, 0, 0};
    }
    done(std::move(download), fetched);
  }

  /// Does as if the URL had been fetched again.
  void copy(Download& download) {
    const Record other = std::move(*download.same);
    download.same.reset();
    CheckedImage image;
    Fetched fetched;
    if (!other.cause.empty()) {
      image.cause = other.cause;
      image.error = cat("as ", other.name, "#", other.rank, ", which has the same URL");
    } else {
      auto bytes = read_file(ledger_.staged(other.name, other.rank));
      if (!bytes) bytes = read_file(ledger_.path(other.file));
      // The bytes of what was not kept are gone. They are not needed either where a picture of two classes is dropped.
      if (!bytes && options_.ledger.keep_cross_class) return guarded([&] { again_.push_back(std::move(download)); });
      image.format = other.format;
      image.sha256 = other.sha256;
      std::from_chars(other.phash.data(), other.phash.data() + other.phash.size(), image.phash, 16);
      image.width = static_cast<int>(other.width);
      image.height = static_cast<int>(other.height);
      if (bytes) fetched.body = std::move(*bytes);
    }
    settle(std::move(download), image, fetched);
  }

  void done(Download download, const Fetched& fetched) {
    CheckedImage image;
    if (fetched.cause.empty()) {
      try {
        image = check_(fetched.body);
      } catch (...) {
        return guarded([&] { throw; });
      }
    } else {
      image.cause = fetched.cause;
      image.error = fetched.error;
    }
    for (const std::string url = download.url;;) {
      settle(std::move(download), image, fetched);
      const std::lock_guard lock(mutex_);  // whoever comes from now on finds it in the ledger
      const auto at = waiting_.find(url);
      if (at == waiting_.end()) return;
      if (at->second.empty()) {
        waiting_.erase(at);
        return;
      }
      download = std::move(at->second.back());
      at->second.pop_back();
    }
  }

  /// Files what a download gave.
  void settle(Download download, CheckedImage image, const Fetched& fetched) {
    Record& record = download.record;
    try {
      if (!fetched.body.empty() && image.cause.empty())
        write_file(ledger_.staged(record.name, record.rank), fetched.body);
    } catch (...) {
      return guarded([&] { throw; });
    }
    if (!image.cause.empty() && record.source == "full" && !record.thumb.empty()) {
      record.source = "thumb";
      record.cause = image.cause;
      record.error = "full size: " + image.cause + ", " + image.error;
      download.url = record.thumb;
      return guarded([&] { again_.push_back(std::move(download)); });
    }
    record.attempts = fetched.attempts;
    record.seconds = fetched.seconds;
    record.bytes = static_cast<int64_t>(fetched.body.size());
    if (!record.cause.empty()) {  // this was the thumbnail; what was wrong with the full size is what counts
      if (!image.cause.empty()) image.cause = record.cause;
      image.error = record.error + (image.error.empty() ? "" : "; thumbnail: " + image.error);
    }
    guarded([&] {
      if (finished_) return;
      const std::string thumb = record.thumb;
      ledger_.arrived(download.c, std::move(record), image);
      if (thumb.starts_with(kSpool)) unlink(ledger_.spooled(thumb.substr(std::string(kSpool).size())).c_str());
    });
  }

  BuildOptions options_;
  const EngineFactory& make_engine_;
  const ImageCheck& check_;
  const std::function<void(const BuildProgress&)>& progress_;
  size_t fetch_capacity_ = 0;

  std::mutex mutex_;  // of all below
  std::condition_variable changed_;
  Ledger ledger_;
  std::vector<Class> classes_;
  std::deque<Download> again_;  // to be fetched before others: thumbnails of what could not be had in full size
  std::unordered_map<std::string, std::vector<Download>> waiting_;  // URL being fetched -> who else wants it
  bool finished_ = false;
  bool engine_dead_ = false, any_search_worked_ = false;
  int failures_in_a_row_ = 0;
  std::exception_ptr error_;
  BuildResult result_;

  std::optional<FetchPool> pool_;
  std::vector<std::thread> searchers_;
};

}  // namespace

BuildResult build_data_set(const std::vector<ActionClass>& classes, const BuildOptions& options,
                           const EngineFactory& make_engine, const ImageCheck& check,
                           const std::function<void(const BuildProgress&)>& progress) {
  return Builder(classes, options, make_engine, check, progress).run();
}

}  // namespace ar::scrape
