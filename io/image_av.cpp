#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <vector>

#include "io/bytes.h"
#include "io/image_decoders.h"
#include "io/image_yuv.h"

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/log.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
}

namespace ar::io {
namespace {

static_assert(kPadding >= AV_INPUT_BUFFER_PADDING_SIZE);

struct Free {
  void operator()(AVCodecContext* x) const { avcodec_free_context(&x); }
  void operator()(AVFrame* x) const { av_frame_free(&x); }
  void operator()(AVPacket* x) const { av_packet_free(&x); }
  void operator()(AVFormatContext* x) const { avformat_close_input(&x); }
  void operator()(SwsContext* x) const { sws_freeContext(x); }
  void operator()(AVIOContext* x) const {
    av_freep(&x->buffer);
    avio_context_free(&x);
  }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

template <class T>
Owned<T> own(T* x) {
  if (!x) throw std::bad_alloc();
  return Owned<T>(x);
}

/// Throws what a libav function returned, if that is an error.
int check(int result) {
  if (result >= 0) return result;
  if (result == AVERROR(ENOMEM)) throw std::bad_alloc();
  char text[AV_ERROR_MAX_STRING_SIZE];
  av_strerror(result, text, sizeof(text));
  if (result == AVERROR_PATCHWELCOME || result == AVERROR(ENOSYS)) throw NotSupported(text);
  throw Error(text);
}

AVCodecID codec_of(ImageFormat format) {
  switch (format) {
    case ImageFormat::Jpeg:
      return AV_CODEC_ID_MJPEG;
    case ImageFormat::Png:
      return AV_CODEC_ID_PNG;
    case ImageFormat::WebP:
      return AV_CODEC_ID_WEBP;
    case ImageFormat::Gif:
      return AV_CODEC_ID_GIF;
    case ImageFormat::Bmp:
      return AV_CODEC_ID_BMP;
    case ImageFormat::Tiff:
      return AV_CODEC_ID_TIFF;
    case ImageFormat::Avif:
      return AV_CODEC_ID_AV1;
    case ImageFormat::Jpeg2000:
      return AV_CODEC_ID_JPEG2000;
    case ImageFormat::Pbm:
      return AV_CODEC_ID_PBM;
    case ImageFormat::Pgm:
      return AV_CODEC_ID_PGM;
    case ImageFormat::Ppm:
      return AV_CODEC_ID_PPM;
  }
  return AV_CODEC_ID_NONE;
}

/// A decoder opened anew for each picture (0.02 ms): none inherits tables from the one before.
Owned<AVFrame> decode(AVCodecID id, const AVCodecParameters* parameters, AVPacket& packet, int64_t max_pixels) {
  const AVCodec* codec = avcodec_find_decoder(id);
  if (!codec) throw NotSupported("this build of libavcodec lacks the decoder");
  const auto context = own(avcodec_alloc_context3(codec));
  if (parameters) check(avcodec_parameters_to_context(context.get(), parameters));
  context->thread_count = 1;
  context->max_pixels = max_pixels;
  if (id != AV_CODEC_ID_TIFF) context->err_recognition = AV_EF_EXPLODE;  // TIFF: any private tag would be an error
  check(avcodec_open2(context.get(), codec, nullptr));
  auto frame = own(av_frame_alloc());
  check(avcodec_send_packet(context.get(), &packet));
  check(avcodec_send_packet(context.get(), nullptr));
  const int result = avcodec_receive_frame(context.get(), frame.get());
  AR_CHECK(result != AVERROR_EOF && result != AVERROR(EAGAIN), "holds no complete picture");
  check(result);
  AR_CHECK(!(frame->flags & AV_FRAME_FLAG_CORRUPT) && frame->decode_error_flags == 0, "damaged data");
  AR_CHECK(int64_t{frame->width} * frame->height <= max_pixels, frame->width, "x", frame->height,
           " pixels, more than the limit of ", max_pixels);
  return frame;
}

Owned<AVPacket> packet_of(std::span<const uint8_t> bytes) {
  auto packet = own(av_packet_alloc());
  check(av_new_packet(packet.get(), int(bytes.size())));
  std::memcpy(packet->data, bytes.data(), bytes.size());
  return packet;
}

// ---- AVIF: libavformat takes the AV1 frame out of its container -----------------------------------------------------

struct Reader {
  std::span<const uint8_t> bytes;
  size_t at = 0;

  static int read(void* self, uint8_t* into, int size) {
    auto& reader = *static_cast<Reader*>(self);
    const size_t count = std::min(size_t(size), reader.bytes.size() - reader.at);
    if (count == 0) return AVERROR_EOF;
    std::memcpy(into, reader.bytes.data() + reader.at, count);
    reader.at += count;
    return int(count);
  }
  static int64_t seek(void* self, int64_t to, int whence) {
    auto& reader = *static_cast<Reader*>(self);
    const auto size = int64_t(reader.bytes.size());
    if (whence & AVSEEK_SIZE) return size;
    whence &= ~AVSEEK_FORCE;
    if (whence == SEEK_CUR) to += int64_t(reader.at);
    if (whence == SEEK_END) to += size;
    if (to < 0 || to > size) return AVERROR(EINVAL);
    reader.at = size_t(to);
    return to;
  }
};

int refuse_to_open(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) { return AVERROR(EPERM); }

Owned<AVFrame> decode_avif(std::span<const uint8_t> bytes, int64_t max_pixels) {
  const AVInputFormat* mov = av_find_input_format("mov");
  if (!mov) throw NotSupported("this build of libavformat lacks the container");
  Reader reader{bytes};
  constexpr int kBuffer = 4096;
  const auto io = own(avio_alloc_context(static_cast<unsigned char*>(av_malloc(kBuffer)), kBuffer, 0, &reader,
                                         &Reader::read, nullptr, &Reader::seek));
  auto container = own(avformat_alloc_context());
  container->pb = io.get();
  container->io_open = &refuse_to_open;           // no other file, whatever this one says
  AVFormatContext* opened = container.release();  // freed by avformat_open_input where that fails
  check(avformat_open_input(&opened, nullptr, mov, nullptr));
  container.reset(opened);
  const int stream = check(av_find_best_stream(opened, AVMEDIA_TYPE_VIDEO, -1, -1, nullptr, 0));
  const auto packet = own(av_packet_alloc());
  do {
    av_packet_unref(packet.get());
    const int result = av_read_frame(opened, packet.get());
    AR_CHECK(result != AVERROR_EOF && !(packet->flags & AV_PKT_FLAG_CORRUPT), "truncated");
    check(result);
  } while (packet->stream_index != stream);
  const AVCodecParameters* parameters = opened->streams[stream]->codecpar;
  return decode(parameters->codec_id, parameters, *packet, max_pixels);
}

/// The same file with its alpha item as the one that is shown: libavformat reads no other.
std::vector<uint8_t> avif_of_alpha(std::span<const uint8_t> bytes, const ImageHeader& header) {
  std::vector<uint8_t> file(bytes.begin(), bytes.end());
  std::copy_n(bytes.begin() + ptrdiff_t(header.alpha), 2, file.begin() + ptrdiff_t(header.primary));
  return file;
}

// ---- WebP: libavcodec knows no animations, so the first frame becomes a file of its own -----------------------------

Owned<AVPacket> first_webp_frame(const Bytes& in, size_t frame) {
  const size_t length = in.le32(frame + 4);
  AR_CHECK(length >= 16, "its first frame is too short");
  const std::span<const uint8_t> size = in.part(frame + 14, 6), chunks = in.part(frame + 24, length - 16);
  std::vector<uint8_t> file(30 + chunks.size());
  const auto put = [&](size_t at, const char* name, size_t count) {
    std::memcpy(file.data() + at, name, 4);
    for (int i = 0; i < 4; ++i) file[at + 4 + i] = uint8_t(count >> (8 * i));
  };
  put(0, "RIFF", file.size() - 8);
  std::memcpy(file.data() + 8, "WEBP", 4);
  put(12, "VP8X", 10);
  file[20] = 0x10;  // there may be alpha
  std::copy(size.begin(), size.end(), file.begin() + 24);
  std::copy(chunks.begin(), chunks.end(), file.begin() + 30);
  return packet_of(file);
}

/// Where the frame covers only a part of the canvas, the rest is transparent, which is white.
void place_on_canvas(const Bytes& in, const ImageHeader& header, Image& image) {
  const size_t left = size_t{2} * in.le24(header.frame + 8), top = size_t{2} * in.le24(header.frame + 11);
  if (image.width() == header.width && image.height() == header.height) return;
  AR_CHECK(left + image.width() <= size_t(header.width) && top + image.height() <= size_t(header.height),
           "its first frame is larger than the picture");
  Image canvas(int(header.width), int(header.height));
  const MutableImageView to = canvas.view();
  std::memset(to.data, 255, size_t(to.stride) * to.height);
  for (int y = 0; y < image.height(); ++y)
    std::memcpy(to.row(int(top) + y) + 3 * left, image.view().row(y), size_t{3} * image.width());
  image.swap(canvas);
}

// ---- frames to RGB --------------------------------------------------------------------------------------------------

void copy_grey(const AVFrame& frame, MutableImageView out) {
  for (int y = 0; y < out.height; ++y) {
    const uint8_t* from = frame.data[0] + ptrdiff_t{y} * frame.linesize[0];
    uint8_t* to = out.row(y);
    for (int x = 0; x < out.width; ++x) to[3 * x] = to[3 * x + 1] = to[3 * x + 2] = from[x];
  }
}

bool is_planar_yuv(const AVPixFmtDescriptor& format) {
  constexpr uint64_t kOther = AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BITSTREAM |
                              AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_FLOAT;
  if (!(format.flags & AV_PIX_FMT_FLAG_PLANAR) || (format.flags & kOther) || format.nb_components < 3) return false;
  for (int i = 0; i < format.nb_components; ++i)
    if (format.comp[i].plane != i || format.comp[i].depth != 8 || format.comp[i].step != 1) return false;
  return format.log2_chroma_w <= 2 && format.log2_chroma_h <= 2;
}

/// Only video says that luma lies in 16..235; of the formats here, WebP always does (RFC 6386, section 9.2).
bool is_full_range(const AVFrame& frame, ImageFormat format) {
  return format != ImageFormat::WebP && frame.color_range != AVCOL_RANGE_MPEG;
}

/// The alpha of neighbouring pixels lies `step` bytes apart.
void put_on_white(const uint8_t* alpha, ptrdiff_t stride, int step, MutableImageView out) {
  for (int y = 0; y < out.height; ++y, alpha += stride) {
    uint8_t* rgb = out.row(y);
    for (int i = 0; i < 3 * out.width; ++i) {
      const int a = alpha[i / 3 * step];
      rgb[i] = uint8_t((rgb[i] * a + 255 * (255 - a) + 127) / 255);
    }
  }
}

/// `first` is the plane that holds luma; the others follow it in a circle.
void convert_yuv(const AVFrame& frame, const AVPixFmtDescriptor& desc, ImageFormat format, int first,
                 MutableImageView out) {
  const int second = (first + 1) % 3, third = (first + 2) % 3;
  YuvPlanes planes{.plane = {frame.data[first], frame.data[second], frame.data[third]},
                   .stride = {frame.linesize[first], frame.linesize[second], frame.linesize[third]},
                   .width = frame.width,
                   .height = frame.height,
                   .shift_x = desc.log2_chroma_w,
                   .shift_y = desc.log2_chroma_h,
                   .full_range = is_full_range(frame, format),
                   .kr = 0.299,
                   .kb = 0.114};
  if (frame.colorspace == AVCOL_SPC_BT709) planes.kr = 0.2126, planes.kb = 0.0722;
  if (frame.colorspace == AVCOL_SPC_BT2020_NCL) planes.kr = 0.2627, planes.kb = 0.0593;
  yuv_to_rgb(planes, out);
  if (desc.nb_components == 4) put_on_white(frame.data[3], frame.linesize[3], 1, out);
}

/// Planes of C, M, Y, K that libavcodec took for Y, Cb, Cr and alpha. Inverted, as Adobe stores them and all others do.
void convert_cmyk(const AVFrame& frame, MutableImageView out) {
  for (int y = 0; y < out.height; ++y) {
    const auto plane = [&](int i) { return frame.data[i] + ptrdiff_t{y} * frame.linesize[i]; };
    uint8_t* rgb = out.row(y);
    for (int x = 0; x < out.width; ++x)
      for (int c = 0; c < 3; ++c) rgb[3 * x + c] = uint8_t((plane(c)[x] * plane(3)[x] + 127) / 255);
  }
}

/// Everything else, by libswscale.
void convert_other(const AVFrame& frame, const AVPixFmtDescriptor& desc, ImageFormat format, MutableImageView out) {
  const auto pixels = AVPixelFormat(frame.format);
  if (!sws_isSupportedInput(pixels)) throw NotSupported(desc.name);
  const auto scaler = own(sws_getContext(frame.width, frame.height, pixels, frame.width, frame.height, AV_PIX_FMT_RGBA,
                                         SWS_BILINEAR | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INT | SWS_FULL_CHR_H_INP,
                                         nullptr, nullptr, nullptr));
  if (!(desc.flags & AV_PIX_FMT_FLAG_RGB) && desc.nb_components >= 3)
    sws_setColorspaceDetails(scaler.get(), sws_getCoefficients(frame.colorspace), is_full_range(frame, format),
                             sws_getCoefficients(SWS_CS_DEFAULT), 1, 0, 1 << 16, 1 << 16);
  // It stores whole vectors: rows are padded, and so is the end.
  const ptrdiff_t stride = (ptrdiff_t{4} * frame.width + 63) / 64 * 64;
  std::vector<uint8_t> rgba(size_t(stride) * frame.height + 64);
  uint8_t* const planes[4] = {rgba.data()};
  const int strides[4] = {int(stride)};
  check(sws_scale(scaler.get(), frame.data, frame.linesize, 0, frame.height, planes, strides));
  composite_on_white(rgba.data(), stride, out);
}

/// Whatever the decoder gave, with its transparency on white.
void convert(const AVFrame& frame, const ImageHeader& header, Image& into) {
  const ImageFormat format = header.format;
  const AVPixFmtDescriptor* desc = av_pix_fmt_desc_get(AVPixelFormat(frame.format));
  if (!desc) throw NotSupported("unknown pixel format");
  into.reshape(frame.width, frame.height);
  const bool rgb = desc->flags & AV_PIX_FMT_FLAG_RGB;
  if (frame.format == AV_PIX_FMT_GRAY8)
    copy_grey(frame, into.view());
  else if (header.cmyk && frame.format == AV_PIX_FMT_YUVA444P)
    convert_cmyk(frame, into.view());
  else if ((header.cmyk || header.rgb) && !rgb)
    throw NotSupported("colours with subsampling");
  else if (is_planar_yuv(*desc))
    convert_yuv(frame, *desc, format, 0, into.view());
  else if (format == ImageFormat::Jpeg && frame.format == AV_PIX_FMT_GBRP && !header.rgb)
    convert_yuv(frame, *desc, format, 2, into.view());  // taken for red, green, blue
  else
    convert_other(frame, *desc, format, into.view());
}

}  // namespace

void decode_with_av(std::span<const uint8_t> padded, const ImageHeader& header, int64_t max_pixels, Image& into) {
  static std::once_flag once;
  std::call_once(once, [] { av_log_set_level(AV_LOG_QUIET); });  // our errors say what is wrong
  const Bytes in(padded);
  const ImageFormat format = header.format;
  const auto frame = format == ImageFormat::Avif
                         ? decode_avif(padded, max_pixels)
                         : decode(codec_of(format), nullptr,
                                  *(header.frame ? first_webp_frame(in, header.frame) : packet_of(padded)), max_pixels);
  convert(*frame, header, into);
  if (header.alpha) {
    const auto transparency = decode_avif(avif_of_alpha(padded, header), max_pixels);
    const AVPixFmtDescriptor* desc = av_pix_fmt_desc_get(AVPixelFormat(transparency->format));
    if (!desc || desc->nb_components != 1) throw NotSupported("with transparency that is no grey picture");
    Image alpha;
    convert(*transparency, header, alpha);
    if (alpha.width() != into.width() || alpha.height() != into.height())
      throw NotSupported("with transparency of another size");
    put_on_white(alpha.view().data, alpha.view().stride, 3, into.view());
  }
  if (header.frame) place_on_canvas(in, header, into);
}

}  // namespace ar::io
