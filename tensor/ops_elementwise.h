// Elementwise operations on tensors: shapes and dtypes are checked here, once for all devices.
#pragma once
#include "tensor/kernels.h"
#include "tensor/tensor.h"

namespace ar::ops {

/// y = op(x), of x's shape, dtype and order in memory. Floating dtypes.
Tensor unary(UnaryOp op, const Tensor& x, Params params = {});
/// In place. Throws Error when elements of x share memory (Tensor::check_separate).
void unary_(UnaryOp op, const Tensor& x, Params params = {});
/// gx from gy; `saved` is the op's output where unary_saves_output(op), else its input.
Tensor unary_backward(UnaryOp op, const Tensor& saved, const Tensor& gy, Params params = {});

/// NumPy's broadcasting rule; throws Error naming `op` when the shapes do not fit.
Dims broadcast_shape(const char* op, const Dims& a, const Dims& b);
/// y = a op b with broadcasting; dtypes are equal.
Tensor binary(BinaryOp op, const Tensor& a, const Tensor& b);
inline Tensor add(const Tensor& a, const Tensor& b) { return binary(BinaryOp::add, a, b); }
inline Tensor sub(const Tensor& a, const Tensor& b) { return binary(BinaryOp::sub, a, b); }
inline Tensor mul(const Tensor& a, const Tensor& b) { return binary(BinaryOp::mul, a, b); }
inline Tensor div(const Tensor& a, const Tensor& b) { return binary(BinaryOp::div, a, b); }
/// a*x + b
inline Tensor affine(const Tensor& x, double a, double b = 0) { return unary(UnaryOp::affine, x, {a, b}); }
/// y = a*x + b*y, in place; x broadcasts to y, and is read as it is before. Throws Error when elements of y share
/// memory.
void axpby_(double a, const Tensor& x, double b, const Tensor& y);

/// y = keep ? x / (1-p) : 0 with P(keep) = 1-p, drawn from the given stretch of the Philox stream. 0 <= p < 1.
Tensor dropout(const Tensor& x, double p, PhiloxState state);
/// Does x hold NaN or infinity?
bool any_nonfinite(const Tensor& x);

}  // namespace ar::ops
