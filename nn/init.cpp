#include "nn/init.h"

#include <Eigen/QR>
#include <cmath>
#include <utility>

namespace ar::nn::init {

namespace {
thread_local bool skipping = false;
}

Skip::Skip() : before_(std::exchange(skipping, true)) {}
Skip::~Skip() { skipping = before_; }

Fans fans(const Dims& shape) {
  AR_CHECK(shape.size() >= 2, "init: fan in and out need at least 2 dimensions, the tensor is ", shape);
  int64_t kernel = 1;
  for (int i = 2; i < shape.size(); ++i) kernel *= shape[i];
  return {shape[1] * kernel, shape[0] * kernel};
}

double gain(Nonlinearity nonlinearity, double a) {
  switch (nonlinearity) {
    case Nonlinearity::linear:
    case Nonlinearity::sigmoid:
      return 1;
    case Nonlinearity::tanh:
      return 5.0 / 3;
    case Nonlinearity::relu:
      return std::sqrt(2.0);
    case Nonlinearity::leaky_relu:
      return std::sqrt(2 / (1 + a * a));
    case Nonlinearity::selu:
      return 0.75;
  }
  fail("gain: not a nonlinearity: ", int(nonlinearity));
}

void constant_(const Variable& t, double value) { t.value().fill(value); }

void uniform_(const Variable& t, double lo, double hi, Generator& g) {
  if (!skipping) ar::uniform_(t.value(), lo, hi, g);
}

void normal_(const Variable& t, double mean, double std, Generator& g) {
  if (!skipping) ar::normal_(t.value(), mean, std, g);
}

namespace {

double kaiming_std(const Variable& t, const KaimingOptions& options) {
  const Fans f = fans(t.shape());
  const int64_t fan = options.mode == Fan::in ? f.in : f.out;
  return gain(options.nonlinearity, options.a) / std::sqrt(double(std::max<int64_t>(fan, 1)));
}

double xavier_std(const Variable& t, double gain) {
  const Fans f = fans(t.shape());
  return gain * std::sqrt(2.0 / double(std::max<int64_t>(f.in + f.out, 1)));
}

}  // namespace

void kaiming_uniform_(const Variable& t, const KaimingOptions& options, Generator& g) {
  const double bound = std::sqrt(3.0) * kaiming_std(t, options);
  uniform_(t, -bound, bound, g);
}

void kaiming_normal_(const Variable& t, const KaimingOptions& options, Generator& g) {
  normal_(t, 0, kaiming_std(t, options), g);
}

void xavier_uniform_(const Variable& t, double gain, Generator& g) {
  const double bound = std::sqrt(3.0) * xavier_std(t, gain);
  uniform_(t, -bound, bound, g);
}

void xavier_normal_(const Variable& t, double gain, Generator& g) { normal_(t, 0, xavier_std(t, gain), g); }

void orthogonal_(const Variable& t, double gain, Generator& g) {
  AR_CHECK(t.rank() >= 2, "orthogonal_: at least 2 dimensions are needed, the tensor is ", t.shape());
  if (skipping) return;
  if (t.numel() == 0) return;
  const int64_t rows = t.size(0), columns = t.numel() / rows;
  const int64_t tall = std::max(rows, columns), thin = std::min(rows, columns);
  using Matrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;
  const Tensor random = randn({tall, thin}, {.dtype = Dtype::f64}, g);
  const Eigen::HouseholderQR<Matrix> qr(Eigen::Map<const Matrix>(random.data<double>(), tall, thin));
  Matrix q = qr.householderQ() * Matrix::Identity(tall, thin);
  // The factors are unique, and q uniform over all orthogonal matrices, once R's diagonal is positive (Mezzadri 2007).
  for (int64_t i = 0; i < thin; ++i)
    if (qr.matrixQR()(i, i) < 0) q.col(i) *= -1;
  q *= gain;
  if (rows < columns) q = q.transpose().eval();
  t.value().copy_from(from_blob(q.data(), {rows, columns}, {.dtype = Dtype::f64}).reshape(t.shape()));
}

}  // namespace ar::nn::init
