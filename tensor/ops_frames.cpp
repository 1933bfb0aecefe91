#include "tensor/ops_frames.h"

#include "tensor/ops_common.h"

namespace ar::ops {

Tensor normalize_frames(const Tensor& x, const PixelStats& stats, const NormalizeFramesOptions& options) {
  const char* const op = "normalize_frames";
  AR_CHECK(x.defined() && x.dtype() == Dtype::u8, op, ": x must be uint8, it is ", x.dtype());
  AR_CHECK((x.rank() == 4 || x.rank() == 5) && x.size(1) == 3, op,
           ": x must have shape (B,3,H,W) or (B,3,T,H,W), it has ", x.shape());
  AR_CHECK(options.height >= 0 && options.width >= 0, op, ": the result's size must not be negative, it is ",
           options.height, " x ", options.width);
  const Tensor video = x.rank() == 5 ? x : x.unsqueeze(2);
  Dims shape = video.shape();
  if (options.height) shape[3] = options.height;
  if (options.width) shape[4] = options.width;
  AR_CHECK(options.windows.empty() || int64_t(options.windows.size()) == shape[0], op, ": ", shape[0],
           " samples need as many windows, not ", options.windows.size());
  const FrameWindow whole;
  for (int64_t b = 0; b < shape[0]; ++b) {
    const FrameWindow& w = options.windows.empty() ? whole : options.windows[std::size_t(b)];
    AR_CHECK(w.top >= 0 && w.left >= 0 && w.top + shape[3] <= video.size(3) && w.left + shape[4] <= video.size(4), op,
             ": the window of ", shape[3], " x ", shape[4], " pixels at (", w.top, ",", w.left, ") of sample ", b,
             " leaves the frame, x is ", x.shape());
  }
  FrameTransform transform{
      .scale = {}, .shift = {}, .windows = options.windows.empty() ? nullptr : options.windows.data()};
  for (std::size_t c = 0; c < 3; ++c) {
    AR_CHECK(stats.std[c] > 0, op, ": deviations must be positive, channel ", c, " has ", stats.std[c]);
    transform.scale[c] = 1 / (255 * stats.std[c]);
    transform.shift[c] = -stats.mean[c] / stats.std[c];
  }
  const auto kernel = kernel_for(kernels_of(x).normalize_frames, options.dtype, op, kernels_of(x).name);
  const Tensor y = empty(shape, {.dtype = options.dtype, .device = x.device()});
  if (y.numel()) kernel(video.view(), transform, y.writable());
  return x.rank() == 5 ? y : y.squeeze(2);
}

}  // namespace ar::ops
