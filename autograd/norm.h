// Normalisation.
#pragma once
#include "autograd/variable.h"
#include "tensor/kernels.h"

namespace ar {

struct BatchNormOptions {
  bool training = false;
  double momentum = 0.1;
  double eps = 1e-5;
  Activation activation = Activation::none;  // y = activation(norm(x)) in the same pass
  double slope = 0.01;                       // of leaky_relu
  Tensor num_batches_tracked = {};           // () i64, grows by 1 when running statistics move; may be undefined
};

/// One batch norm's parameters (C) and running statistics (C), with the count () i64 of their batches, if it is kept.
struct NormParameters {
  Variable weight, bias;
  Tensor running_mean, running_var, num_batches_tracked = {};
};

/// Ioffe & Szegedy 2015. x (N,C), (N,C,L), (N,C,H,W) or (N,C,T,H,W); per channel over all other dimensions:
///   y = (x - mean) / sqrt(var + eps) * weight + bias
/// Training: mean and (biased) var of the batch, and running = (1 - momentum) * running + momentum * batch, where
/// running_var takes the unbiased variance; throws Error on one value per channel. Otherwise the running ones. All four
/// may be undefined (weight 1, bias 0; no running statistics: those of the batch). In a recomputation the running
/// statistics stand still.
Variable batch_norm(const Variable& x, const Tensor& running_mean, const Tensor& running_var, const Variable& weight,
                    const Variable& bias, const BatchNormOptions& options);

/// Krizhevsky et al. 2012, section 3.3, with PyTorch's scaling: y = x / (k + alpha/size * sum of x^2 over `size`
/// neighbouring channels)^beta. x (N,C,H,W).
Variable local_response_norm(const Variable& x, const LrnParams& params);

}  // namespace ar
