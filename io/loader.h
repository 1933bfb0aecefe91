// The loader: worker threads fill batches ahead of training. What a batch holds follows from the sampler and the seed,
// not from the number of workers or from timing.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/dataset.h"
#include "io/sampler.h"

namespace ar::io {

/// A batch holds its slot in the loader's ring: when it (and all copies of it) is gone, the slot is filled again, under
/// the feet of any tensor that was taken out of it. So normalise, or clone, what is to live longer. A batch may outlive
/// its loader.
struct Batch {
  Tensor inputs;                     // u8 (B,3,H,W) or (B,3,T,H,W), pixels in channels-last memory
  Tensor targets;                    // i64 (B)
  std::vector<int64_t> labels;       // the targets, on the CPU
  std::vector<int64_t> indices;      // of the samples in the data set
  std::vector<FrameWindow> windows;  // for ops::normalize_frames, where the data set leaves the cut to it
  int64_t number = 0;                // within the epoch
  int64_t replaced = 0;              // samples that stand in for unreadable ones

  int64_t size() const { return int64_t(indices.size()); }

 private:
  friend class Loader;
  std::shared_ptr<void> slot_;
};

/// A sample that could not be read.
struct BadSample {
  int64_t index = 0;
  std::string name, reason;
};

struct LoaderOptions {
  int64_t batch_size = 16;
  int workers = 2;    // threads that run fill(); 0: next() does it itself
  int64_t ahead = 2;  // batches prepared beyond those that the caller holds; at least 1
  uint64_t seed = 0;  // of the SampleKeys
  /// Where inputs and targets of batches lie. Inputs are copied beside what the device computes, from page-locked
  /// memory; they may be used for what is asked of the device before the next call of next().
  Device device = {};
  bool drop_last = false;  // leave a short last batch out: batch norm cannot train on one sample of 1 x 1 pixels
  /// Set by a signal handler, for instance: next() returns nothing soon after.
  const std::atomic<bool>* stop = nullptr;
  /// Called by next(), once for each sample that could not be read.
  std::function<void(const BadSample&)> on_bad = {};
};

class Loader {
 public:
  /// Throws Error when the options make no sense.
  Loader(std::shared_ptr<const Dataset> dataset, Sampler sampler, LoaderOptions options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  /// Begins an epoch at its batch number `skip`, exactly as if those before had been taken. What was prepared of
  /// another epoch is dropped.
  void start(uint64_t epoch, int64_t skip = 0);
  /// The next batch; nothing at the end of the epoch, or soon after the stop flag is set. An unreadable sample is
  /// replaced by another of its label, so no batch shrinks. Throws Error when a label has no readable sample, when more
  /// than half of an epoch's samples so far (and more than 16) were unreadable, and what a worker threw otherwise; the
  /// epoch is over then.
  std::optional<Batch> next();
  /// Ends the workers, after the samples they are at. start() begins anew.
  void stop();

  /// Batches of the epoch that was started last, including skipped ones.
  int64_t batches() const;
  /// For how long next() has kept its callers waiting since start().
  double wait_seconds() const;
  /// All samples that could not be read so far, once each.
  const std::vector<BadSample>& bad() const;
  const LoaderOptions& options() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace ar::io
