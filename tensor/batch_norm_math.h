// The arithmetic of batch normalisation (Ioffe & Szegedy 2015) on the numbers of one channel, in f64, for every device.
// What walks over pixels is elsewhere: it gives sums and takes a scale and a shift.
#pragma once
#include <cmath>

#include "tensor/hd.h"
#include "tensor/kernels.h"

namespace ar {

/// Mean and biased variance.
struct Moments {
  double mean, var;
};

/// From sums over `count` > 0 values: mean = sum / count, var = sum_sq / count - mean^2, not below 0.
AR_HD Moments moments(double sum, double sum_sq, int64_t count) {
  const double mean = sum / double(count), var = sum_sq / double(count) - mean * mean;
  return {mean, var < 0 ? 0 : var};  // NaN stays
}

/// Has sum_sq / count - mean^2 lost its digits to cancellation? True when a channel lies more than ten standard
/// deviations from zero: sums made in f32 hold about six digits, of which the subtraction eats two and more. Whoever
/// can should subtract the means from the values first, and sum again.
AR_HD bool ill_conditioned(const Moments& m) { return m.var * 100 < m.mean * m.mean; }

/// (x - mean) / sqrt(var + eps) * weight + bias as a scale and a shift;
/// running = (1 - momentum) * running + momentum * batch, where the variance counts as count / (count - 1) of the
/// biased one.
template <class T>
AR_HD void norm_forward_channel(const NormForward& n, int64_t c) {
  T *const running_mean = static_cast<T*>(n.running_mean), *const running_var = static_cast<T*>(n.running_var);
  Moments m{0, 1};
  if (n.sum) {
    m = moments(n.sum[c], n.sum_sq[c], n.count);
    const double mean = n.offset ? m.mean - double(static_cast<const T*>(n.offset)[c]) : m.mean;
    if (n.update) {
      const double unbiased = double(n.count) / double(n.count - 1), rm = running_mean[c], rv = running_var[c];
      running_mean[c] = T(rm + n.momentum * (mean - rm));
      running_var[c] = T(rv + n.momentum * (m.var * unbiased - rv));
      if (c == 0 && n.batches) ++*n.batches;
    }
    if (!n.shifted) m.mean = mean;
  } else if (running_mean) {
    m = {double(running_mean[c]), double(running_var[c])};
  }
  const double scale = (n.weight ? double(static_cast<const T*>(n.weight)[c]) : 1) / ::sqrt(m.var + n.eps);
  const double bias = n.bias ? double(static_cast<const T*>(n.bias)[c]) : 0;
  n.mean[c] = m.mean;
  n.var[c] = m.var;
  static_cast<T*>(n.scale)[c] = T(scale);
  static_cast<T*>(n.shift)[c] = T(bias - m.mean * scale);
  static_cast<T*>(n.center)[c] = T(m.mean);
}

/// With n = count, s = 1 / sqrt(var + eps) and h = (x - mean) * s, the chain rule through mean and var gives
///   gx = weight * s * (d - sum(d) / n - h * sum(d * h) / n) = scale * d + a + b * x,
///   gweight = sum(d * h),  gbias = sum(d).
template <class T>
AR_HD void norm_backward_channel(const NormBackward& n, int64_t c) {
  const double weight = n.weight ? double(static_cast<const T*>(n.weight)[c]) : 1;
  const double inv_std = 1 / ::sqrt(n.var[c] + n.eps), scale = weight * inv_std, g_weight = n.sum_dx[c] * inv_std;
  const double b = -scale * inv_std * g_weight / double(n.count);
  const double a = -scale * n.sum_d[c] / double(n.count) - b * n.mean[c];
  static_cast<T*>(n.g_weight)[c] = T(g_weight);
  static_cast<T*>(n.g_bias)[c] = T(n.sum_d[c]);
  if (n.a) static_cast<T*>(n.a)[c] = T(a), static_cast<T*>(n.b)[c] = T(b);
  if (n.rest_a) n.rest_a[c] += a, n.rest_b[c] += b;
}

}  // namespace ar
