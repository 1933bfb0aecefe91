#include "tensor/storage.h"

#include "tensor/backend.h"
#include "tensor/live_numbers.h"

namespace ar {

std::shared_ptr<Storage> Storage::allocate(int64_t bytes, Device device) {
  const Backend& b = backend(device);
  auto s = std::shared_ptr<Storage>(new Storage);
  s->data_ = static_cast<std::byte*>(b.allocate(bytes));
  s->bytes_ = bytes;
  s->device_ = device;
  return s;
}

std::shared_ptr<Storage> Storage::adopt(void* data, int64_t bytes, Device device, std::function<void()> release) {
  auto s = std::shared_ptr<Storage>(new Storage);
  s->data_ = static_cast<std::byte*>(data);
  s->bytes_ = bytes;
  s->device_ = device;
  s->release_ = std::move(release);
  if (!s->release_) s->release_ = [] {};
  return s;
}

Storage::~Storage() {
  if (release_)
    release_();
  else if (data_)
    backend(device_).release(data_, bytes_);
}

Storage::Storage()
    : id_([] {
        static std::atomic<uint64_t> last{0};
        return ++last;
      }()) {}

std::shared_ptr<void> Storage::kept(uint64_t key, uint64_t others, const std::function<std::shared_ptr<void>()>& make) {
  // What a recorded step uses must not go with the next write.
  if (adopted() || recorded_numbers()) return make();
  std::lock_guard lock(mutex_);
  const uint64_t now = version();
  // Versions only grow: equal sums are equal versions.
  std::erase_if(derived_, [&](const Derived& d) { return d.version != now || (d.key == key && d.others != others); });
  for (const Derived& d : derived_)
    if (d.key == key) return d.data;
  auto data = make();
  derived_.push_back({key, now, others, data});
  return data;
}

}  // namespace ar
