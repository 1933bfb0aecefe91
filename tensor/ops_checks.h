// What the ops on tensors check alike, each in the name of the op that asks.
#pragma once
#include "tensor/ops_common.h"
#include "tensor/ops_conv.h"

namespace ar::ops::detail {

/// Of one dtype and on one device?
void check_alike(const char* op, const char* what, const Tensor& t, const Tensor& x);
/// t must be on x's device and of x's parameter_dtype.
void check_parameter(const char* op, const char* what, const Tensor& t, const Tensor& x);
void check_shape(const char* op, const char* what, const Tensor& t, const Dims& shape);
/// Can a result of this shape and of like's dtype be written into `out`?
void check_out(const char* op, const Tensor& out, const Dims& shape, const Tensor& like);
/// Do the channels (dimension 1) lie side by side?
bool channels_are_together(const Tensor& x);
/// The memory of a dense vector of like's dtype over `channels`; null if undefined.
const void* vector_data(const char* op, const char* what, const Tensor& v, int64_t channels, const Tensor& like);
/// The memory of sums [channels] of f64 on like's device, to be added to; null if undefined.
double* sum_data(const char* op, const char* what, const Tensor& sum, int64_t channels, const Tensor& like);
/// A gate on gradients of this shape, of like's dtype; without memory if its x is undefined.
ConvGate gate_view(const char* op, const Gate& gate, const Dims& shape, const Tensor& like);

}  // namespace ar::ops::detail
