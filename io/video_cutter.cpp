#include "io/video_cutter.h"

extern "C" {
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
}
#include <algorithm>
#include <cmath>
#include <map>
#include <optional>

#include "io/ffmpeg/frame_decoder.h"
#include "io/ffmpeg/muxer.h"
#include "io/ffmpeg/scaler.h"
#include "io/ffmpeg/sound.h"
#include "tensor/error.h"

namespace ar::io {
namespace {

using namespace ffmpeg;

/// Players turn the picture as in the source.
void copy_display_matrix(const AVStream* from, AVStream* to) {
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 102)  // FFmpeg 6.1
  const AVPacketSideData* found = av_packet_side_data_get(
      from->codecpar->coded_side_data, from->codecpar->nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX);
  if (!found) return;
  AVPacketSideData* made = av_packet_side_data_new(&to->codecpar->coded_side_data, &to->codecpar->nb_coded_side_data,
                                                   AV_PKT_DATA_DISPLAYMATRIX, found->size, 0);
  if (!made) throw std::bad_alloc();
  std::copy_n(found->data, found->size, made->data);
#else
  size_t size = 0;
  const uint8_t* data = av_stream_get_side_data(from, AV_PKT_DATA_DISPLAYMATRIX, &size);
  if (!data) return;
  uint8_t* made = av_stream_new_side_data(to, AV_PKT_DATA_DISPLAYMATRIX, size);
  if (!made) throw std::bad_alloc();
  std::copy_n(data, size, made);
#endif
}

/// Encodes pictures to H.264, in their own order of time.
class PictureEncoder {
 public:
  PictureEncoder(const FrameDecoder& source, const AVFrame& first, const CutOptions& options, Muxer& muxer)
      : muxer_(muxer) {
    const AVCodec* codec = avcodec_find_encoder_by_name("libx264");
    AR_CHECK(codec, muxer.path(), ": this FFmpeg has no libx264 encoder; cut with copy");
    encoder_.reset(avcodec_alloc_context3(codec));
    if (!encoder_) throw std::bad_alloc();
    AVCodecContext& c = *encoder_;
    c.width = first.width & ~1;
    c.height = first.height & ~1;
    AR_CHECK(c.width > 0 && c.height > 0, muxer.path(), ": pictures of ", first.width, " x ", first.height,
             " are too small for H.264");
    bool full_range = first.color_range == AVCOL_RANGE_JPEG;
    without_j(AVPixelFormat(first.format), full_range);
    c.pix_fmt = AV_PIX_FMT_YUV420P;
    c.color_range = full_range ? AVCOL_RANGE_JPEG : first.color_range;
    const bool rgb = av_pix_fmt_desc_get(AVPixelFormat(first.format))->flags & AV_PIX_FMT_FLAG_RGB;
    c.colorspace = rgb ? AVCOL_SPC_SMPTE170M : first.colorspace;
    c.color_primaries = first.color_primaries;
    c.color_trc = first.color_trc;
    c.chroma_sample_location = first.chroma_location;
    const VideoFacts& facts = source.facts();
    c.sample_aspect_ratio = {int(facts.pixel_aspect.num), int(facts.pixel_aspect.den)};
    c.time_base = source.input().stream()->time_base;
    c.framerate = {int(facts.frame_rate.num), int(facts.frame_rate.den)};
    c.thread_count = options.threads;
    if (muxer.format()->oformat->flags & AVFMT_GLOBALHEADER) c.flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    AVDictionary* settings = nullptr;
    av_dict_set(&settings, "preset", options.preset.c_str(), 0);
    av_dict_set_int(&settings, "crf", options.crf, 0);
    last_message();
    const int code = avcodec_open2(&c, codec, &settings);
    av_dict_free(&settings);
    muxer.check(code, "H.264 cannot be encoded");
    stream_ = muxer.new_stream();
    stream_->time_base = c.time_base;
    stream_->avg_frame_rate = c.framerate;
    stream_->sample_aspect_ratio = c.sample_aspect_ratio;
    muxer.check(avcodec_parameters_from_context(stream_->codecpar, &c), "H.264 cannot be encoded");
    copy_display_matrix(source.input().stream(), stream_);
  }

  int width() const { return encoder_->width; }
  int height() const { return encoder_->height; }

  void encode(const AVFrame& picture, int64_t pts, int64_t duration) {
    Frame f = prepared(picture);
    f->pts = pts;
    f->pict_type = AV_PICTURE_TYPE_NONE;  // the source's choice is not the encoder's
    durations_[pts] = duration;
    send(f.get());
  }
  void finish() { send(nullptr); }

 private:
  /// The same picture (or the part of even size) in the encoder's format.
  Frame prepared(const AVFrame& picture) {
    Frame f = new_frame();
    const bool same_size = (picture.width & ~1) == width() && (picture.height & ~1) == height();
    if (same_size && (picture.format == AV_PIX_FMT_YUV420P || picture.format == AV_PIX_FMT_YUVJ420P)) {
      muxer_.check(av_frame_ref(f.get(), &picture), "a picture cannot be encoded");
      f->format = AV_PIX_FMT_YUV420P;
      f->width = width();
      f->height = height();
      return f;
    }
    f->format = AV_PIX_FMT_YUV420P;
    f->width = width();
    f->height = height();
    muxer_.check(av_frame_get_buffer(f.get(), 0), "a picture cannot be encoded");
    const int w = same_size ? width() : picture.width, h = same_size ? height() : picture.height;
    bool full_range = picture.color_range == AVCOL_RANGE_JPEG;
    const AVPixelFormat format = without_j(AVPixelFormat(picture.format), full_range);
    scaler_.reset(sws_getCachedContext(scaler_.release(), w, h, format, width(), height(), AV_PIX_FMT_YUV420P,
                                       SWS_BICUBIC | SWS_ACCURATE_RND | SWS_FULL_CHR_H_INP, nullptr, nullptr, nullptr));
    AR_CHECK(scaler_, muxer_.path(), ": pictures in pixel format ", av_get_pix_fmt_name(AVPixelFormat(picture.format)),
             " cannot be converted");
    // Without this, both sides would count as limited range.
    const int* matrix = sws_getCoefficients(SWS_CS_DEFAULT);
    sws_setColorspaceDetails(scaler_.get(), matrix, full_range, matrix, encoder_->color_range == AVCOL_RANGE_JPEG, 0,
                             1 << 16, 1 << 16);
    sws_scale(scaler_.get(), picture.data, picture.linesize, 0, h, f->data, f->linesize);
    return f;
  }

  void send(const AVFrame* f) {
    muxer_.check(avcodec_send_frame(encoder_.get(), f), "a picture cannot be encoded");
    while (avcodec_receive_packet(encoder_.get(), packet_.get()) == 0) {
      const auto found = durations_.find(packet_->pts);
      if (found != durations_.end()) {
        packet_->duration = found->second;
        durations_.erase(found);
      }
      muxer_.write(packet_.get(), stream_, encoder_->time_base);
    }
  }

  Muxer& muxer_;
  CodecContext encoder_;
  AVStream* stream_ = nullptr;
  Scaler scaler_;
  Packet packet_ = new_packet();
  std::map<int64_t, int64_t> durations_;  // by timestamp, of pictures inside the encoder
};

[[noreturn]] void no_frame(const std::string& source, double start, double end) {
  fail(source, ": has no frame between ", start, " and ", end, " s");
}

Cut encode_clip(const std::string& source, double start, double end, Muxer& muxer, const CutOptions& options) {
  FrameDecoder decoder(std::make_unique<Input>(source), options.threads);
  const VideoFacts& facts = decoder.facts();
  if (options.from_start)
    decoder.skip_to(start);
  else
    decoder.seek(start);
  const int64_t end_pts = facts.pts_at(end);
  if (!decoder.decode() || decoder.time().pts >= end_pts) no_frame(source, start, end);
  Cut cut;
  const FrameTime first = decoder.time();
  const VideoStats before = decoder.stats();
  PictureEncoder pictures(decoder, decoder.frame(), options, muxer);
  std::optional<Sound> sound;
  // Behind a place where timestamps go back, the sound of a picture cannot be told by its time.
  const bool told = !options.from_start || decoder.frame().best_effort_timestamp == first.pts;
  if (options.audio && told && decoder.input().audio())
    sound.emplace(source, first.seconds, end, options.from_start, muxer);
  muxer.write_header();
  FrameTime time = first;
  do {
    time = decoder.time();
    pictures.encode(decoder.frame(), time.pts - first.pts, time.duration);
    ++cut.frames;
    if (sound) sound->write_until(time.seconds - first.seconds);
  } while (decoder.decode() && decoder.time().pts < end_pts);
  pictures.finish();
  cut.start = first.seconds;
  cut.end = facts.seconds(time.pts + time.duration);
  if (sound) sound->finish(cut.end - cut.start);
  muxer.finish();
  cut.cropped = (decoder.input().stream()->codecpar->width | decoder.input().stream()->codecpar->height) & 1;
  const bool turned = facts.orientation.transpose;
  cut.width = turned ? pictures.height() : pictures.width();
  cut.height = turned ? pictures.width() : pictures.height();
  cut.audio = sound.has_value();
  const VideoStats after = decoder.stats();
  cut.damaged = after.concealed + after.bad_packets + after.read_errors - before.concealed - before.bad_packets -
                before.read_errors;
  if (!after.at_end) cut.missing_seconds = after.missing_seconds - before.missing_seconds;
  return cut;
}

constexpr const char* kNotTold = ": does not say when its frames are shown, so they cannot be copied; cut with h264";

/// AV_NOPTS_VALUE where the container tells times of decoding only.
int64_t shown_at(const AVPacket& packet, const AVStream& stream) {
  return packet.pts == AV_NOPTS_VALUE && stream.codecpar->video_delay == 0 ? packet.dts : packet.pts;
}

/// The packet of the key frame of this time is still to be read. False where the file has no such packet.
bool seek_before_key_frame(Input& input, int64_t pts) {
  const Packet packet = new_packet();
  const auto comes = [&] {
    while (input.read(packet.get())) {
      if (packet->stream_index != input.stream()->index) continue;
      if ((packet->flags & AV_PKT_FLAG_KEY) && shown_at(*packet, *input.stream()) == pts) return true;
      if (packet->dts != AV_NOPTS_VALUE && packet->dts > pts) return false;
    }
    return false;
  };
  // Containers may land behind the frame, as by the time it is decoded at: then from further back.
  const VideoFacts& facts = input.facts();
  const auto one_second = std::max<int64_t>(1, std::llround(1 / facts.time_base.value()));
  for (int64_t back = 0; pts - back > facts.start_pts && input.seek(pts - back); back = 4 * back + one_second)
    if (comes()) return input.seek(pts - back);
  input.rewind();
  if (!comes()) return false;
  input.rewind();
  return true;
}

/// Packets from the key frame before `start` up to `end`, in the order in which they are stored.
Cut copy_clip(const std::string& source, double start, double end, Muxer& muxer, const CutOptions& options) {
  AR_CHECK(!options.from_start, source, ": its timestamps go back, so its frames cannot be copied; cut with h264");
  const VideoIndex index = index_video(source);
  const VideoFacts& facts = index.facts;
  const int64_t first_asked = index.frame_at(start);
  if (first_asked >= index.frames() || index.seconds(first_asked) >= end) no_frame(source, start, end);
  const int64_t first = index.key_frame_before(first_asked), last = index.frame_at(end) - 1;
  const int64_t first_pts = index.pts[size_t(first)], last_pts = index.pts[size_t(last)];

  Input input(source);
  input.keep_streams(options.audio);
  AVStream* streams[2] = {input.stream(), options.audio ? input.audio() : nullptr};
  AVStream* written[2] = {};
  for (int i = 0; i < 2; ++i) {
    if (!streams[i]) continue;
    written[i] = muxer.new_stream();
    muxer.check(avcodec_parameters_copy(written[i]->codecpar, streams[i]->codecpar), "cannot be written");
    written[i]->codecpar->codec_tag = 0;
    written[i]->time_base = streams[i]->time_base;
    written[i]->sample_aspect_ratio = streams[i]->sample_aspect_ratio;
    written[i]->avg_frame_rate = streams[i]->avg_frame_rate;
  }
  copy_display_matrix(streams[0], written[0]);
  muxer.write_header();

  Cut cut;
  const double origin = index.seconds(first), stop = index.seconds(last) + 1e-9;
  bool started = false, pictures_done = false, sound_done = !streams[1];
  AR_CHECK(seek_before_key_frame(input, first_pts), source, kNotTold);
  streams[0] = input.stream();  // new ones, where it began again
  if (streams[1]) streams[1] = input.audio();
  const Packet packet = new_packet();
  int64_t wanted = last - first + 1, written_end = first_pts;
  while (!(pictures_done && sound_done) && input.read(packet.get())) {
    const int i = packet->stream_index == streams[0]->index ? 0 : 1;
    const AVRational base = streams[i]->time_base;
    const int64_t shift = i == 0 ? first_pts : av_rescale_q(first_pts, streams[0]->time_base, base);
    if (i == 0) {
      const int64_t pts = shown_at(*packet, *streams[0]);
      started |= (packet->flags & AV_PKT_FLAG_KEY) && pts == first_pts;
      AR_CHECK(!started || pts != AV_NOPTS_VALUE, source, kNotTold);
      pictures_done |= started && packet->dts != AV_NOPTS_VALUE && packet->dts > last_pts;
      if (!started || pts < first_pts || pictures_done) continue;
      ++cut.frames;
      written_end = std::max(written_end, pts);
      // Frames behind the last one that are stored before it have to come along: others refer to them.
      pictures_done = (wanted -= pts <= last_pts) == 0;
    } else {
      const double at = double(packet->pts - shift) * base.num / base.den;
      sound_done |= packet->pts != AV_NOPTS_VALUE && at > stop - origin;
      if (packet->pts == AV_NOPTS_VALUE || at < 0 || sound_done) continue;
      cut.audio = true;
    }
    if (packet->pts != AV_NOPTS_VALUE) packet->pts -= shift;
    if (packet->dts != AV_NOPTS_VALUE) packet->dts -= shift;
    packet->pos = -1;
    muxer.write(packet.get(), written[i], base);
  }
  AR_CHECK(wanted == 0, source, ": ", wanted, " frames between ", start, " and ", end,
           " s are not found at their times, so they cannot be copied; cut with h264");
  muxer.finish();
  cut.start = origin;
  const double rate = facts.frame_rate.value();
  cut.end = facts.seconds(written_end) + (rate > 0 ? 1 / rate : 0);
  cut.lead = std::max(0.0, start - origin);
  if (first == first_asked) cut.lead = 0;
  cut.width = facts.width;
  cut.height = facts.height;
  return cut;
}

}  // namespace

Cut cut_clip(const std::string& source, double start, double end, const std::string& out, const CutOptions& options) {
  AR_CHECK(std::isfinite(start) && std::isfinite(end) && start < end, source, ": cannot cut from ", start, " to ", end,
           " s");
  Muxer muxer(out);
  const Cut cut =
      options.copy ? copy_clip(source, start, end, muxer, options) : encode_clip(source, start, end, muxer, options);
  const int64_t written = index_video(muxer.temporary()).frames();
  AR_CHECK(written == cut.frames, out, ": has ", written, " frames after writing, ", cut.frames, " were meant");
  if (options.copy) {
    FrameDecoder beginning(std::make_unique<Input>(muxer.temporary()), 1);
    AR_CHECK(!beginning.decode() || beginning.can_be_first(), source, ": the frame at ", cut.start,
             " s is marked as a key frame and is none, so it cannot be copied; cut with h264");
  }
  muxer.commit();
  return cut;
}

}  // namespace ar::io
