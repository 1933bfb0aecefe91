// y = activation(x scale + shift (+ residual)) by channels, and the gradient of activations.
#pragma once
#include "cuda/channel_pass.h"

namespace ar::cuda {

/// y = activation(x), NaN kept.
template <class T>
AR_HD T activate(Activation act, T x, T slope) {
  switch (act) {
    case Activation::relu:
      return x < 0 ? T(0) : x;
    case Activation::relu6:
      return x < 0 ? T(0) : x > 6 ? T(6) : x;
    case Activation::leaky_relu:
      return x > 0 ? x : slope * x;
    default:
      return x;
  }
}

/// g activation'(x).
template <class T>
AR_HD T activation_gradient(Activation act, T x, T g, T slope) {
  switch (act) {
    case Activation::relu:
      return x > 0 ? g : T(0);
    case Activation::relu6:
      return x > 0 && x < 6 ? g : T(0);
    case Activation::leaky_relu:
      return x > 0 ? g : slope * g;
    default:
      return g;
  }
}

/// Of x, or of x and residual. Moments: of what was stored.
template <class S, int In, class Moments>
struct Affine {
  using Element = S;
  using Sums = Moments;
  using T = Compute<S>;
  static constexpr int inputs = In;
  static constexpr Writes writes = Writes::apart;
  const T *scale, *shift;  // null: 1 and 0
  Activation activation;
  T slope;

  struct Numbers {
    T scale, shift;
  };
  AR_HD Numbers numbers(int64_t c) const { return {scale ? scale[c] : T(1), shift ? shift[c] : T(0)}; }
  AR_HD auto operator()(const Numbers& n, const T (&v)[In], S& y) const {
    T sum = v[0] * n.scale + n.shift;
    if constexpr (In == 2) sum += v[1];
    y = narrow<S>(activate(activation, sum, slope));
    if constexpr (Sums::wanted)
      return widen(y);
    else
      return NoSums();
  }
};

/// residual data null: 0. sum, sum_sq (either may be null) += y, y^2.
template <class S, class Sums>
void affine(const View& x, const void* scale, const void* shift, const View& residual, Activation activation,
            double slope, const View& y, double* sum = nullptr, double* sum_sq = nullptr) {
  using T = Compute<S>;
  const T *a = static_cast<const T*>(scale), *b = static_cast<const T*>(shift);
  if (residual.data)
    channel_pass<Affine<S, 2, Sums>>({&x, &residual, &y}, {a, b, activation, T(slope)}, sum, sum_sq);
  else
    channel_pass<Affine<S, 1, Sums>>({&x, &y}, {a, b, activation, T(slope)}, sum, sum_sq);
}

}  // namespace ar::cuda
