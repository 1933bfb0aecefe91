// A table of kernels in which each calls the one of the device's table and is timed.
#include <array>
#include <mutex>
#include <string>
#include <utility>

#include "tensor/backend.h"
#include "tensor/profile.h"
#include "tensor/profile_costs.h"

namespace ar::profile::detail {
namespace {

// The plain functions of a table cannot carry what they wrap, so there is one set of them for each kind of device.
template <Device::Type type>
struct Timed {
  static inline const Backend* device = nullptr;
  static inline Kernels table;
};

/// Appends a view's shape: "(8,64,28,28)".
void describe(std::string& text, const View& v) {
  if (!v.data) return;
  if (!text.empty()) text += ' ';
  text += '(';
  for (int i = 0; i < v.rank; ++i) {
    if (i) text += ',';
    text += std::to_string(v.shape[i]);
  }
  text += ')';
}
template <class T>
void describe(std::string&, const T&) {}

template <auto Entry>
constexpr bool kHasDtypes = requires(const Kernels& table) {
  (table.*Entry).f32;
};

/// The kernel that an entry has for a dtype (of index `dtype`); entries without dtypes have one.
template <auto Entry, int dtype>
auto& at(auto& table) {
  auto& entry = table.*Entry;
  if constexpr (!kHasDtypes<Entry>)
    return entry;
  else
    return *std::array{&entry.u8, &entry.i32, &entry.i64, &entry.f16, &entry.bf16, &entry.f32, &entry.f64}[dtype];
}

template <auto Entry, int dtype, class First, class... Rest>
Dtype dtype_of(const First& first, const Rest&...) {
  if constexpr (kHasDtypes<Entry>)
    return Dtype(dtype);
  else
    return first.dtype;
}

template <Device::Type type, auto Entry, int dtype, class... A>
void timed(A... arguments) {
  Event event{.category = "kernel", .begin = now()};
  const Backend& device = *Timed<type>::device;
  at<Entry, dtype> (*device.kernels)(arguments...);
  if (device.synchronize) device.synchronize();
  const Cost c = cost(Tag<Entry>{}, arguments...);
  event.name = c.kind;
  (describe(event.detail, arguments), ...);
  add(std::move(event), {.kind = c.kind,
                         .dtype = dtype_of<Entry, dtype>(arguments...),
                         .gflop = 1e-9 * c.flops,
                         .gigabytes = 1e-9 * (bytes_of(arguments) + ...)});
}

template <Device::Type type, auto Entry, int dtype, class... A>
void wrap_one(void (*&kernel)(A...)) {
  if (kernel) kernel = timed<type, Entry, dtype, A...>;
}

template <Device::Type type, auto Entry>
void wrap() {
  Kernels& table = Timed<type>::table;
  if constexpr (!kHasDtypes<Entry>)
    wrap_one<type, Entry, 0>(table.*Entry);
  else
    [&]<int... dtype>(std::integer_sequence<int, dtype...>) {
      (wrap_one<type, Entry, dtype>(at<Entry, dtype>(table)), ...);
    }
  (std::make_integer_sequence<int, kDtypes>());
}

template <Device::Type type, auto... Entries>
void wrap_all() {
  (wrap<type, Entries>(), ...);
}

template <Device::Type type>
const Kernels& timed_table(const Backend& device) {
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  if (Timed<type>::device == &device) return Timed<type>::table;
  Timed<type>::table = *device.kernels;
  using K = Kernels;
  wrap_all<type, &K::copy, &K::fill, &K::unary, &K::unary_backward, &K::binary, &K::axpby, &K::dropout, &K::uniform,
           &K::normal, &K::any_nonfinite, &K::reduce, &K::arg_max, &K::gemm, &K::conv2d_pack, &K::conv2d,
           &K::conv2d_backward_data, &K::conv2d_backward_weight, &K::channel_sums, &K::channel_affine, &K::channel_gate,
           &K::channel_affine_add, &K::norm_relu_pool2, &K::norm_relu_pool2_backward, &K::max_pool2d,
           &K::max_pool2d_backward, &K::avg_pool2d, &K::avg_pool2d_backward, &K::adaptive_avg_pool2d,
           &K::adaptive_avg_pool2d_backward, &K::lrn, &K::lrn_backward, &K::softmax, &K::softmax_backward, &K::pick,
           &K::pick_backward, &K::lstm_cell, &K::lstm_cell_backward, &K::normalize_frames, &K::sgd, &K::adam,
           &K::norm_forward, &K::norm_backward, &K::sgd_many, &K::adam_many, &K::clip_norm>();
  Timed<type>::device = &device;
  return Timed<type>::table;
}

}  // namespace

const Kernels& timed_kernels(Device device) {
  if (device.is_cpu()) return timed_table<Device::Type::cpu>(backend(device));
  return timed_table<Device::Type::cuda>(backend(device));
}

}  // namespace ar::profile::detail
