// Elementwise operations: unary (from the shared list), binary, axpby; and what only looks at or fills elements.
#include "tensor/elementwise_ops.h"

#include "tensor/cpu/isa/families.h"
#include "tensor/cpu/isa/rows.h"
#include "tensor/cpu/isa/simd_math.h"

namespace ar::cpu::AR_ISA {
namespace {

constexpr int64_t kLightGrain = 16384, kHeavyGrain = 4096;  // elements for a thread of its own to pay

// ---- unary ----

template <class T>
struct Coefficients {
  T a, b;
};

template <class Op, class T>
void forward_row(const void* self, T* const* p, int64_t n, int64_t) {
  const auto c = *static_cast<const Coefficients<T>*>(self);
  const T* const x = p[0];
  T* const y = p[1];
  each_vector<T>(n, [=](int64_t i, auto io) { io.store(Op::forward(io.load(x + i), c.a, c.b), y + i); });
}
template <class Op, class T>
void backward_row(const void* self, T* const* p, int64_t n, int64_t) {
  const auto c = *static_cast<const Coefficients<T>*>(self);
  const T *const saved = p[0], *const gy = p[1];
  T* const gx = p[2];
  each_vector<T>(
      n, [=](int64_t i, auto io) { io.store(Op::backward(io.load(saved + i), io.load(gy + i), c.a, c.b), gx + i); });
}

template <class T>
struct UnaryRows {
  RowFunction<T> forward[int(UnaryOp::count)], backward[int(UnaryOp::count)];
};
template <class T, class... Ops>
constexpr UnaryRows<T> unary_rows(op::List<Ops...>) {
  return {{&forward_row<Ops, T>...}, {&backward_row<Ops, T>...}};
}
template <class T>
constexpr UnaryRows<T> kUnaryRows = unary_rows<T>(op::UnaryOps{});

constexpr int64_t grain_of(UnaryOp op) {
  return op == UnaryOp::sigmoid || op == UnaryOp::tanh || op == UnaryOp::exp || op == UnaryOp::log ? kHeavyGrain
                                                                                                   : kLightGrain;
}

template <class S>
void unary(UnaryOp op, Params params, const View& x, const View& y) {
  using T = Compute<S>;
  const Coefficients<T> c{T(params.a), T(params.b)};
  run_rows<S, 2>({&x, &y}, {1, 2}, kUnaryRows<T>.forward[int(op)], &c, grain_of(op));
}
template <class S>
void unary_backward(UnaryOp op, Params params, const View& saved, const View& gy, const View& gx) {
  using T = Compute<S>;
  const Coefficients<T> c{T(params.a), T(params.b)};
  run_rows<S, 3>({&saved, &gy, &gx}, {3, 4}, kUnaryRows<T>.backward[int(op)], &c, kLightGrain);
}

// ---- binary ----

struct Add {
  template <class V>
  static V f(V a, V b) {
    return a + b;
  }
};
struct Sub {
  template <class V>
  static V f(V a, V b) {
    return a - b;
  }
};
struct Mul {
  template <class V>
  static V f(V a, V b) {
    return a * b;
  }
};
struct Div {
  template <class T>
  static Vec<T> f(Vec<T> a, Vec<T> b) {
    return a / b;
  }
  // Integers: towards zero; by zero it is zero.
  template <class T>
  static T f(T a, T b) {
    if (b == 0) return 0;
    return b == T(-1) ? T(0) - a : a / b;
  }
};
// NaN in either operand gives NaN.
struct Max {
  template <class T>
  static Vec<T> f(Vec<T> a, Vec<T> b) {
    return select(a != a, a, max(a, b));
  }
  template <class T>
  static T f(T a, T b) {
    return a > b ? a : b;
  }
};
struct Min {
  template <class T>
  static Vec<T> f(Vec<T> a, Vec<T> b) {
    return select(a != a, a, min(a, b));
  }
  template <class T>
  static T f(T a, T b) {
    return a < b ? a : b;
  }
};

template <class T>
struct Unsigned {
  using type = T;
};
template <>
struct Unsigned<int32_t> {
  using type = uint32_t;
};
template <>
struct Unsigned<int64_t> {
  using type = uint64_t;
};
template <class Op, class T>
constexpr bool kWraps = __is_same(Op, Add) || __is_same(Op, Sub) || __is_same(Op, Mul);

template <class Op, class T>
void binary_row(const void*, T* const* p, int64_t n, int64_t) {
  const T *const a = p[0], *const b = p[1];
  T* const y = p[2];
  if constexpr (__is_same(T, float) || __is_same(T, double)) {
    each_vector<T>(n, [=](int64_t i, auto io) { io.store(Op::f(io.load(a + i), io.load(b + i)), y + i); });
  } else if constexpr (kWraps<Op, T>) {  // signed overflow wraps
    using U = typename Unsigned<T>::type;
    for (int64_t i = 0; i < n; ++i) y[i] = T(Op::f(U(a[i]), U(b[i])));
  } else {
    for (int64_t i = 0; i < n; ++i) y[i] = Op::f(a[i], b[i]);
  }
}

template <class S>
void binary(BinaryOp op, const View& a, const View& b, const View& y) {
  using T = Compute<S>;
  static constexpr RowFunction<T> rows[int(BinaryOp::count)] = {&binary_row<Add, T>, &binary_row<Sub, T>,
                                                                &binary_row<Mul, T>, &binary_row<Div, T>,
                                                                &binary_row<Max, T>, &binary_row<Min, T>};
  run_rows<S, 3>({&a, &b, &y}, {3, 4}, rows[int(op)], nullptr, kLightGrain);
}

// ---- axpby ----

template <class T>
void axpby_row(const void* self, T* const* p, int64_t n, int64_t) {
  const auto [a, b] = *static_cast<const Coefficients<T>*>(self);
  const Vec<T> va = Vec<T>::set1(a), vb = Vec<T>::set1(b);
  const T* const x = p[0];
  T* const y = p[1];
  if (b == 0)  // y may hold anything
    return each_vector<T>(n, [=](int64_t i, auto io) { io.store(va * io.load(x + i), y + i); });
  each_vector<T>(n, [=](int64_t i, auto io) { io.store(fma(va, io.load(x + i), vb * io.load(y + i)), y + i); });
}
template <class S>
void axpby(double a, const View& x, double b, const View& y) {
  using T = Compute<S>;
  const Coefficients<T> c{T(a), T(b)};
  run_rows<S, 2>({&x, &y}, {3, 2}, &axpby_row<T>, &c, kLightGrain);
}

// ---- any_nonfinite ----

template <class T>
void nonfinite_row(const void* self, T* const* p, int64_t n, int64_t) {
  const T* const x = p[0];
  Vec<T> sum = Vec<T>::zero();  // of zeros, unless there is an infinity or NaN
  each_vector<T>(n, [&](int64_t i, auto io) { sum += io.load(x + i) * Vec<T>::zero(); });
  if (any(sum != Vec<T>::zero())) __atomic_store_n(*static_cast<bool* const*>(self), true, __ATOMIC_RELAXED);
}
template <class S>
void any_nonfinite(const View& x, bool* flag) {
  run_rows<S, 1>({&x}, {1, 0}, &nonfinite_row<Compute<S>>, &flag, kLightGrain);
}

}  // namespace

void add_elementwise(Kernels& k) {
  k.unary = {.f16 = &unary<f16>, .bf16 = &unary<bf16>, .f32 = &unary<float>, .f64 = &unary<double>};
  k.unary_backward = {.f16 = &unary_backward<f16>,
                      .bf16 = &unary_backward<bf16>,
                      .f32 = &unary_backward<float>,
                      .f64 = &unary_backward<double>};
  k.binary = {.u8 = &binary<uint8_t>,
              .i32 = &binary<int32_t>,
              .i64 = &binary<int64_t>,
              .f16 = &binary<f16>,
              .bf16 = &binary<bf16>,
              .f32 = &binary<float>,
              .f64 = &binary<double>};
  k.axpby = {.f16 = &axpby<f16>, .bf16 = &axpby<bf16>, .f32 = &axpby<float>, .f64 = &axpby<double>};
  k.any_nonfinite = {.f16 = &any_nonfinite<f16>,
                     .bf16 = &any_nonfinite<bf16>,
                     .f32 = &any_nonfinite<float>,
                     .f64 = &any_nonfinite<double>};
}

}  // namespace ar::cpu::AR_ISA
