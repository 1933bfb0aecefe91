// The elementwise operations, each defined once, value and gradient together. V is one SIMD register of any
// instruction set, or a plain float or double (CUDA, references); S is the number type of the parameters.
//
// forward(x, a, b) is y; backward(saved, gy, a, b) is dL/dx, where saved is y if saves_output, else x.
#pragma once
#include <cmath>

#include "tensor/hd.h"
#include "tensor/kernels.h"

namespace ar::op {

// Scalar overloads. Those of SIMD registers are found by argument-dependent lookup.
AR_HD float exp(float x) { return ::expf(x); }
AR_HD double exp(double x) { return ::exp(x); }
AR_HD float log(float x) { return ::logf(x); }
AR_HD double log(double x) { return ::log(x); }
AR_HD float tanh(float x) { return ::tanhf(x); }
AR_HD double tanh(double x) { return ::tanh(x); }
AR_HD float sqrt(float x) { return ::sqrtf(x); }
AR_HD double sqrt(double x) { return ::sqrt(x); }
AR_HD float abs(float x) { return ::fabsf(x); }
AR_HD double abs(double x) { return ::fabs(x); }
AR_HD float sigmoid(float x) { return 1.0f / (1.0f + ::expf(-x)); }
AR_HD double sigmoid(double x) { return 1.0 / (1.0 + ::exp(-x)); }
AR_HD float select(bool c, float a, float b) { return c ? a : b; }
AR_HD double select(bool c, double a, double b) { return c ? a : b; }

/// All lanes of a V set to s.
template <class V, class S>
AR_HD V splat(S s) {
  if constexpr (requires { V::set1(s); })
    return V::set1(s);
  else
    return V(s);
}

#define AR_ELEMENTWISE_FORWARD \
  template <class V, class S>  \
  AR_HD static V forward(V x, [[maybe_unused]] S a, [[maybe_unused]] S b)
#define AR_ELEMENTWISE_BACKWARD \
  template <class V, class S>   \
  AR_HD static V backward([[maybe_unused]] V saved, V gy, [[maybe_unused]] S a, [[maybe_unused]] S b)

struct Affine {
  static constexpr UnaryOp op = UnaryOp::affine;
  static constexpr bool saves_output = false;
  AR_ELEMENTWISE_FORWARD { return splat<V>(a) * x + splat<V>(b); }
  AR_ELEMENTWISE_BACKWARD { return splat<V>(a) * gy; }
};
struct Relu {
  static constexpr UnaryOp op = UnaryOp::relu;
  static constexpr bool saves_output = true;
  AR_ELEMENTWISE_FORWARD { return select(x < splat<V>(S(0)), splat<V>(S(0)), x); }
  AR_ELEMENTWISE_BACKWARD { return select(saved > splat<V>(S(0)), gy, splat<V>(S(0))); }
};
struct Relu6 {
  static constexpr UnaryOp op = UnaryOp::relu6;
  static constexpr bool saves_output = true;
  AR_ELEMENTWISE_FORWARD {
    const V zero = splat<V>(S(0)), six = splat<V>(S(6)), y = select(x < zero, zero, x);
    return select(y > six, six, y);
  }
  AR_ELEMENTWISE_BACKWARD {
    const V zero = splat<V>(S(0));
    return select(saved > zero, select(saved < splat<V>(S(6)), gy, zero), zero);
  }
};
struct LeakyRelu {
  static constexpr UnaryOp op = UnaryOp::leaky_relu;
  static constexpr bool saves_output = false;
  AR_ELEMENTWISE_FORWARD { return select(x > splat<V>(S(0)), x, splat<V>(a) * x); }
  AR_ELEMENTWISE_BACKWARD { return select(saved > splat<V>(S(0)), gy, splat<V>(a) * gy); }
};
struct Sigmoid {
  static constexpr UnaryOp op = UnaryOp::sigmoid;
  static constexpr bool saves_output = true;
  AR_ELEMENTWISE_FORWARD { return sigmoid(x); }
  AR_ELEMENTWISE_BACKWARD { return gy * saved * (splat<V>(S(1)) - saved); }
};
struct Tanh {
  static constexpr UnaryOp op = UnaryOp::tanh;
  static constexpr bool saves_output = true;
  AR_ELEMENTWISE_FORWARD { return tanh(x); }
  AR_ELEMENTWISE_BACKWARD { return gy * (splat<V>(S(1)) - saved * saved); }
};
struct Exp {
  static constexpr UnaryOp op = UnaryOp::exp;
  static constexpr bool saves_output = true;
  AR_ELEMENTWISE_FORWARD { return exp(x); }
  AR_ELEMENTWISE_BACKWARD { return gy * saved; }
};
struct Log {
  static constexpr UnaryOp op = UnaryOp::log;
  static constexpr bool saves_output = false;
  AR_ELEMENTWISE_FORWARD { return log(x); }
  AR_ELEMENTWISE_BACKWARD { return gy / saved; }
};
struct Sqrt {
  static constexpr UnaryOp op = UnaryOp::sqrt;
  static constexpr bool saves_output = true;
  AR_ELEMENTWISE_FORWARD { return sqrt(x); }
  AR_ELEMENTWISE_BACKWARD { return gy / (saved + saved); }
};
struct Square {
  static constexpr UnaryOp op = UnaryOp::square;
  static constexpr bool saves_output = false;
  AR_ELEMENTWISE_FORWARD { return x * x; }
  AR_ELEMENTWISE_BACKWARD { return gy * (saved + saved); }
};
struct Abs {
  static constexpr UnaryOp op = UnaryOp::abs;
  static constexpr bool saves_output = false;
  AR_ELEMENTWISE_FORWARD { return abs(x); }
  AR_ELEMENTWISE_BACKWARD {
    const V zero = splat<V>(S(0));
    return select(saved > zero, gy, select(saved < zero, zero - gy, zero));
  }
};
struct Reciprocal {
  static constexpr UnaryOp op = UnaryOp::reciprocal;
  static constexpr bool saves_output = true;
  AR_ELEMENTWISE_FORWARD { return splat<V>(S(1)) / x; }
  AR_ELEMENTWISE_BACKWARD { return splat<V>(S(0)) - gy * saved * saved; }
};
struct Clamp {
  static constexpr UnaryOp op = UnaryOp::clamp;
  static constexpr bool saves_output = false;
  AR_ELEMENTWISE_FORWARD {
    const V y = select(x < splat<V>(a), splat<V>(a), x);
    return select(y > splat<V>(b), splat<V>(b), y);
  }
  AR_ELEMENTWISE_BACKWARD {
    const V zero = splat<V>(S(0));
    return select(saved >= splat<V>(a), select(saved <= splat<V>(b), gy, zero), zero);
  }
};

#undef AR_ELEMENTWISE_FORWARD
#undef AR_ELEMENTWISE_BACKWARD

template <class... Ops>
struct List {};
/// In the order of the enum. A new op is a struct above, a name here and one in UnaryOp.
using UnaryOps = List<Affine, Relu, Relu6, LeakyRelu, Sigmoid, Tanh, Exp, Log, Sqrt, Square, Abs, Reciprocal, Clamp>;

template <class... Ops>
constexpr bool in_order(List<Ops...>) {
  int i = 0;
  return ((int(Ops::op) == i++ && Ops::saves_output == unary_saves_output(Ops::op)) && ...) &&
         sizeof...(Ops) == std::size_t(UnaryOp::count);
}
static_assert(in_order(UnaryOps{}));

}  // namespace ar::op
