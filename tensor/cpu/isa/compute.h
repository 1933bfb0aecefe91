// The types that kernels compute in.
#pragma once
#include "tensor/dtype.h"

namespace ar::cpu::AR_ISA {
namespace {

/// The type that arithmetic on S is done in. Sums are formed in it, and numbers per channel (scale, shift) come in it.
template <class S>
struct ComputeType {
  using type = S;
};
template <>
struct ComputeType<f16> {
  using type = float;
};
template <>
struct ComputeType<bf16> {
  using type = float;
};
template <class S>
using Compute = typename ComputeType<S>::type;

}  // namespace
}  // namespace ar::cpu::AR_ISA
