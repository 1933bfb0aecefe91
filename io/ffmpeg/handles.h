// Owners of libav's objects, and its errors as text. Internal to io/: public headers name no type of FFmpeg.
#pragma once
extern "C" {
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>
}

#include <memory>
#include <string>

namespace ar::io::ffmpeg {

struct Deleter {
  void operator()(AVCodecContext* p) const { avcodec_free_context(&p); }
  void operator()(AVPacket* p) const { av_packet_free(&p); }
  void operator()(AVFrame* p) const { av_frame_free(&p); }
  void operator()(SwsContext* p) const { sws_freeContext(p); }
  void operator()(SwrContext* p) const { swr_free(&p); }
};
using CodecContext = std::unique_ptr<AVCodecContext, Deleter>;
using Packet = std::unique_ptr<AVPacket, Deleter>;
using Frame = std::unique_ptr<AVFrame, Deleter>;
using Scaler = std::unique_ptr<SwsContext, Deleter>;
using Resampler = std::unique_ptr<SwrContext, Deleter>;

Packet new_packet();
Frame new_frame();

/// libav's text for an error code.
std::string error_text(int code);
/// From now on libav prints nothing; the last error it reports on a thread is kept for last_message().
void silence_log();
/// The last error that libav reported on this thread since the last call ("moov atom not found"); empty if none.
std::string last_message();

}  // namespace ar::io::ffmpeg
