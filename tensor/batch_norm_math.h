// The arithmetic of batch normalisation (Ioffe & Szegedy 2015) on one number per channel, in double. What walks over
// pixels is elsewhere: it gives sums and takes a scale and a shift.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace ar {

/// Mean and biased variance of each channel.
struct ChannelStats {
  std::vector<double> mean, var;
};

/// y = x * scale + shift.
struct ChannelAffine {
  std::vector<double> scale, shift;
};

/// From sums over `count` > 0 values: mean = sum / count, var = sum_sq / count - mean^2, not below 0.
ChannelStats channel_stats(std::span<const double> sum, std::span<const double> sum_sq, int64_t count);

/// Has sum_sq / count - mean^2 lost its digits to cancellation? True when a channel lies more than ten standard
/// deviations from zero: sums made in f32 hold about six digits, of which the subtraction eats two and more. Whoever
/// can should subtract the means from the values first, and sum again.
bool ill_conditioned(const ChannelStats& stats);

/// (x - mean) / sqrt(var + eps) * weight + bias as a scale and a shift. Empty weight: 1; empty bias: 0.
ChannelAffine batch_norm_affine(const ChannelStats& stats, std::span<const double> weight, std::span<const double> bias,
                                double eps);

/// Gradients of y = batch_norm_affine(x) with d the gradient of y, where the statistics are x's own:
///   gx = scale * d + a + b * x,  gweight = sum d * (x - mean) / sqrt(var + eps),  gbias = sum d.
struct BatchNormGradients {
  std::vector<double> a, b, weight, bias;
};
/// sum_d = sum of d, sum_dx = sum of d * (x - mean) over the channel's `count` values. (Where the statistics are
/// constants, gx = scale * d and the other two stay as they are.)
BatchNormGradients batch_norm_gradients(const ChannelStats& stats, std::span<const double> weight, double eps,
                                        std::span<const double> sum_d, std::span<const double> sum_dx, int64_t count);

/// running = (1 - momentum) * running + momentum * batch, where the variance counts as count / (count - 1) of the
/// biased one.
void update_running_stats(ChannelStats& running, const ChannelStats& batch, int64_t count, double momentum);

}  // namespace ar
