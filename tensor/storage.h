// Storage: shared memory of one or more tensors, with a counter of writes and data derived from it.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "tensor/device.h"

namespace ar {

class Storage {
 public:
  static std::shared_ptr<Storage> allocate(int64_t bytes, Device device);
  /// Memory of somebody else, given back by `release` when the last tensor lets go. It should be 64-byte aligned and
  /// have 64 bytes of slack when it is to serve as an operand of kernels.
  static std::shared_ptr<Storage> adopt(void* data, int64_t bytes, Device device, std::function<void()> release);
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  std::byte* data() const { return data_; }
  int64_t bytes() const { return bytes_; }
  Device device() const { return device_; }
  /// Is it memory of somebody else?
  bool adopted() const { return release_ != nullptr; }
  /// No other storage of this process has or had it.
  uint64_t id() const { return id_; }

  /// Counts writes. What was computed from the contents stays valid while this stands still.
  uint64_t version() const { return version_.load(std::memory_order_relaxed); }
  void count_write() { version_.fetch_add(1, std::memory_order_relaxed); }

  /// What `make` makes from the contents (a std::shared_ptr: packed weights, folded norms), kept until the next write.
  /// `key` tells apart what is made and from which part. Are others' contents in it, then `others` is the sum of their
  /// versions. From memory of somebody else, whose writes are not counted, it is made anew each time.
  template <class F>
  auto derived(uint64_t key, F&& make, uint64_t others = 0) {
    using Pointer = decltype(make());
    return std::static_pointer_cast<typename Pointer::element_type>(
        kept(key, others, [&] { return std::static_pointer_cast<void>(make()); }));
  }

 private:
  struct Derived {
    uint64_t key, version, others;
    std::shared_ptr<void> data;
  };
  Storage();
  std::shared_ptr<void> kept(uint64_t key, uint64_t others, const std::function<std::shared_ptr<void>()>& make);

  const uint64_t id_;
  std::byte* data_ = nullptr;
  int64_t bytes_ = 0;
  Device device_;
  std::function<void()> release_;
  std::atomic<uint64_t> version_{0};
  std::mutex mutex_;
  std::vector<Derived> derived_;
};

}  // namespace ar
