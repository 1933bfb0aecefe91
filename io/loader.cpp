#include "io/loader.h"

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "tensor/event.h"
#include "tensor/profile.h"

namespace ar::io {
namespace {

constexpr auto kPoll = std::chrono::milliseconds(20);  // how often a waiting next() looks at the stop flag
constexpr int64_t kTries = 32;                         // samples of a label to try before giving up
constexpr int64_t kForgiven = 16;                      // unreadable samples of an epoch that are never too many

/// What one sample of a batch came to. Written by the thread that fills it, read when the batch is complete.
struct Filled {
  int64_t index = 0;
  FrameWindow window;
  std::vector<BadSample> failures;
  std::exception_ptr error;
};

struct Slot {
  Tensor inputs, targets;
  int64_t number = 0;                       // of the batch
  int64_t size = 0, claimed = 0, done = 0;  // samples
  std::vector<Filled> samples;
};

struct Claim {
  Slot* slot = nullptr;
  int64_t i = 0;
};

}  // namespace

// Lives as long as the loader or any of its batches.
struct Loader::State {
  std::shared_ptr<const Dataset> dataset;
  Sampler sampler;
  LoaderOptions options;

  std::mutex mutex;  // guards what follows, but for the contents of claimed samples
  std::condition_variable to_do, complete;
  std::vector<std::unique_ptr<Slot>> slots;
  std::vector<Slot*> free;
  std::deque<Slot*> filling;  // in the order of their batches; only the last may have samples to claim
  int64_t next_number = 0;    // of the batch to be begun
  bool stopping = false;

  // Constant while workers run.
  std::vector<int64_t> order;
  uint64_t epoch = 0;
  int64_t batches = 0;
  std::once_flag grouped;
  std::map<int64_t, std::vector<int64_t>> by_label;

  // The caller's.
  std::optional<Uploader> uploader;
  std::vector<std::thread> workers;
  int64_t delivered = 0;  // batches, counted from the epoch's first
  int64_t samples = 0, replaced = 0;
  double waited = 0;
  std::set<int64_t> reported;
  std::vector<BadSample> bad;

  int64_t batch_size(int64_t number) const {
    return std::min(options.batch_size, int64_t(order.size()) - number * options.batch_size);
  }
  bool stop_requested() const { return options.stop && options.stop->load(std::memory_order_relaxed); }

  bool can_claim() const {
    return (!filling.empty() && filling.back()->claimed < filling.back()->size) ||
           (next_number < batches && !free.empty());
  }
  Claim claim() {
    if (filling.empty() || filling.back()->claimed == filling.back()->size) {
      Slot* slot = free.back();
      free.pop_back();
      slot->number = next_number++;
      slot->size = batch_size(slot->number);
      slot->claimed = slot->done = 0;
      slot->samples.assign(std::size_t(slot->size), {});
      filling.push_back(slot);
    }
    return {filling.back(), filling.back()->claimed++};
  }

  void work() {
    std::unique_lock lock(mutex);
    for (;;) {
      to_do.wait(lock, [&] { return stopping || can_claim(); });
      if (stopping) return;
      fill_claimed(lock);
    }
  }
  void fill_claimed(std::unique_lock<std::mutex>& lock) {
    const Claim c = claim();
    lock.unlock();
    Filled& sample = c.slot->samples[std::size_t(c.i)];
    try {
      fill(c, sample);
    } catch (...) {
      sample.error = std::current_exception();
    }
    lock.lock();
    if (++c.slot->done == c.slot->size) complete.notify_all();
  }

  void fill(const Claim& c, Filled& sample) {
    const int64_t position = c.slot->number * options.batch_size + c.i;
    const SampleKey key{.seed = options.seed, .epoch = epoch, .position = uint64_t(position)};
    const Tensor slot = c.slot->inputs.select(0, c.i);
    const int64_t wanted = order[std::size_t(position)], label = dataset->label(wanted);
    if (!try_fill(wanted, key, slot, sample)) replace(wanted, label, key, slot, sample);
    sample.window = dataset->window(sample.index, key);
    c.slot->targets.mutable_data<int64_t>()[c.i] = label;
  }
  bool try_fill(int64_t index, const SampleKey& key, const Tensor& slot, Filled& sample) const {
    try {
      dataset->fill(index, key, slot);
      sample.index = index;
      return true;
    } catch (const Error& e) {
      sample.failures.push_back({index, dataset->name(index), e.what()});
      return false;
    }
  }
  void replace(int64_t wanted, int64_t label, const SampleKey& key, const Tensor& slot, Filled& sample) {
    std::call_once(grouped, [&] {
      for (int64_t i = 0; i < dataset->size(); ++i) by_label[dataset->label(i)].push_back(i);
    });
    const std::vector<int64_t>& same = by_label.at(label);
    const int64_t n = int64_t(same.size());
    const int64_t first = SampleRandom(key, RandomStream::replacement).below(n);
    for (int64_t i = 0; i < n && int64_t(sample.failures.size()) < kTries; ++i) {
      const int64_t other = same[std::size_t((first + i) % n)];
      if (other != wanted && try_fill(other, key, slot, sample)) return;
    }
    fail(sample.failures.front().reason, " (and no other of ", sample.failures.size(),
         " samples of its class could be read in its place)");
  }

  /// What was prepared but not taken is given up. No worker runs.
  void clear() {
    free.insert(free.end(), filling.begin(), filling.end());
    filling.clear();
    next_number = batches;
  }
  void join() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    to_do.notify_all();
    for (std::thread& t : workers) t.join();
    workers.clear();
    const std::lock_guard lock(mutex);
    stopping = false;
    clear();
  }

  /// Waits until the first batch is complete; false if the stop flag came first.
  bool wait_for_batch(std::unique_lock<std::mutex>& lock) {
    const auto ready = [&] { return !filling.empty() && filling.front()->done == filling.front()->size; };
    while (!ready()) {
      if (stop_requested()) return false;
      AR_CHECK(!filling.empty() || !free.empty(), "loader: all ", slots.size(),
               " batches are held by the caller; let go of one first, or set a larger `ahead`");
      if (workers.empty())
        fill_claimed(lock);
      else
        complete.wait_for(lock, kPoll, ready);
    }
    return true;
  }

  void report(const Slot& slot) {
    for (const Filled& sample : slot.samples)
      for (const BadSample& failure : sample.failures) {
        if (!reported.insert(failure.index).second) continue;
        bad.push_back(failure);
        if (options.on_bad) options.on_bad(failure);
      }
    for (const Filled& sample : slot.samples)
      if (sample.error) std::rethrow_exception(sample.error);
    samples += slot.size;
    for (const Filled& sample : slot.samples) replaced += !sample.failures.empty();
    AR_CHECK(replaced <= kForgiven || replaced * 2 <= samples, "loader: ", replaced, " of the first ", samples,
             " samples could not be read; the last is ", bad.empty() ? "" : bad.back().reason);
  }
};

Loader::Loader(std::shared_ptr<const Dataset> dataset, Sampler sampler, LoaderOptions options)
    : state_(std::make_shared<State>()) {
  AR_CHECK(dataset && sampler, "loader: needs a data set and a sampler");
  AR_CHECK(options.batch_size > 0, "loader: the batch size must be positive, it is ", options.batch_size);
  AR_CHECK(options.workers >= 0 && options.workers <= 1024, "loader: workers must be 0..1024, not ", options.workers);
  AR_CHECK(options.ahead >= 1, "loader: at least one batch must be prepared ahead, not ", options.ahead);
  Dims shape = dataset->sample_shape();
  shape.insert(0, options.batch_size);
  for (int64_t i = 0; i < options.ahead + 1; ++i) {
    auto slot = std::make_unique<Slot>();
    slot->inputs = empty_pinned(shape, {.dtype = Dtype::u8, .row_align = dataset->row_align()}, options.device);
    slot->targets = empty({options.batch_size}, {.dtype = Dtype::i64});
    state_->free.push_back(slot.get());
    state_->slots.push_back(std::move(slot));
  }
  if (!options.device.is_cpu()) state_->uploader.emplace(options.device);
  state_->dataset = std::move(dataset);
  state_->sampler = std::move(sampler);
  state_->options = std::move(options);
}

Loader::~Loader() { stop(); }

void Loader::start(uint64_t epoch, int64_t skip) {
  State& s = *state_;
  s.join();
  s.order = s.sampler(epoch);
  for (int64_t i : s.order)
    AR_CHECK(i >= 0 && i < s.dataset->size(), "loader: the sampler gave index ", i, ", the data set has ",
             s.dataset->size(), " samples");
  const int64_t n = int64_t(s.order.size()), size = s.options.batch_size;
  s.epoch = epoch;
  s.batches = s.options.drop_last ? n / size : (n + size - 1) / size;
  AR_CHECK(skip >= 0 && skip <= s.batches, "loader: cannot skip ", skip, " of ", s.batches, " batches");
  s.delivered = s.next_number = skip;
  s.samples = s.replaced = 0;
  s.waited = 0;
  for (int i = 0; i < s.options.workers; ++i) s.workers.emplace_back([&s] { s.work(); });
}

std::optional<Batch> Loader::next() {
  const profile::Span span("phase", "waiting for data");
  State& s = *state_;
  const auto begin = std::chrono::steady_clock::now();
  if (s.uploader) s.uploader->settle();  // the slot of the batch before is free
  std::unique_lock lock(s.mutex);
  if (s.delivered >= s.batches) return std::nullopt;
  const bool ready = s.wait_for_batch(lock);
  Slot* const slot = ready ? s.filling.front() : nullptr;
  if (ready) s.filling.pop_front();
  lock.unlock();
  s.waited += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (!ready) {
    stop();
    return std::nullopt;
  }
  Batch batch;
  batch.slot_ = std::shared_ptr<void>(slot, [state = state_](void* p) {
    {
      const std::lock_guard guard(state->mutex);
      state->free.push_back(static_cast<Slot*>(p));
    }
    state->to_do.notify_all();
  });
  try {
    s.report(*slot);
  } catch (...) {
    stop();
    throw;
  }
  ++s.delivered;
  batch.inputs = slot->inputs.narrow(0, 0, slot->size);
  batch.targets = slot->targets.narrow(0, 0, slot->size);
  batch.number = slot->number;
  for (const Filled& sample : slot->samples) {
    batch.indices.push_back(sample.index);
    batch.windows.push_back(sample.window);
    batch.replaced += !sample.failures.empty();
  }
  batch.labels = batch.targets.to_vector<int64_t>();
  if (s.uploader) {
    batch.inputs = s.uploader->upload(batch.inputs, batch.slot_);
    batch.targets = batch.targets.to(s.options.device);
    batch.slot_.reset();
  }
  return batch;
}

void Loader::stop() {
  state_->join();
  try {
    if (state_->uploader) state_->uploader->settle();  // it holds a slot, and so the state
  } catch (const Error&) {                             // of a lost device, which reads no more
  }
  state_->delivered = state_->batches;
}

int64_t Loader::batches() const { return state_->batches; }
double Loader::wait_seconds() const { return state_->waited; }
const std::vector<BadSample>& Loader::bad() const { return state_->bad; }
const LoaderOptions& Loader::options() const { return state_->options; }

}  // namespace ar::io
