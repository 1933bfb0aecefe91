// The activations that convolutions and norms take along, on registers.
#pragma once
#include "tensor/cpu/isa/simd.h"
#include "tensor/kernels.h"

namespace ar::cpu::AR_ISA {
namespace {

/// activation(x). NaN stays.
template <Activation act, class T>
[[gnu::always_inline]] inline Vec<T> activate(Vec<T> x, Vec<T> slope) {
  const Vec<T> zero = Vec<T>::zero();
  if constexpr (act == Activation::relu) return max(zero, x);
  if constexpr (act == Activation::relu6) return min(Vec<T>::set1(6), max(zero, x));
  if constexpr (act == Activation::leaky_relu) return select(x > zero, x, x * slope);
  return x;
}

/// g * activation'(x): nothing passes where the result is held at 0 or at 6.
template <Activation act, class T>
[[gnu::always_inline]] inline Vec<T> activation_gradient(Vec<T> x, Vec<T> g, Vec<T> slope) {
  const Vec<T> zero = Vec<T>::zero();
  if constexpr (act == Activation::relu) return select(x > zero, g, zero);
  if constexpr (act == Activation::relu6) return select(x > zero, select(Vec<T>::set1(6) > x, g, zero), zero);
  if constexpr (act == Activation::leaky_relu) return select(x > zero, g, g * slope);
  return g;
}

/// f.operator()<a>(), with `a` known to the compiler.
template <class F>
[[gnu::always_inline]] inline decltype(auto) by_activation(Activation a, F&& f) {
  switch (a) {
    case Activation::relu:
      return f.template operator()<Activation::relu>();
    case Activation::relu6:
      return f.template operator()<Activation::relu6>();
    case Activation::leaky_relu:
      return f.template operator()<Activation::leaky_relu>();
    default:
      return f.template operator()<Activation::none>();
  }
}

/// The same two with the activation found at run time.
template <class T>
[[gnu::always_inline]] inline Vec<T> activate(Vec<T> x, Activation a, Vec<T> slope) {
  return by_activation(
      a, [&]<Activation act>() __attribute__((always_inline)) { return activate<act>(x, slope); });
}
template <class T>
[[gnu::always_inline]] inline Vec<T> activation_gradient(Vec<T> x, Vec<T> g, Activation a, Vec<T> slope) {
  return by_activation(
      a, [&]<Activation act>() __attribute__((always_inline)) { return activation_gradient<act>(x, g, slope); });
}

}  // namespace
}  // namespace ar::cpu::AR_ISA
