#include "tensor/live_numbers.h"

#include "tensor/backend.h"
#include "tensor/error.h"

namespace ar {
namespace {

constexpr int64_t kBytes = 64 << 10;  // about a thousand numbers; their address must not change
thread_local LiveNumbers* recorded = nullptr;

}  // namespace

LiveNumbers::LiveNumbers(Device device) : device_(Storage::allocate(kBytes, device)) { host_.reserve(kBytes); }

int64_t LiveNumbers::take(int64_t bytes) {
  const int64_t at = int64_t(host_.size() + 7) / 8 * 8;
  AR_CHECK(at + bytes <= kBytes, "a recorded step has more numbers that change than fit ", kBytes, " bytes");
  host_.resize(size_t(at + bytes));
  return at;
}

void LiveNumbers::advance() {
  for (const auto& next : next_) next();
}

void LiveNumbers::give_up() {
  for (const auto& undo : undo_) undo();
}

void LiveNumbers::upload() const {
  if (!host_.empty()) backend(device_->device()).upload(device_->data(), host_.data(), int64_t(host_.size()));
}

LiveNumbers* recorded_numbers() { return recorded; }
RecordNumbers::RecordNumbers(LiveNumbers& numbers) {
  AR_CHECK(!recorded, "a step is being recorded already");
  recorded = &numbers;
}
RecordNumbers::~RecordNumbers() { recorded = nullptr; }

}  // namespace ar
