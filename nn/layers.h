// The common layers: PyTorch's names, defaults, initial values and printing.
#pragma once
#include <optional>

#include "autograd/conv.h"
#include "autograd/norm.h"
#include "autograd/pool.h"
#include "nn/module.h"

namespace ar::nn {

/// y = x weight^T + bias over the last dimension: (..., in) -> (..., out). Both start as U(-b, b), b = 1 / sqrt(in).
class Linear : public Module {
 public:
  struct Options {
    int64_t in = 0, out = 0;
    bool bias = true;
  };
  explicit Linear(const Options& options);
  Variable forward(const Variable& x) const override;
  std::string describe() const override;

  Parameter weight, bias;  // (out, in), (out)

 protected:
  void members(Members& add) override { add("weight", weight), add("bias", bias); }
};

/// Cross-correlation of (N,in,H,W), see ar::conv2d. Weight and bias start as U(-b, b), b = 1 / sqrt(in / groups * KH *
/// KW).
class Conv2d : public Module {
 public:
  struct Options {
    int64_t in = 0, out = 0;
    Pair kernel = 1, stride = 1;
    Padding padding = 0;
    Pair dilation = 1;
    int64_t groups = 1;
    bool bias = true;
  };
  explicit Conv2d(const Options& options);
  Variable forward(const Variable& x) const override;
  std::string describe() const override;
  const Options& options() const { return options_; }

  Parameter weight, bias;  // (out, in / groups, KH, KW), (out)

 protected:
  void members(Members& add) override { add("weight", weight), add("bias", bias); }

 private:
  Options options_;
};

/// Batch normalisation, see ar::batch_norm; BatchNorm1d and BatchNorm2d say which ranks they take.
class BatchNorm : public Module {
 public:
  struct Options {
    int64_t features = 0;
    double eps = 1e-5;
    std::optional<double> momentum = 0.1;  // none: the plain average over all batches so far
    bool affine = true;
    bool track_running_stats = true;  // false: the batch's own statistics, in evaluation too
  };
  Variable forward(const Variable& x) const override { return forward(x, Activation::none); }
  /// With an activation in the same pass.
  Variable forward(const Variable& x, Activation activation) const;
  /// How a pass over a batch is to be done now, for ops that fuse the norm. (Without a momentum it reads the number of
  /// batches, for which the host waits where that is on a GPU.)
  BatchNormOptions begin_pass() const;
  std::string describe() const override;
  const Options& options() const { return options_; }

  Parameter weight, bias;                                 // (features): 1 and 0; undefined if not affine
  Buffer running_mean, running_var, num_batches_tracked;  // (features), (features), () i64

 protected:
  BatchNorm(const Options& options, int min_rank, int max_rank);
  void members(Members& add) override;

 private:
  Options options_;
  int min_rank_, max_rank_;
};

/// Over (N,C) or (N,C,L).
class BatchNorm1d : public BatchNorm {
 public:
  explicit BatchNorm1d(const Options& options) : BatchNorm(options, 2, 3) {}
};
/// Over (N,C,H,W).
class BatchNorm2d : public BatchNorm {
 public:
  explicit BatchNorm2d(const Options& options) : BatchNorm(options, 4, 4) {}
};

/// A module without anything inside.
class Stateless : public Module {
 protected:
  void members(Members&) override {}
};

class Identity : public Stateless {
 public:
  Variable forward(const Variable& x) const override { return x; }
};
class ReLU : public Stateless {
 public:
  Variable forward(const Variable& x) const override;
};
class ReLU6 : public Stateless {
 public:
  Variable forward(const Variable& x) const override;
};
class LeakyReLU : public Stateless {
 public:
  explicit LeakyReLU(double negative_slope = 0.01) : negative_slope_(negative_slope) {}
  Variable forward(const Variable& x) const override;
  std::string describe() const override;

 private:
  double negative_slope_;
};
class Sigmoid : public Stateless {
 public:
  Variable forward(const Variable& x) const override;
};
class Tanh : public Stateless {
 public:
  Variable forward(const Variable& x) const override;
};
class Softmax : public Stateless {
 public:
  explicit Softmax(int dim) : dim_(dim) {}
  Variable forward(const Variable& x) const override;
  std::string describe() const override;

 private:
  int dim_;
};
class LogSoftmax : public Stateless {
 public:
  explicit LogSoftmax(int dim) : dim_(dim) {}
  Variable forward(const Variable& x) const override;
  std::string describe() const override;

 private:
  int dim_;
};

class MaxPool2d : public Stateless {
 public:
  explicit MaxPool2d(const Pool2dOptions& options) : options_(options) {}
  Variable forward(const Variable& x) const override;
  std::string describe() const override;
  const Pool2dOptions& options() const { return options_; }

 private:
  Pool2dOptions options_;
};
class AvgPool2d : public Stateless {
 public:
  explicit AvgPool2d(const Pool2dOptions& options) : options_(options) {}
  Variable forward(const Variable& x) const override;
  std::string describe() const override;
  const Pool2dOptions& options() const { return options_; }

 private:
  Pool2dOptions options_;
};
class AdaptiveAvgPool2d : public Stateless {
 public:
  explicit AdaptiveAvgPool2d(Pair output_size) : output_size_(output_size) {}
  Variable forward(const Variable& x) const override;
  std::string describe() const override;

 private:
  Pair output_size_;
};

/// See ar::local_response_norm.
class LocalResponseNorm : public Stateless {
 public:
  explicit LocalResponseNorm(const LrnParams& params = {}) : params_(params) {}
  Variable forward(const Variable& x) const override;
  std::string describe() const override;

 private:
  LrnParams params_;
};

/// Zeroes elements with probability p while training and scales the rest by 1 / (1-p).
class Dropout : public Stateless {
 public:
  /// Throws Error unless 0 <= p <= 1.
  explicit Dropout(double p = 0.5);
  Variable forward(const Variable& x) const override;
  std::string describe() const override;

 private:
  double p_;
};

/// Joins dimensions first..last into one.
class Flatten : public Stateless {
 public:
  explicit Flatten(int first = 1, int last = -1) : first_(first), last_(last) {}
  Variable forward(const Variable& x) const override;
  std::string describe() const override;

 private:
  int first_, last_;
};

}  // namespace ar::nn
