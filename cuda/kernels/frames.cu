// Frames for a network: u8 pixels, cut out, perhaps mirrored, and normalised, y[c] = x[c] scale[c] + shift[c]. Bytes
// travel to the device, a quarter of what floats would be. A thread takes one pixel: neighbouring threads read 3-byte
// pixels that lie side by side and write 3 numbers each, so a warp's reads and writes are runs.
#include "cuda/each.h"
#include "cuda/families.h"

namespace ar::cuda {
namespace {

template <class S>
struct Normalise {
  using T = Compute<S>;
  const uint8_t* x;
  int64_t x_step[5];  // (B,3,T,H,W)
  S* y;
  int64_t y_step[5];
  int64_t frames, height, width;
  T scale[3], shift[3];
  const FrameWindow* windows;  // in the device's memory; null: all begin at (0,0)
  AR_HD void operator()(int64_t i) const {
    const int64_t w = i % width, h = i / width % height, t = i / width / height % frames,
                  b = i / width / height / frames;
    const FrameWindow window = windows ? windows[b] : FrameWindow{};
    const int64_t column = window.left + (window.flip ? width - 1 - w : w);
    const uint8_t* const from = x + b * x_step[0] + t * x_step[2] + (window.top + h) * x_step[3] + column * x_step[4];
    S* const to = y + b * y_step[0] + t * y_step[2] + h * y_step[3] + w * y_step[4];
    for (int c = 0; c < 3; ++c) to[c * y_step[1]] = narrow<S>(T(from[c * x_step[1]]) * scale[c] + shift[c]);
  }
};

template <class S>
void normalize_frames(const View& x, const FrameTransform& f, const View& y) {
  using T = Compute<S>;
  Normalise<S> n{};
  n.x = x.as<const uint8_t>(), n.y = y.as<S>();
  for (int d = 0; d < 5; ++d) n.x_step[d] = x.strides[d], n.y_step[d] = y.strides[d];
  n.frames = y.shape[2], n.height = y.shape[3], n.width = y.shape[4];
  for (int c = 0; c < 3; ++c) n.scale[c] = T(f.scale[c]), n.shift[c] = T(f.shift[c]);
  const int64_t bytes = f.windows ? y.shape[0] * int64_t(sizeof(FrameWindow)) : 0;
  const Scratch windows(bytes);
  if (bytes) {
    upload(windows.as<FrameWindow>(), f.windows, bytes);
    n.windows = windows.as<FrameWindow>();
  }
  each_item(y.shape[0] * n.frames * n.height * n.width, n);
}

}  // namespace

void add_frames(Kernels& k) {
  k.normalize_frames = {.f16 = &normalize_frames<f16>,
                        .bf16 = &normalize_frames<bf16>,
                        .f32 = &normalize_frames<float>,
                        .f64 = &normalize_frames<double>};
}

}  // namespace ar::cuda
