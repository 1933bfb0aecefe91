// Elementwise operations. Each reads every input and writes every output once: on a GPU their time is bytes over
// bandwidth, so what is dense goes by 16 bytes a thread (each.h) and the operation is chosen inside the kernel, by a
// branch that all threads take alike, rather than by a kernel of its own for each.
#include "cuda/each.h"
#include "cuda/families.h"
#include "tensor/elementwise_ops.h"

namespace ar::cuda {
namespace {

// ---- unary: y = f(x; a, b) and gx = f'(saved) gy ----

template <class T>
struct UnaryForward {
  UnaryOp op;
  T a, b;
  template <class... Ops>
  AR_HD T apply(op::List<Ops...>, T x) const {
    T y = x;
    ((op == Ops::op ? void(y = Ops::forward(x, a, b)) : void()), ...);
    return y;
  }
  AR_HD T operator()(const T (&v)[1]) const { return apply(op::UnaryOps{}, v[0]); }
};

template <class T>
struct UnaryBackward {
  UnaryOp op;
  T a, b;
  template <class... Ops>
  AR_HD T apply(op::List<Ops...>, T saved, T gy) const {
    T gx = gy;
    ((op == Ops::op ? void(gx = Ops::backward(saved, gy, a, b)) : void()), ...);
    return gx;
  }
  AR_HD T operator()(const T (&v)[2]) const { return apply(op::UnaryOps{}, v[0], v[1]); }
};

template <class S>
void unary(UnaryOp op, Params p, const View& x, const View& y) {
  using T = Compute<S>;
  map<S, 2>({&x, &y}, UnaryForward<T>{op, T(p.a), T(p.b)});
}
template <class S>
void unary_backward(UnaryOp op, Params p, const View& saved, const View& gy, const View& gx) {
  using T = Compute<S>;
  map<S, 3>({&saved, &gy, &gx}, UnaryBackward<T>{op, T(p.a), T(p.b)});
}

// ---- binary: y = a op b ----

template <class T>
struct Wrapping {  // integers that may overflow do so in the unsigned type
  using type = T;
};
template <>
struct Wrapping<int32_t> {
  using type = uint32_t;
};
template <>
struct Wrapping<int64_t> {
  using type = uint64_t;
};

template <class T>
struct Binary {
  BinaryOp op;
  AR_HD T operator()(const T (&v)[2]) const {
    using W = typename Wrapping<T>::type;
    const T a = v[0], b = v[1];
    switch (op) {
      case BinaryOp::add:
        return T(W(a) + W(b));
      case BinaryOp::sub:
        return T(W(a) - W(b));
      case BinaryOp::mul:
        return T(W(a) * W(b));
      case BinaryOp::div:
        if constexpr (std::is_integral_v<T>)  // towards zero; by zero it is zero
          return b == 0 ? T(0) : b == T(-1) ? T(W(0) - W(a)) : T(a / b);
        else
          return a / b;
      case BinaryOp::max:
        return a != a || a > b ? a : b;  // NaN in either operand gives NaN
      default:
        return a != a || a < b ? a : b;
    }
  }
};
template <class S>
void binary(BinaryOp op, const View& a, const View& b, const View& y) {
  map<S, 3>({&a, &b, &y}, Binary<Compute<S>>{op});
}

// ---- axpby: y = a x + b y ----

template <class T>
struct Scaled {
  T a;
  AR_HD T operator()(const T (&v)[1]) const { return a * v[0]; }
};
template <class T>
struct Axpby {
  T a, b;
  AR_HD T operator()(const T (&v)[2]) const { return a * v[0] + b * v[1]; }
};
template <class S>
void axpby(double a, const View& x, double b, const View& y) {
  using T = Compute<S>;
  if (b == 0)  // y may hold anything
    map<S, 2>({&x, &y}, Scaled<T>{T(a)});
  else
    map<S, 3>({&x, &y, &y}, Axpby<T>{T(a), T(b)});
}

// ---- any_nonfinite ----

template <class S>
struct Nonfinite {
  const S* x;
  int* flag;
  __device__ void operator()(int64_t, const int64_t (&at)[1]) const {
    const Compute<S> v = widen(x[at[0]]);
    if (v * 0 != 0) atomicExch(flag, 1);
  }
};
template <class S>
void any_nonfinite(const View& x, bool* flag) {
  const Scratch found(sizeof(int));
  gpu::fill(found.as<int>(), 0, sizeof(int), stream());
  each(make_walk<1>({&x}), Nonfinite<S>{x.as<const S>(), found.as<int>()});
  int result = 0;
  read_back(&result, found.as<int>(), sizeof result);
  if (result) *flag = true;
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

}  // namespace ar::cuda
