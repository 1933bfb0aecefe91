// Initial values of parameters. All change the given tensor in place; a Parameter or Tensor may be given.
#pragma once
#include "autograd/variable.h"
#include "tensor/random.h"

namespace ar::nn::init {

/// While it lives, this thread draws no initial values: what the functions below would fill stays uninitialised
/// (constants are set). For modules whose parameters are loaded next.
class Skip {
 public:
  Skip();
  ~Skip();
  Skip(const Skip&) = delete;
  Skip& operator=(const Skip&) = delete;

 private:
  bool before_;
};

/// What follows a layer, for the scale of its weights.
enum class Nonlinearity { linear, sigmoid, tanh, relu, leaky_relu, selu };
/// Which side of a layer keeps its variance: activations (in) or gradients (out).
enum class Fan { in, out };

struct Fans {
  int64_t in = 0, out = 0;
};
/// Inputs and outputs of one unit: of a weight (out, in, ...), in = in * kernel size, out = out * kernel size. Throws
/// Error on fewer than two dimensions.
Fans fans(const Dims& shape);

/// PyTorch's recommended factor: 1, 1, 5/3, sqrt(2), sqrt(2 / (1 + a^2)) and 3/4 in the order of Nonlinearity.
double gain(Nonlinearity nonlinearity, double a = 0.01);

void constant_(const Variable& t, double value);
/// U[lo, hi).
void uniform_(const Variable& t, double lo = 0, double hi = 1, Generator& g = default_generator());
/// N(mean, std^2).
void normal_(const Variable& t, double mean = 0, double std = 1, Generator& g = default_generator());

struct KaimingOptions {
  double a = 0;  // negative slope of leaky_relu
  Fan mode = Fan::in;
  Nonlinearity nonlinearity = Nonlinearity::leaky_relu;
};
/// He et al. 2015 (arXiv 1502.01852): std = gain / sqrt(fan); U(-b, b) with b = sqrt(3) * std.
void kaiming_uniform_(const Variable& t, const KaimingOptions& options = {}, Generator& g = default_generator());
void kaiming_normal_(const Variable& t, const KaimingOptions& options = {}, Generator& g = default_generator());

/// Glorot & Bengio 2010: std = gain * sqrt(2 / (fan_in + fan_out)); U(-b, b) with b = sqrt(3) * std.
void xavier_uniform_(const Variable& t, double gain = 1, Generator& g = default_generator());
void xavier_normal_(const Variable& t, double gain = 1, Generator& g = default_generator());

/// Saxe et al. 2013 (arXiv 1312.6120): the tensor as a matrix (size(0), rest) gets orthonormal rows or columns,
/// whichever are fewer, times gain.
void orthogonal_(const Variable& t, double gain = 1, Generator& g = default_generator());

}  // namespace ar::nn::init
