#include "io/ffmpeg/scaler.h"

extern "C" {
#include <libavutil/pixdesc.h>
}
#include <algorithm>
#include <cmath>
#include <cstring>

namespace ar::io::ffmpeg {
namespace {

/// The colour matrix, where the stream does not say: BT.709 for HD, BT.601 below, as players take it.
int matrix_of(const AVFrame& f) {
  switch (f.colorspace) {
    case AVCOL_SPC_BT709:
      return SWS_CS_ITU709;
    case AVCOL_SPC_FCC:
      return SWS_CS_FCC;
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
      return SWS_CS_ITU601;
    case AVCOL_SPC_SMPTE240M:
      return SWS_CS_SMPTE240M;
    case AVCOL_SPC_BT2020_NCL:
    case AVCOL_SPC_BT2020_CL:
      return SWS_CS_BT2020;
    default:
      return f.width >= 1280 || f.height > 576 ? SWS_CS_ITU709 : SWS_CS_ITU601;
  }
}

/// The middle of width x height with the aspect ratio of w x h: how many pixels to cut at each side.
void cut_to_aspect(int width, int height, int w, int h, double zoom, int& cut_x, int& cut_y) {
  const double scale = std::min(double(width) / w, double(height) / h) / zoom;
  cut_x = std::clamp(int((width - std::lround(w * scale)) / 2), 0, (width - 1) / 2);
  cut_y = std::clamp(int((height - std::lround(h * scale)) / 2), 0, (height - 1) / 2);
}

}  // namespace

AVPixelFormat without_j(AVPixelFormat format, bool& full_range) {
  switch (format) {
    case AV_PIX_FMT_YUVJ420P:
      full_range = true;
      return AV_PIX_FMT_YUV420P;
    case AV_PIX_FMT_YUVJ422P:
      full_range = true;
      return AV_PIX_FMT_YUV422P;
    case AV_PIX_FMT_YUVJ444P:
      full_range = true;
      return AV_PIX_FMT_YUV444P;
    case AV_PIX_FMT_YUVJ440P:
      full_range = true;
      return AV_PIX_FMT_YUV440P;
    case AV_PIX_FMT_YUVJ411P:
      full_range = true;
      return AV_PIX_FMT_YUV411P;
    default:
      return format;
  }
}

void FrameScaler::scale(const AVFrame& frame, Rows to, int width, int height) {
  bool full_range = frame.color_range == AVCOL_RANGE_JPEG;
  const AVPixelFormat format = without_j(AVPixelFormat(frame.format), full_range);
  SwsContext* context = sws_getCachedContext(scaler_.release(), frame.width, frame.height, format, width, height,
                                             AV_PIX_FMT_RGB24, SWS_BILINEAR, nullptr, nullptr, nullptr);
  scaler_.reset(context);
  AR_CHECK(context, path_, ": pictures of ", frame.width, " x ", frame.height, " in pixel format ",
           av_get_pix_fmt_name(format) ? av_get_pix_fmt_name(format) : "unknown", " cannot be scaled to ", width, " x ",
           height);
  const std::array<int, 7> told = {frame.width, frame.height, width, height, format, matrix_of(frame), full_range};
  if (told != told_) {  // the context's address would not do: a new one may lie where the old one was
    const int* matrix = sws_getCoefficients(matrix_of(frame));
    // Fails for sources that have no such thing, RGB for one; then there is nothing to tell.
    sws_setColorspaceDetails(context, matrix, full_range, sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16);
    told_ = told;
  }
  uint8_t* const planes[4] = {to.data};
  const int pitches[4] = {to.pitch};
  const int rows = sws_scale(context, frame.data, frame.linesize, 0, frame.height, planes, pitches);
  AR_CHECK(rows == height, path_, ": a picture in pixel format ",
           av_get_pix_fmt_name(format) ? av_get_pix_fmt_name(format) : "unknown", " cannot be converted");
}

void FrameScaler::write(const AVFrame& decoded, const Tensor& slot) {
  AR_CHECK(slot.rank() == 3 && slot.size(0) == 3 && slot.dtype() == Dtype::u8 && slot.device() == Device{},
           "video: a frame is written into u8 of shape (3,H,W) on the CPU, the slot is ", slot.dtype(), " ",
           slot.shape());
  const int64_t height = slot.size(1), width = slot.size(2), pitch = slot.stride(1);
  AR_CHECK(height > 0 && width > 0 && height <= 1 << 15 && width <= 1 << 15, "video: a frame cannot be scaled to ",
           width, " x ", height);
  AR_CHECK(slot.stride(0) == 1 && (slot.stride(2) == 3 || width == 1) && (pitch >= 3 * width || height == 1),
           "video: the memory order of a slot must be H x W x 3, its strides are ", slot.strides());
  const AVFrame* frame = &decoded;
  Frame cropped;
  const int w = int(orientation_.transpose ? height : width), h = int(orientation_.transpose ? width : height);
  if (cover_) {
    int cut_x = 0, cut_y = 0;
    cut_to_aspect(decoded.width, decoded.height, w, h, zoom_, cut_x, cut_y);
    if (cut_x || cut_y) {
      cropped = new_frame();
      AR_CHECK(av_frame_ref(cropped.get(), &decoded) >= 0, path_, ": out of memory");
      cropped->crop_left = cropped->crop_right = size_t(cut_x);
      cropped->crop_top = cropped->crop_bottom = size_t(cut_y);
      const int code = av_frame_apply_cropping(cropped.get(), AV_FRAME_CROP_UNALIGNED);
      AR_CHECK(code >= 0, path_, ": a picture cannot be cropped (", error_text(code), ")");
      frame = cropped.get();
    }
  }
  uint8_t* out = slot.mutable_data<uint8_t>();
  const int64_t safe = frame_row_bytes(w);
  const bool room = slot.offset() + height * pitch <= slot.storage()->bytes();
  if (orientation_.identity() && pitch >= safe && room) return scale(*frame, {out, int(pitch)}, w, h);

  // Through scratch memory: to turn the picture, or because rows of the slot leave no room for the scaler's last store.
  scratch_.resize(size_t(safe * (h + 1)));
  scale(*frame, {scratch_.data(), int(safe)}, w, h);
  if (orientation_.identity()) {
    for (int y = 0; y < h; ++y) std::memcpy(out + y * pitch, scratch_.data() + y * safe, size_t{3} * size_t(w));
    return;
  }
  const int64_t along_x = orientation_.transpose ? pitch : 3, along_y = orientation_.transpose ? 3 : pitch;
  const bool back_x = orientation_.transpose ? orientation_.flip_y : orientation_.flip_x;
  const bool back_y = orientation_.transpose ? orientation_.flip_x : orientation_.flip_y;
  uint8_t* origin = out + (back_x ? (w - 1) * along_x : 0) + (back_y ? (h - 1) * along_y : 0);
  const int64_t step_x = back_x ? -along_x : along_x, step_y = back_y ? -along_y : along_y;
  for (int y = 0; y < h; ++y) {
    const uint8_t* from = scratch_.data() + y * safe;
    uint8_t* to = origin + y * step_y;
    for (int x = 0; x < w; ++x, from += 3, to += step_x) std::memcpy(to, from, 3);
  }
}

}  // namespace ar::io::ffmpeg
