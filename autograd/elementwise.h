// Differentiable elementwise functions. Binary ones broadcast as NumPy does; dtypes are equal.
#pragma once
#include "autograd/variable.h"
#include "tensor/random.h"

namespace ar {

Variable add(const Variable& a, const Variable& b);      // a + b
Variable sub(const Variable& a, const Variable& b);      // a - b
Variable mul(const Variable& a, const Variable& b);      // a * b;  ga = g * b, gb = g * a
Variable div(const Variable& a, const Variable& b);      // a / b;  ga = g / b, gb = -g * a / b^2
Variable maximum(const Variable& a, const Variable& b);  // the larger; equal elements share the gradient
Variable minimum(const Variable& a, const Variable& b);
/// a*x + b for two numbers.
Variable affine(const Variable& x, double a, double b = 0);

inline Variable operator+(const Variable& a, const Variable& b) { return add(a, b); }
inline Variable operator-(const Variable& a, const Variable& b) { return sub(a, b); }
inline Variable operator*(const Variable& a, const Variable& b) { return mul(a, b); }
inline Variable operator/(const Variable& a, const Variable& b) { return div(a, b); }
inline Variable operator+(const Variable& x, double b) { return affine(x, 1, b); }
inline Variable operator-(const Variable& x, double b) { return affine(x, 1, -b); }
inline Variable operator*(const Variable& x, double a) { return affine(x, a); }
inline Variable operator*(double a, const Variable& x) { return affine(x, a); }
inline Variable operator/(const Variable& x, double a) { return affine(x, 1 / a); }
inline Variable operator-(const Variable& x) { return affine(x, -1); }

/// x in another floating dtype; its gradient comes back in x's own.
Variable cast(const Variable& x, Dtype dtype);

Variable relu(const Variable& x);                                      // max(x, 0)
Variable relu6(const Variable& x);                                     // min(max(x, 0), 6)
Variable leaky_relu(const Variable& x, double negative_slope = 0.01);  // x > 0 ? x : slope * x
Variable sigmoid(const Variable& x);                                   // y = 1 / (1 + e^-x);  gx = g * y * (1 - y)
Variable tanh(const Variable& x);                                      // gx = g * (1 - y^2)
Variable exp(const Variable& x);                                       // gx = g * y
Variable log(const Variable& x);                                       // gx = g / x
Variable sqrt(const Variable& x);                                      // gx = g / (2 y)
Variable square(const Variable& x);                                    // gx = 2 g x
Variable abs(const Variable& x);                                       // gx = g * sign(x)
Variable clamp(const Variable& x, double lo, double hi);               // gx = g inside [lo, hi], else 0

/// Srivastava et al. 2014, scaled while training: y = keep ? x / (1-p) : 0. p = 1 gives zeros; not training: x itself.
Variable dropout(const Variable& x, double p, bool training, Generator& g = default_generator());

}  // namespace ar
