// Element types in kernels: halves are stored as 16 bits and computed with in f32, by the conversions that the CPU
// uses.
#pragma once
#include "tensor/half.h"
#include "tensor/hd.h"

namespace ar::cuda {

template <class S>
struct ComputeOf {
  using type = S;
};
template <>
struct ComputeOf<f16> {
  using type = float;
};
template <>
struct ComputeOf<bf16> {
  using type = float;
};
/// The type that arithmetic on elements of type S is done in.
template <class S>
using Compute = typename ComputeOf<S>::type;

template <class S>
AR_HD Compute<S> widen(S x) {
  if constexpr (std::is_same_v<S, f16> || std::is_same_v<S, bf16>)
    return to_f32(x);
  else
    return x;
}
template <class S>
AR_HD S narrow(Compute<S> x) {
  if constexpr (std::is_same_v<S, f16>)
    return to_f16(x);
  else if constexpr (std::is_same_v<S, bf16>)
    return to_bf16(x);
  else
    return x;
}

/// A long sum of f32 numbers: 16 of them are added up, then folded into f64, so that many small ones are not lost. (In
/// f64 alone it would run at 1/64 of the speed on most cards.)
template <class T>
struct Sum {
  T part = 0;
  double folded = 0;
  int count = 0;
  AR_HD void add(T v) {
    part += v;
    if (++count == 16) folded += double(part), part = 0, count = 0;
  }
  AR_HD double total() const { return folded + double(part); }
};

}  // namespace ar::cuda
