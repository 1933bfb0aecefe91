#include "tensor/backend.h"

#include <dlfcn.h>

#include <atomic>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <vector>

#include "tensor/cpu/allocator.h"
#include "tensor/profile.h"

namespace ar {

namespace {

/// libar_cuda.so, kept open for ever. Throws Error with the reason when there is none.
void* open_cuda_library() {
  std::vector<std::string> places;
  if (const char* given = std::getenv("AR_CUDA_LIBRARY"); given && *given) {
    places.push_back(given);
  } else {
    Dl_info here{};
    if (dladdr(reinterpret_cast<void*>(&backend), &here) && here.dli_fname) {
      const std::filesystem::path folder = std::filesystem::path(here.dli_fname).parent_path();
      places = {(folder / "libar_cuda.so").string(), (folder / "../lib/libar_cuda.so").string()};
      std::error_code missing;  // a file that is there but cannot be opened is the reason to report
      std::erase_if(places, [&](const std::string& p) { return !std::filesystem::exists(p, missing); });
    }
    places.push_back("libar_cuda.so");
  }
  std::string reason;
  for (const std::string& place : places) {
    if (void* library = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    if (reason.empty()) reason = dlerror();
  }
  fail("the library of the CUDA backend cannot be opened: ", reason, "; docs/cuda.md says how it is built");
}

const Backend& cuda_backend(Device device) {
  static std::mutex mutex;
  static std::atomic<const Backend*> opened[64];
  AR_CHECK(device.index < 64, "device ", device, ": there is no such device");
  std::atomic<const Backend*>& slot = opened[device.index];
  if (const Backend* b = slot.load(std::memory_order_acquire)) return *b;
  std::lock_guard lock(mutex);
  static void* const library = open_cuda_library();  // tried again when it throws
  const auto abi = reinterpret_cast<int64_t (*)()>(dlsym(library, "ar_cuda_abi"));
  const auto open = reinterpret_cast<const Backend* (*)(int)>(dlsym(library, "ar_cuda_open"));
  AR_CHECK(abi && open && abi() == int64_t(sizeof(Kernels)) * 1000 + int64_t(sizeof(Backend)), "device ", device,
           ": libar_cuda.so belongs to another version of this library");
  slot.store(open(device.index), std::memory_order_release);
  return *slot.load(std::memory_order_relaxed);
}

}  // namespace

const Backend& backend(Device device) {
  static const Backend cpu{.kernels = &cpu_kernels(), .allocate = cpu_allocate, .release = cpu_release};
  return device.is_cpu() ? cpu : cuda_backend(device);
}

const Kernels& kernels(Device device) {
  return profile::enabled() ? profile::detail::timed_kernels(device) : *backend(device).kernels;
}

MemoryStats memory_stats(Device device) { return device.is_cpu() ? memory_stats() : backend(device).memory_stats(); }
void reset_peak_memory(Device device) { device.is_cpu() ? reset_peak_memory() : backend(device).reset_peak_memory(); }
void empty_cache(Device device) { device.is_cpu() ? empty_cache() : backend(device).empty_cache(); }
HostTraffic host_traffic(Device device) { return device.is_cpu() ? HostTraffic{} : backend(device).host_traffic(); }
void synchronize(Device device) {
  if (!device.is_cpu()) backend(device).synchronize();
}
std::string why_unavailable(Device device) try {
  backend(device);
  return "";
} catch (const Error& e) {
  return e.what();
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
