// Event: a place in the work of a device, to wait for and to measure with; and copies that run beside computation.
#pragma once
#include <chrono>
#include <memory>

#include "tensor/backend.h"
#include "tensor/tensor.h"

namespace ar {

/// On the CPU, whose work is done when it is asked for, a moment.
class Event {
 public:
  explicit Event(Device device);
  ~Event();
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  /// The event is reached when all work that was asked for on the queue so far is done.
  void record(Queue queue = Queue::compute);
  /// What is asked for on the queue from now on begins after the event; at once if it was never recorded.
  void hold_up(Queue queue) const;
  /// Waits for the event.
  void synchronize() const;
  /// From one event to a later one, both reached.
  static double milliseconds(const Event& begin, const Event& end);

 private:
  Device device_;
  void* handle_ = nullptr;  // null on the CPU
  std::chrono::steady_clock::time_point time_;
};

/// An uninitialised tensor on the CPU in page-locked memory, which that device copies from and to while the host goes
/// on; ordinary memory where the device is the CPU.
Tensor empty_pinned(const Dims& shape, const TensorOptions& options, Device device);
/// The same for memory as large as all of `like`'s, with its shape and strides.
Tensor empty_pinned_like(const Tensor& like, Device device);

/// A tensor's values on their way to the CPU. Waiting for them waits for what they follow from, not for what was asked
/// of the device later.
class Download {
 public:
  /// The tensor may be changed, or let go of, as soon as this returns, by work of its device.
  explicit Download(const Tensor& x);
  ~Download();
  Download(Download&&) = default;
  Download& operator=(Download&& other) noexcept;
  /// On the CPU.
  const Tensor& wait();

 private:
  Tensor host_;
  std::unique_ptr<Event> arrives_;  // null: it is there
};

/// Copies batches to a device beside what the device computes: on a queue of its own, into two buffers by turns.
class Uploader {
 public:
  explicit Uploader(Device device);
  ~Uploader();
  Uploader(const Uploader&) = delete;
  Uploader& operator=(const Uploader&) = delete;

  /// x's values on the device, x from there itself. They may be used for what is asked of the device before the next
  /// call; then the buffer serves again. x, from empty_pinned() for the copy to run aside, is kept with its `owner` and
  /// must not change until settle().
  Tensor upload(const Tensor& x, std::shared_ptr<const void> owner = nullptr);
  /// Waits until the last copy is done and lets go of what it was from.
  void settle();

 private:
  struct Buffer {
    explicit Buffer(Device device) : used(device) {}
    std::shared_ptr<Storage> memory;
    Event used;  // all that was asked of its contents is done
  };
  Device device_;
  Buffer buffers_[2];
  int current_ = 0;
  Event copied_;
  Tensor from_;
  std::shared_ptr<const void> owner_;
};

}  // namespace ar
