// Numbers of the host that a recorded step (nn/step_graph.h) needs anew each time it is repeated: the learning rate,
// the count of steps, where the random numbers stand. While a step is recorded, an op that is given such a number asks
// for a place in device memory, hands its kernels that place, and says how the number is found the next time. Before
// each repetition all are found again, in the order in which they were asked for, and copied to the device at once.
#pragma once
#include <cstring>
#include <functional>
#include <memory>
#include <type_traits>
#include <vector>

#include "tensor/storage.h"

namespace ar {

class LiveNumbers {
 public:
  explicit LiveNumbers(Device device);
  /// Device memory that holds `now` at the first repetition and next() at each later one.
  template <class T>
  const T* add(const T& now, std::function<T()> next) {
    static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= 8);
    const int64_t at = take(int64_t(sizeof(T)));
    std::memcpy(host_.data() + at, &now, sizeof(T));
    next_.push_back([this, at, next = std::move(next)] {
      const T value = next();
      std::memcpy(host_.data() + at, &value, sizeof(T));
    });
    return reinterpret_cast<const T*>(device_->data() + at);
  }
  /// f is called before each repetition but the first: what the step does on the host besides.
  void at_repetition(std::function<void()> f) { next_.push_back(std::move(f)); }
  /// f undoes what the step did on the host, should it not come to repetitions.
  void when_given_up(std::function<void()> f) { undo_.push_back(std::move(f)); }
  void give_up();
  /// Finds all numbers anew.
  void advance();
  /// Copies them to the device.
  void upload() const;

 private:
  int64_t take(int64_t bytes);

  std::shared_ptr<Storage> device_;
  std::vector<std::byte> host_;
  std::vector<std::function<void()>> next_, undo_;
};

/// Those of the step that this thread records now; null outside.
LiveNumbers* recorded_numbers();

/// While it lives, this thread records a step.
class RecordNumbers {
 public:
  explicit RecordNumbers(LiveNumbers& numbers);
  ~RecordNumbers();
  RecordNumbers(const RecordNumbers&) = delete;
  RecordNumbers& operator=(const RecordNumbers&) = delete;
};

}  // namespace ar
