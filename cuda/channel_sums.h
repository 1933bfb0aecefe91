// What a channel pass adds up of the numbers that it returns for its elements: nothing, pairs, or moments. A thread has
// V neighbouring channels and goes down their pixels.
//
// Sums are formed in f32 over 16 numbers or a few more, then folded into f64, so that many small ones are not lost (in
// f64 alone they would run at 1/64 of the speed on most cards). The f64 part lies in shared memory, a place for each
// thread and channel that no other thread touches: in registers it would take four for each channel.
#pragma once
#include "cuda/gpu.h"
#include "cuda/numbers.h"

namespace ar::cuda {

template <class T>
struct Two {
  T a, b;
};

constexpr int kPassThreads = 256;  // of a block

struct NoSums {
  static constexpr bool wanted = false;
  template <class T, int V>
  struct Of {
    __device__ explicit Of(double*) {}
    __device__ void add(int, int, NoSums) {}
    __device__ void end_rows(int) {}
    __device__ void finish() {}
  };
};

/// The two numbers returned.
struct PairSums {
  static constexpr bool wanted = true;
  template <class T, int V>
  class Of {
   public:
    /// folded: this thread's first place of 2 V; they lie kPassThreads apart.
    __device__ explicit Of(double* folded) : folded_(folded) {
#pragma unroll
      for (int k = 0; k < 2 * V; ++k) folded_[k * kPassThreads] = 0;
    }
    /// Of channel j, in the r-th pixel since end_rows().
    __device__ void add(int, int j, Two<T> v) { a_[j] += v.a, b_[j] += v.b; }
    __device__ void end_rows(int rows) {
      if ((rows_ += rows) >= 16) finish();
    }
    __device__ void finish() {
#pragma unroll
      for (int j = 0; j < V; ++j) {
        volatile double &a = folded_[j * kPassThreads], &b = folded_[(V + j) * kPassThreads];
        a = a + double(a_[j]);
        b = b + double(b_[j]);
        a_[j] = b_[j] = 0;
      }
      rows_ = 0;
    }

   private:
    T a_[V] = {}, b_[V] = {};
    int rows_ = 0;
    volatile double* folded_;  // else the compiler would move what lies there to registers for the time of the loop
  };
};

/// The number returned, and its square. Both are summed about the thread's first value, and moved back in f64: so the
/// variance that is made of them keeps its digits where a mean is far from zero.
struct MomentSums {
  static constexpr bool wanted = true;
  template <class T, int V>
  class Of {
   public:
    __device__ explicit Of(double* folded) : about_(folded), folded_(folded) {}
    __device__ void add(int r, int j, T v) {
      if (r == 0 && rows_ == 0) pivot_[j] = v;
      const T d = v - pivot_[j];
      about_.add(r, j, {d, d * d});
    }
    __device__ void end_rows(int rows) { rows_ += rows, about_.end_rows(rows); }
    __device__ void finish() {
      about_.finish();
      const double n = double(rows_);
#pragma unroll
      for (int j = 0; j < V; ++j) {
        const double p = double(pivot_[j]);
        double &a = folded_[j * kPassThreads], &b = folded_[(V + j) * kPassThreads];
        b += 2 * p * a + n * p * p;
        a += n * p;
      }
    }

   private:
    PairSums::Of<T, V> about_;
    T pivot_[V] = {};
    int rows_ = 0;
    double* folded_;
  };
};

/// sum_a[c] += all parts' first sums of channel c, sum_b[c] their second ones; either may be null. A part is a row of
/// first sums, then one of second ones.
void add_parts(const double* partial, int64_t parts, int64_t channels, double* sum_a, double* sum_b);

}  // namespace ar::cuda
