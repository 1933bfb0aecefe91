#include "tensor/batch_norm_math.h"

#include <algorithm>
#include <cmath>

namespace ar {
namespace {
double at(std::span<const double> values, size_t c, double otherwise) { return values.empty() ? otherwise : values[c]; }
}  // namespace

ChannelStats channel_stats(std::span<const double> sum, std::span<const double> sum_sq, int64_t count) {
  ChannelStats s{std::vector<double>(sum.size()), std::vector<double>(sum.size())};
  for (size_t c = 0; c < sum.size(); ++c) {
    s.mean[c] = sum[c] / double(count);
    // NaN stays NaN: std::max gives its first operand unless that is less.
    s.var[c] = std::max(sum_sq[c] / double(count) - s.mean[c] * s.mean[c], 0.0);
  }
  return s;
}

bool ill_conditioned(const ChannelStats& stats) {
  for (size_t c = 0; c < stats.mean.size(); ++c)
    if (stats.var[c] * 100 < stats.mean[c] * stats.mean[c]) return true;
  return false;
}

ChannelAffine batch_norm_affine(const ChannelStats& stats, std::span<const double> weight, std::span<const double> bias,
                                double eps) {
  const size_t channels = stats.mean.size();
  ChannelAffine f{std::vector<double>(channels), std::vector<double>(channels)};
  for (size_t c = 0; c < channels; ++c) {
    f.scale[c] = at(weight, c, 1) / std::sqrt(stats.var[c] + eps);
    f.shift[c] = at(bias, c, 0) - stats.mean[c] * f.scale[c];
  }
  return f;
}

// With n = count, s = 1 / sqrt(var + eps) and h = (x - mean) * s, the chain rule through mean and var gives
//   gx = weight * s * (d - sum(d) / n - h * sum(d * h) / n).
BatchNormGradients batch_norm_gradients(const ChannelStats& stats, std::span<const double> weight, double eps,
                                        std::span<const double> sum_d, std::span<const double> sum_dx, int64_t count) {
  const size_t channels = stats.mean.size();
  BatchNormGradients g{std::vector<double>(channels), std::vector<double>(channels), std::vector<double>(channels),
                       std::vector<double>(channels)};
  for (size_t c = 0; c < channels; ++c) {
    const double inv_std = 1 / std::sqrt(stats.var[c] + eps), scale = at(weight, c, 1) * inv_std;
    g.weight[c] = sum_dx[c] * inv_std;
    g.bias[c] = sum_d[c];
    g.b[c] = -scale * inv_std * g.weight[c] / double(count);
    g.a[c] = -scale * sum_d[c] / double(count) - g.b[c] * stats.mean[c];
  }
  return g;
}

void update_running_stats(ChannelStats& running, const ChannelStats& batch, int64_t count, double momentum) {
  const double unbiased = double(count) / double(count - 1);
  for (size_t c = 0; c < running.mean.size(); ++c) {
    running.mean[c] += momentum * (batch.mean[c] - running.mean[c]);
    running.var[c] += momentum * (batch.var[c] * unbiased - running.var[c]);
  }
}

}  // namespace ar
