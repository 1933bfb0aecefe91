#include "tensor/backend.h"

#include <atomic>
#include <charconv>

#include "tensor/cpu/allocator.h"

namespace ar {

const Backend& backend(Device device) {
  AR_CHECK(device.is_cpu(), "device ", device, ": this build has no CUDA backend");
  static const Backend cpu{.kernels = &cpu_kernels(), .allocate = cpu_allocate, .release = cpu_release};
  return cpu;
}

Device parse_device(std::string_view text) {
  if (text == "cpu") return {};
  if (text == "cuda") return {Device::Type::cuda, 0};
  if (text.starts_with("cuda:")) {
    const std::string_view digits = text.substr(5);
    int index = -1;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
    if (error == std::errc() && end == digits.data() + digits.size() && index >= 0) return {Device::Type::cuda, index};
  }
  fail("device '", text, "': expected cpu, cuda or cuda:N");
}

namespace {
std::atomic<int64_t> copies{0};
}
int64_t layout_copies() { return copies; }
namespace detail {
void count_layout_copy() { ++copies; }
}  // namespace detail

}  // namespace ar
