// Kernels over channels want a pixel's channels side by side. Views that do not lie so are copied into that order
// first and back afterwards; channels last is the library's default, so that is the exception.
#pragma once
#include "tensor/cpu/isa/families.h"
#include "tensor/cpu/isa/rows.h"

namespace ar::cpu::AR_ISA {
namespace {

/// Up to K views (N,C,...), each with channel stride 1. Views without data stay so. Uses the calling thread's scratch
/// memory, of which `extra` bytes are the kernel's.
template <int K>
class ChannelsLast {
 public:
  View view[K];
  char* extra;

  ChannelsLast(const View* const (&views)[K], Access access, int64_t extra_bytes = 0) : access_(access) {
    int64_t bytes = round_up(extra_bytes), place[K] = {};
    for (int k = 0; k < K; ++k) {
      view[k] = given_[k] = *views[k];
      View& v = view[k];
      staged_[k] = v.data && v.shape[1] > 1 && v.strides[1] != 1;
      if (!staged_[k]) continue;
      place[k] = bytes;
      v.strides[1] = 1;
      int64_t stride = v.shape[1];
      for (int d = v.rank - 1; d >= 0; --d) {
        if (d == 1) continue;
        v.strides[d] = stride;
        stride *= v.shape[d];
      }
      bytes += round_up(stride * size_of(v.dtype));
    }
    extra = bytes ? static_cast<char*>(thread_scratch(bytes)) : nullptr;
    for (int k = 0; k < K; ++k) {
      if (!staged_[k]) continue;
      view[k].data = extra + place[k];
      if (access_.reads >> k & 1u) copy(given_[k], view[k]);
    }
  }
  /// Call when the kernel is done.
  void finish() {
    for (int k = 0; k < K; ++k)
      if (staged_[k] && access_.writes >> k & 1u) copy(view[k], given_[k]);
  }

 private:
  static int64_t round_up(int64_t bytes) { return (bytes + 63) / 64 * 64; }
  Access access_;
  View given_[K];
  bool staged_[K];
};

}  // namespace
}  // namespace ar::cpu::AR_ISA
