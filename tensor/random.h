// Random tensors. Every draw takes the next stretch of one Philox stream: equal seeds give equal tensors on every
// device, for every layout and thread count.
#pragma once
#include "tensor/kernels.h"
#include "tensor/tensor.h"

namespace ar {

class Generator {
 public:
  explicit Generator(uint64_t seed = 0) : state_{seed, 0} {}
  void seed(uint64_t seed) { state_ = {seed, 0}; }
  /// Takes the next n numbers of the stream.
  PhiloxState take(int64_t n) {
    const PhiloxState here = state_;
    state_.offset += uint64_t(n);
    return here;
  }
  PhiloxState state() const { return state_; }
  void set_state(PhiloxState s) { state_ = s; }

 private:
  PhiloxState state_;
};

/// The next n numbers of the generator, for a kernel of this device; live while a step is recorded there.
PhiloxState take_numbers(Generator& g, int64_t n, Device device);

/// The generator that everything uses unless told otherwise (dropout, init). One per process; not for concurrent use.
Generator& default_generator();
/// Restarts the default generator.
void manual_seed(uint64_t seed);

/// U[0,1).
Tensor rand(const Dims& shape, const TensorOptions& options = {}, Generator& g = default_generator());
/// N(0,1).
Tensor randn(const Dims& shape, const TensorOptions& options = {}, Generator& g = default_generator());
/// Integers in [0, n), i64. Throws Error unless 0 < n <= 2^32: each takes one number of the stream, of 32 bits.
Tensor randint(int64_t n, const Dims& shape, Generator& g = default_generator());
/// A random order of 0..n-1 (Fisher-Yates), i64.
Tensor randperm(int64_t n, Generator& g = default_generator());
/// In place.
void uniform_(const Tensor& t, double lo, double hi, Generator& g = default_generator());
void normal_(const Tensor& t, double mean, double std, Generator& g = default_generator());

}  // namespace ar
