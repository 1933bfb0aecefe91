// Two sums per channel over many pixels, for kernels that walk pixels on several threads.
#pragma once
#include "tensor/cpu/isa/rows.h"

namespace ar::cpu::AR_ISA {
namespace {

constexpr int64_t kSummedChannels = 1024;  // channels whose sums are kept at once

/// Each thread adds up blocks of pixels in T, folds every block into f64 sums of its own, and these are added in order
/// in the end: results depend on the number of threads alone.
template <class T>
class ChannelSums {
 public:
  /// `items` (pixels, or groups of them) of `channels` channels, of which a thread should get `grain` at least.
  ChannelSums(int64_t items, int64_t channels, int64_t grain) : items_(items), channels_(channels) {
    const int64_t most = (items + grain - 1) / grain, threads = num_threads();
    parts_ = int(most < threads ? most : threads);
  }
  /// Scratch memory that run() wants.
  int64_t bytes() const { return parts_ * 2 * channels_ * int64_t(sizeof(double)); }

  /// f(begin, end, channel, n, a, b) adds to a[0..n) and b[0..n) what items [begin, end) have in channels
  /// [channel, channel + n). In the end sum_a and sum_b (either may be null) are increased by the totals.
  template <class F>
  void run(void* scratch, double* sum_a, double* sum_b, F&& f) const {
    if (parts_ == 0) return;
    double* const totals = static_cast<double*>(scratch);
    parallel_parts(parts_, [&](int part, int count) {
      alignas(64) T a[kSummedChannels], b[kSummedChannels];
      const int64_t begin = items_ * part / count, end = items_ * (part + 1) / count;
      for (int64_t c = 0; c < channels_; c += kSummedChannels) {
        const int64_t n = channels_ - c < kSummedChannels ? channels_ - c : kSummedChannels;
        double* const total_a = totals + part * 2 * channels_ + c;
        double* const total_b = total_a + channels_;
        for (int64_t j = 0; j < n; ++j) total_a[j] = total_b[j] = 0;
        for (int64_t i = begin; i < end; i += kItems) {
          for (int64_t j = 0; j < n; ++j) a[j] = b[j] = 0;
          f(i, i + kItems < end ? i + kItems : end, c, n, a, b);
          for (int64_t j = 0; j < n; ++j) {
            total_a[j] += double(a[j]);
            total_b[j] += double(b[j]);
          }
        }
      }
    });
    add_parts(totals, sum_a);
    add_parts(totals + channels_, sum_b);
  }

 private:
  static constexpr int64_t kItems = 64;
  void add_parts(const double* totals, double* sum) const {
    if (sum)
      for (int part = 0; part < parts_; ++part)
        for (int64_t j = 0; j < channels_; ++j) sum[j] += totals[part * 2 * channels_ + j];
  }
  int64_t items_, channels_;
  int parts_;
};

}  // namespace
}  // namespace ar::cpu::AR_ISA
