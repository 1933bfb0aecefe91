#include "io/video_writer.h"

#include "io/ffmpeg/muxer.h"
#include "tensor/error.h"

namespace ar::io {

using namespace ffmpeg;

struct VideoWriter::State {
  explicit State(const std::string& path) : muxer(path) {}

  void send(const AVFrame* frame) {
    muxer.check(avcodec_send_frame(encoder.get(), frame), "a picture cannot be encoded");
    while (avcodec_receive_packet(encoder.get(), packet.get()) == 0) {
      packet->duration = 1;
      muxer.write(packet.get(), stream, encoder->time_base);
    }
  }

  Muxer muxer;
  CodecContext encoder;
  AVStream* stream = nullptr;
  Scaler scaler;
  Packet packet = new_packet();
  int64_t frames = 0;
};

VideoWriter::VideoWriter(const std::string& path, const VideoWriterOptions& options)
    : state_(std::make_unique<State>(path)) {
  State& s = *state_;
  AR_CHECK(options.width > 0 && options.height > 0 && options.width % 2 == 0 && options.height % 2 == 0, path,
           ": a video of ", options.width, " x ", options.height, " pixels cannot be written; sizes must be even");
  AR_CHECK(options.rate > 0, path, ": ", options.rate, " frames per second");
  const AVCodec* codec = avcodec_find_encoder_by_name("libx264");
  AR_CHECK(codec, path, ": this FFmpeg has no libx264 encoder");
  s.encoder.reset(avcodec_alloc_context3(codec));
  if (!s.encoder) throw std::bad_alloc();
  AVCodecContext& c = *s.encoder;
  c.width = options.width;
  c.height = options.height;
  c.pix_fmt = AV_PIX_FMT_YUV420P;
  c.color_range = AVCOL_RANGE_MPEG;
  c.colorspace = AVCOL_SPC_SMPTE170M;
  c.time_base = {1, options.rate};
  c.framerate = {options.rate, 1};
  c.thread_count = 1;
  if (s.muxer.format()->oformat->flags & AVFMT_GLOBALHEADER) c.flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  AVDictionary* settings = nullptr;
  av_dict_set(&settings, "preset", options.preset.c_str(), 0);
  av_dict_set_int(&settings, "crf", options.crf, 0);
  av_dict_set(&settings, "mbtree", "0", 0);  // with it, the same pictures do not always give the same bytes
  last_message();
  const int code = avcodec_open2(&c, codec, &settings);
  av_dict_free(&settings);
  s.muxer.check(code, "H.264 cannot be encoded");
  s.stream = s.muxer.new_stream();
  s.stream->time_base = c.time_base;
  s.stream->avg_frame_rate = c.framerate;
  s.muxer.check(avcodec_parameters_from_context(s.stream->codecpar, &c), "H.264 cannot be encoded");
  s.scaler.reset(sws_getContext(c.width, c.height, AV_PIX_FMT_RGB24, c.width, c.height, AV_PIX_FMT_YUV420P,
                                SWS_BILINEAR | SWS_ACCURATE_RND, nullptr, nullptr, nullptr));
  if (!s.scaler) throw std::bad_alloc();
  s.muxer.write_header();
}

VideoWriter::~VideoWriter() = default;

void VideoWriter::write(ImageView picture) {
  State& s = *state_;
  const AVCodecContext& c = *s.encoder;
  AR_CHECK(picture.width == c.width && picture.height == c.height, s.muxer.path(), ": a picture of ", picture.width,
           " x ", picture.height, " pixels in a video of ", c.width, " x ", c.height);
  const Frame frame = new_frame();
  frame->format = c.pix_fmt;
  frame->width = c.width;
  frame->height = c.height;
  s.muxer.check(av_frame_get_buffer(frame.get(), 0), "a picture cannot be encoded");
  const uint8_t* const rows[] = {picture.data};
  const int stride[] = {int(picture.stride)};
  sws_scale(s.scaler.get(), rows, stride, 0, c.height, frame->data, frame->linesize);
  frame->pts = s.frames++;
  s.send(frame.get());
}

void VideoWriter::finish() {
  State& s = *state_;
  AR_CHECK(s.frames > 0, s.muxer.path(), ": a video without a picture");
  s.send(nullptr);
  s.muxer.finish();
  s.muxer.commit();
}

}  // namespace ar::io
