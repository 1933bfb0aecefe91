// What the machine can do: multiply-adds of all threads, and memory. Shares of peak refer to these.
#pragma once
#include "tensor/tensor.h"

namespace ar {

/// Runs a loop of independent multiply-adds on every thread; the GFLOP of f32 that it does (a multiply-add counts two).
/// 0 where there is no such loop for this processor.
double multiply_adds();
/// The same of products of bf16 added up in f32.
double multiply_adds_bf16();

/// c = a + s * b over arrays of n numbers that no cache should hold (McCalpin's STREAM triad); 12 bytes an element.
class Triad {
 public:
  explicit Triad(int64_t n = int64_t(1) << 25);
  double gigabytes() const { return 12e-9 * double(n_); }
  void operator()() const;

 private:
  int64_t n_;
  Tensor a_, b_, c_;
};

/// GFLOP/s and GB/s of these just now, the best of some rounds; 0 where unknown. Some tenths of a second.
double peak_gflops();
double peak_gflops_bf16();
double peak_bandwidth();

}  // namespace ar
