#include "tensor/event.h"

#include <utility>

namespace ar {

Event::Event(Device device) : device_(device) {
  if (!device.is_cpu()) handle_ = backend(device).create_event();
}

Event::~Event() {
  if (handle_) backend(device_).destroy_event(handle_);
}

void Event::record(Queue queue) {
  if (handle_)
    backend(device_).record(handle_, queue);
  else
    time_ = std::chrono::steady_clock::now();
}

void Event::hold_up(Queue queue) const {
  if (handle_) backend(device_).wait(queue, handle_);
}

void Event::synchronize() const {
  if (handle_) backend(device_).synchronize_event(handle_);
}

double Event::milliseconds(const Event& begin, const Event& end) {
  AR_CHECK(begin.device_ == end.device_, "Event: on ", begin.device_, " and ", end.device_, ", no time lies between");
  if (begin.handle_) return backend(begin.device_).milliseconds(begin.handle_, end.handle_);
  return std::chrono::duration<double, std::milli>(end.time_ - begin.time_).count();
}

Tensor empty_pinned(const Dims& shape, const TensorOptions& options, Device device) {
  return empty_pinned_like(empty(shape, options), device);
}

Tensor empty_pinned_like(const Tensor& like, Device device) {
  if (device.is_cpu()) return like;
  constexpr int64_t kSlack = 64;  // as CPU memory has it, see Backend::allocate
  const int64_t bytes = like.storage()->bytes() + kSlack;
  const Backend& b = backend(device);
  void* const data = b.allocate_pinned(bytes);
  auto storage =
      Storage::adopt(data, like.storage()->bytes(), {}, [&b, data, bytes] { b.release_pinned(data, bytes); });
  return Tensor(std::move(storage), like.offset(), like.shape(), like.strides(), like.dtype());
}

// ---- from the device ----

Download::Download(const Tensor& x) : host_(x) {
  if (x.device().is_cpu() || x.numel() == 0) {
    if (!x.device().is_cpu()) host_ = x.to(Device{});
    return;
  }
  const Tensor dense = x.contiguous(Layout::channels_first);
  host_ = empty_pinned(x.shape(), {.dtype = x.dtype(), .layout = Layout::channels_first}, x.device());
  arrives_ = std::make_unique<Event>(x.device());
  backend(x.device())
      .copy(host_.writable().data, dense.view().data, dense.numel() * size_of(dense.dtype()), Queue::compute);
  arrives_->record();
}

Download::~Download() {
  try {
    if (arrives_) arrives_->synchronize();  // the copy writes to host_
  } catch (const Error&) {                  // a lost device writes no more
  }
}

Download& Download::operator=(Download&& other) noexcept {
  std::swap(host_, other.host_);
  std::swap(arrives_, other.arrives_);
  return *this;
}

const Tensor& Download::wait() {
  if (arrives_) arrives_->synchronize();
  arrives_.reset();
  return host_;
}

// ---- to the device ----

Uploader::Uploader(Device device) : device_(device), buffers_{Buffer(device), Buffer(device)}, copied_(device) {}

Uploader::~Uploader() {
  try {
    settle();
  } catch (const Error&) {  // a lost device reads no more
  }
}

Tensor Uploader::upload(const Tensor& x, std::shared_ptr<const void> owner) {
  if (x.device() == device_) return x;
  AR_CHECK(x.defined() && x.device().is_cpu(), "upload: from the CPU to ", device_, " only, x is on ", x.device());
  settle();
  buffers_[current_].used.record();
  Buffer& buffer = buffers_[current_ ^= 1];
  // All bytes from the first element to the last, with what lies between.
  int64_t elements = x.numel() > 0 ? 1 : 0;
  for (int d = 0; d < x.rank() && elements; ++d) elements += (x.size(d) - 1) * x.stride(d);
  for (int d = 0; d < x.rank(); ++d) AR_CHECK(x.stride(d) >= 0, "upload: x is mirrored; clone it first");
  const int64_t item = size_of(x.dtype()), bytes = elements * item;
  if (!buffer.memory || buffer.memory->bytes() < bytes) {
    // Fresh memory may have been somebody's, whose work is still to be done.
    buffer.memory = Storage::allocate(bytes, device_);
    buffer.used.record();
  }
  buffer.used.hold_up(Queue::copies);
  buffer.memory->count_write();
  backend(device_).copy(buffer.memory->data(), x.storage()->data() + x.offset() * item, bytes, Queue::copies);
  copied_.record(Queue::copies);
  copied_.hold_up(Queue::compute);
  from_ = x;
  owner_ = std::move(owner);
  return Tensor(buffer.memory, 0, x.shape(), x.strides(), x.dtype());
}

void Uploader::settle() {
  if (!from_.defined()) return;
  const Tensor from = std::exchange(from_, {});  // let go of even when this throws
  const std::shared_ptr<const void> owner = std::move(owner_);
  copied_.synchronize();
}

}  // namespace ar
