// Element types, their names and sizes, and the step from a run-time dtype to a compile-time type.
#pragma once
#include <cstdint>
#include <ostream>
#include <type_traits>
#include <utility>

#include "tensor/error.h"

namespace ar {

enum class Dtype : uint8_t { u8, i32, i64, f16, bf16, f32, f64 };
inline constexpr int kDtypes = 7;

/// IEEE 754 binary16 and bfloat16 as they lie in memory. Arithmetic is done in f32; see half.h.
struct f16 {
  uint16_t bits;
};
struct bf16 {
  uint16_t bits;
};

/// Bytes of one element.
constexpr int64_t size_of(Dtype t) {
  constexpr int64_t bytes[kDtypes] = {1, 4, 8, 2, 2, 4, 8};
  return bytes[int(t)];
}
/// PyTorch's names: "uint8", "float32", ...
constexpr const char* name_of(Dtype t) {
  constexpr const char* names[kDtypes] = {"uint8", "int32", "int64", "float16", "bfloat16", "float32", "float64"};
  return names[int(t)];
}
constexpr bool is_floating(Dtype t) { return t >= Dtype::f16; }

/// What weights and numbers per channel (scale, shift, bias, statistics) come in beside activations of dtype t: halves
/// have f32 ones.
constexpr Dtype parameter_dtype(Dtype t) { return t == Dtype::f16 || t == Dtype::bf16 ? Dtype::f32 : t; }

inline std::ostream& operator<<(std::ostream& out, Dtype t) { return out << name_of(t); }

template <class T>
constexpr Dtype dtype_of() {
  if constexpr (std::is_same_v<T, uint8_t>)
    return Dtype::u8;
  else if constexpr (std::is_same_v<T, int32_t>)
    return Dtype::i32;
  else if constexpr (std::is_same_v<T, int64_t>)
    return Dtype::i64;
  else if constexpr (std::is_same_v<T, f16>)
    return Dtype::f16;
  else if constexpr (std::is_same_v<T, bf16>)
    return Dtype::bf16;
  else if constexpr (std::is_same_v<T, float>)
    return Dtype::f32;
  else {
    static_assert(std::is_same_v<T, double>, "not an element type");
    return Dtype::f64;
  }
}

/// Calls f.template operator()<T>() with the C++ type of `t`.
template <class F>
decltype(auto) dispatch(Dtype t, F&& f) {
  switch (t) {
    case Dtype::u8:
      return f.template operator()<uint8_t>();
    case Dtype::i32:
      return f.template operator()<int32_t>();
    case Dtype::i64:
      return f.template operator()<int64_t>();
    case Dtype::f16:
      return f.template operator()<f16>();
    case Dtype::bf16:
      return f.template operator()<bf16>();
    case Dtype::f32:
      return f.template operator()<float>();
    case Dtype::f64:
      return f.template operator()<double>();
  }
  fail("dispatch: not a dtype: ", int(t));
}

}  // namespace ar
