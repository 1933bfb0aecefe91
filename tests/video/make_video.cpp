#include "tests/video/make_video.h"

extern "C" {
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
}
#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <memory>

#include "io/ffmpeg/input.h"

namespace ar::test {
namespace {

using namespace io::ffmpeg;

constexpr int kBlock = 8, kBits = 16;  // two rows of eight blocks of 8 x 16 pixels, then 16 rows of colour

void ok(int code, const char* what) { AR_CHECK(code >= 0, what, ": ", error_text(code)); }

/// Grey picture of frame i as RGB, then converted: so that every pixel format works.
void paint(AVFrame* frame, int i, const Movie& movie) {
  std::vector<uint8_t> rgb(size_t(3 * frame->width * frame->height) + 64);  // libswscale reads past the end
  if (movie.draw) movie.draw(i, rgb.data());
  for (int y = 0; y < frame->height && !movie.draw; ++y)
    for (int x = 0; x < frame->width; ++x) {
      uint8_t* p = &rgb[size_t(3 * (y * frame->width + x))];
      if (y < 32 && x < 64) {
        const int bit = y / 16 * 8 + x / kBlock;
        std::memset(p, (i >> bit & 1) ? 230 : 25, 3);
      } else {
        p[0] = 200, p[1] = 60, p[2] = 40;
      }
    }
  const Scaler scaler(sws_getContext(frame->width, frame->height, AV_PIX_FMT_RGB24, frame->width, frame->height,
                                     AVPixelFormat(frame->format), SWS_POINT | SWS_ACCURATE_RND, nullptr, nullptr,
                                     nullptr));
  const uint8_t* data[4] = {rgb.data()};
  const int pitch[4] = {3 * frame->width};
  sws_scale(scaler.get(), data, pitch, 0, frame->height, frame->data, frame->linesize);
}

CodecContext encoder(const char* name, const std::map<std::string, std::string>& options) {
  const AVCodec* codec = avcodec_find_encoder_by_name(name);
  AR_CHECK(codec, "no encoder ", name);
  CodecContext c(avcodec_alloc_context3(codec));
  for (const auto& [key, value] : options)
    ok(av_opt_set(c.get(), key.c_str(), value.c_str(), AV_OPT_SEARCH_CHILDREN), key.c_str());
  return c;
}

struct Writer {
  AVFormatContext* format = nullptr;
  ~Writer() {
    if (format) avio_closep(&format->pb);
    avformat_free_context(format);
  }
  void drain(AVCodecContext* c, AVStream* s, int64_t duration = 0) const {
    const Packet packet = new_packet();
    while (avcodec_receive_packet(c, packet.get()) == 0) {
      packet->stream_index = s->index;
      if (!packet->duration) packet->duration = duration;
      av_packet_rescale_ts(packet.get(), c->time_base, s->time_base);
      ok(av_interleaved_write_frame(format, packet.get()), "write");
    }
  }
};

void add_audio(const Writer& writer, AVCodecContext* c, AVStream* s, double start, double seconds) {
  const Frame frame = new_frame();
  frame->format = c->sample_fmt;
  frame->sample_rate = c->sample_rate;
  frame->nb_samples = c->frame_size;
  ok(av_channel_layout_copy(&frame->ch_layout, &c->ch_layout), "layout");
  ok(av_frame_get_buffer(frame.get(), 0), "audio buffer");
  for (int64_t t = 0; double(t) / c->sample_rate < seconds; t += c->frame_size) {
    ok(av_frame_make_writable(frame.get()), "audio buffer");
    auto* x = reinterpret_cast<float*>(frame->data[0]);
    for (int i = 0; i < c->frame_size; ++i) {
      const int64_t n = t + i;
      x[i] = n / c->sample_rate % 2 ? 0.f : 0.5f * std::sin(float(n % c->sample_rate) * 0.05f);
    }
    frame->pts = t + std::llround(start * c->sample_rate);
    ok(avcodec_send_frame(c, frame.get()), "encode audio");
    writer.drain(c, s);
  }
  avcodec_send_frame(c, nullptr);
  writer.drain(c, s);
}

}  // namespace

std::vector<int64_t> steps(int n, int64_t step) {
  std::vector<int64_t> pts;
  for (int i = 0; i < n; ++i) pts.push_back(i * step);
  return pts;
}

void make_video(const std::string& path, const Movie& m) {
  silence_log();
  Writer writer;
  ok(avformat_alloc_output_context2(&writer.format, nullptr, nullptr, path.c_str()), path.c_str());
  const bool global = writer.format->oformat->flags & AVFMT_GLOBALHEADER;

  const CodecContext c = encoder(m.codec.c_str(), m.options);
  c->width = m.width;
  c->height = m.height;
  c->pix_fmt = av_get_pix_fmt(m.pixel_format.c_str());
  c->time_base = {m.time_base_num, m.time_base_den};
  const int64_t step = m.pts.size() > 1 ? m.pts[1] - m.pts[0] : 1;
  c->framerate = {m.time_base_den, int(m.time_base_num * step)};
  c->gop_size = m.gop;
  c->max_b_frames = m.b_frames;
  c->thread_count = 1;
  c->bit_rate = 400000;
  if (global) c->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  ok(avcodec_open2(c.get(), nullptr, nullptr), m.codec.c_str());
  AVStream* s = avformat_new_stream(writer.format, nullptr);
  s->time_base = c->time_base;
  s->avg_frame_rate = c->framerate;
  ok(avcodec_parameters_from_context(s->codecpar, c.get()), "parameters");
  if (m.turned || m.mirrored) {
    // Stored (x, y) is shown at (a x + c y, b x + d y).
    const int one = m.mirrored ? -1 : 1, by = m.turned / 90;
    const int a[] = {one, 0, -one, 0}, b[] = {0, one, 0, -one}, cc[] = {0, -1, 0, 1}, d[] = {1, 0, -1, 0};
    const int32_t matrix[9] = {a[by] * 65536, b[by] * 65536, 0, cc[by] * 65536, d[by] * 65536, 0, 0, 0, 1 << 30};
#if LIBAVCODEC_VERSION_INT >= AV_VERSION_INT(60, 31, 102)  // FFmpeg 6.1
    AVCodecParameters& p = *s->codecpar;
    uint8_t* data =
        av_packet_side_data_new(&p.coded_side_data, &p.nb_coded_side_data, AV_PKT_DATA_DISPLAYMATRIX, sizeof(matrix), 0)
            ->data;
#else
    uint8_t* data = av_stream_new_side_data(s, AV_PKT_DATA_DISPLAYMATRIX, sizeof(matrix));
#endif
    std::memcpy(data, matrix, sizeof(matrix));
  }

  CodecContext ac;
  AVStream* as = nullptr;
  if (m.audio) {
    const bool webm = path.ends_with(".webm");
    ac = encoder(webm ? "libopus" : "aac", {});
    ac->sample_rate = 48000;
    ac->sample_fmt = webm ? AV_SAMPLE_FMT_FLT : AV_SAMPLE_FMT_FLTP;
    ac->time_base = {1, 48000};
    av_channel_layout_default(&ac->ch_layout, 1);
    if (global) ac->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    ok(avcodec_open2(ac.get(), nullptr, nullptr), "audio encoder");
    as = avformat_new_stream(writer.format, nullptr);
    as->time_base = ac->time_base;
    ok(avcodec_parameters_from_context(as->codecpar, ac.get()), "parameters");
  }
  AVDictionary* muxer = nullptr;
  for (const auto& [key, value] : m.muxer_options) av_dict_set(&muxer, key.c_str(), value.c_str(), 0);
  ok(avio_open(&writer.format->pb, path.c_str(), AVIO_FLAG_WRITE), path.c_str());
  const int started = avformat_write_header(writer.format, &muxer);
  av_dict_free(&muxer);
  ok(started, "header");
  if (m.audio) {
    const double unit = double(m.time_base_num) / m.time_base_den;
    add_audio(writer, ac.get(), as, m.audio_start, double(m.pts.back() + step) * unit);
  }
  const Frame frame = new_frame();
  for (size_t i = 0; i < m.pts.size(); ++i) {
    av_frame_unref(frame.get());
    frame->format = c->pix_fmt;
    frame->width = c->width;
    frame->height = c->height;
    ok(av_frame_get_buffer(frame.get(), 0), "buffer");
    paint(frame.get(), int(i), m);
    frame->pts = m.pts[i];
    ok(avcodec_send_frame(c.get(), frame.get()), "encode");
    writer.drain(c.get(), s, step);
  }
  avcodec_send_frame(c.get(), nullptr);
  writer.drain(c.get(), s, step);
  ok(av_write_trailer(writer.format), "trailer");
}

void join_files(const std::vector<std::string>& paths, const std::string& joined) {
  std::ofstream out(joined, std::ios::binary);
  for (const std::string& path : paths) out << std::ifstream(path, std::ios::binary).rdbuf();
}

std::vector<float> read_sound(const std::string& path) {
  io::ffmpeg::Input input(path);
  AR_CHECK(input.audio(), path, ": no sound");
  input.keep_streams(true);
  const CodecContext c = io::ffmpeg::open_decoder(input, input.audio(), 1);
  const Packet packet = new_packet();
  const Frame frame = new_frame();
  std::vector<float> samples;
  bool more = true;
  while (more) {
    more = input.read(packet.get());
    if (more && packet->stream_index != input.audio()->index) continue;
    avcodec_send_packet(c.get(), more ? packet.get() : nullptr);
    while (avcodec_receive_frame(c.get(), frame.get()) == 0) {
      AR_CHECK(frame->sample_rate == 48000 && frame->format == AV_SAMPLE_FMT_FLTP, path, ": unexpected sound");
      const AVRational base = input.audio()->time_base;
      const auto at = int64_t(std::llround(double(frame->pts) * base.num / base.den * 48000));
      if (at > int64_t(samples.size())) samples.resize(size_t(at));
      const auto* x = reinterpret_cast<const float*>(frame->data[0]);
      samples.insert(samples.end(), x, x + frame->nb_samples);
    }
  }
  return samples;
}

int burnt_number(const Tensor& picture, int turned, bool mirrored) {
  const int h = int(picture.size(1)), w = int(picture.size(2));
  const bool transpose = turned % 180 != 0;
  const int stored_h = transpose ? w : h, stored_w = transpose ? h : w;
  int number = 0;
  for (int bit = 0; bit < kBits; ++bit) {
    int x = bit % 8 * kBlock + kBlock / 2;
    const int y = bit / 8 * 16 + 8;
    if (mirrored) x = stored_w - 1 - x;
    int shown_x = x, shown_y = y;
    if (turned == 90) shown_x = stored_h - 1 - y, shown_y = x;
    if (turned == 180) shown_x = stored_w - 1 - x, shown_y = stored_h - 1 - y;
    if (turned == 270) shown_x = y, shown_y = stored_w - 1 - x;
    number |= int(picture.at({1, shown_y, shown_x}) > 127) << bit;
  }
  return number;
}

}  // namespace ar::test
