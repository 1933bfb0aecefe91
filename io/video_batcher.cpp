#include "io/video_batcher.h"

#include <atomic>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "tensor/event.h"
#include "tensor/profile.h"

namespace ar::io {

struct FrameBatcher::State {
  State(const std::string& path, const BatcherOptions& o) : options(o), reader(path, o.video), facts(reader.facts()) {
    AR_CHECK(o.height > 0 && o.width > 0, path, ": the size of the frames in a batch must be given");
    AR_CHECK(o.batch_size > 0 && o.every > 0 && o.ring > 0, path, ": batch size, step and ring must be positive");
    for (int i = 0; i < o.ring + 1; ++i)
      free.push_back(empty_pinned_like(frame_batch(o.batch_size, o.height, o.width), o.device));
    thread = std::thread([this] { produce(); });
  }
  ~State() {
    {
      const std::lock_guard lock(mutex);
      stop = true;
    }
    changed.notify_all();
    thread.join();
  }

  /// Is the frame that was just decoded one of the sample?
  bool sampled(const FrameTime& time) {
    if (options.fps <= 0) return number++ % options.every == 0;
    // A millisecond of tolerance: containers round timestamps.
    const double slot = std::floor((time.seconds + 1e-3) * options.fps);
    if (slot <= last_slot) return false;
    last_slot = slot;
    return true;
  }

  void produce() {
    std::exception_ptr failure;
    try {
      while (fill_one()) {
      }
    } catch (...) {
      failure = std::current_exception();
    }
    const std::lock_guard lock(mutex);
    error = failure;
    final_stats = reader.stats();
    ended = true;
    changed.notify_all();
  }

  /// Fills a batch and queues it; false at the end.
  bool fill_one() {
    Tensor batch;
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [this] { return stop || !free.empty(); });
      if (stop) return false;
      batch = free.front();
      free.pop_front();
    }
    FrameBatch filled{batch, {}};
    bool more = true;
    while (more && int64_t(filled.times.size()) < options.batch_size) {
      const auto time = reader.decode();
      more = time.has_value();
      if (more && sampled(*time)) {
        reader.write(batch[int64_t(filled.times.size())]);
        filled.times.push_back(*time);
      }
      if (stop) return false;
    }
    const std::lock_guard lock(mutex);
    if (!filled.times.empty()) full.push_back(std::move(filled));
    changed.notify_all();
    return more;
  }

  BatcherOptions options;
  VideoReader reader;  // the thread's, once it runs
  const VideoFacts facts;
  int64_t number = 0;
  double last_slot = -INFINITY;

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Tensor> free;
  std::deque<FrameBatch> full;
  Tensor lent;
  std::atomic<bool> stop = false;
  bool ended = false;
  std::exception_ptr error;
  VideoStats final_stats;
  double waited = 0;
  std::thread thread;
};

FrameBatcher::FrameBatcher(const std::string& path, const BatcherOptions& options)
    : state_(std::make_unique<State>(path, options)) {}

FrameBatcher::~FrameBatcher() = default;

const VideoFacts& FrameBatcher::facts() const { return state_->facts; }

std::optional<FrameBatch> FrameBatcher::next() {
  const profile::Span span("phase", "waiting for data");
  State& s = *state_;
  std::unique_lock lock(s.mutex);
  if (s.lent) s.free.push_back(std::exchange(s.lent, Tensor()));
  s.changed.notify_all();
  const auto start = std::chrono::steady_clock::now();
  s.changed.wait(lock, [&] { return !s.full.empty() || s.ended; });
  s.waited += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (s.full.empty()) {
    if (s.error) std::rethrow_exception(s.error);
    return std::nullopt;
  }
  FrameBatch batch = std::move(s.full.front());
  s.full.pop_front();
  s.lent = batch.frames;
  batch.frames = batch.frames.narrow(0, 0, int64_t(batch.times.size()));
  return batch;
}

VideoStats FrameBatcher::stats() const {
  const std::lock_guard lock(state_->mutex);
  return state_->final_stats;
}

double FrameBatcher::waited() const {
  const std::lock_guard lock(state_->mutex);
  return state_->waited;
}

}  // namespace ar::io
