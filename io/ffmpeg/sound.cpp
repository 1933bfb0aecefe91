#include "io/ffmpeg/sound.h"

extern "C" {
#include <libavutil/audio_fifo.h>
}
#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/error.h"

namespace ar::io::ffmpeg {
namespace {

constexpr double kPreroll = 0.5;       // seconds that codecs need to settle after a seek
constexpr double kTolerance = 0.02;    // seconds by which timestamps may jump without a gap being meant
constexpr int64_t kLongestGap = 600;   // seconds; longer ones are wrong timestamps
constexpr double kLongestPiece = 1e9;  // seconds: any number of samples fits into 64 bits
constexpr int kUsualRates[] = {96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000};

struct FifoDeleter {
  void operator()(AVAudioFifo* p) const { av_audio_fifo_free(p); }
};

}  // namespace

struct Sound::State {
  State(const std::string& source, double start, double end, bool from_start, Muxer& to)
      : input(source), muxer(to), decoder(open_decoder(input, input.audio(), 1)), start(start) {
    input.keep_streams(true);
    // AAC knows these rates only; other sounds are converted.
    const int source_rate = input.audio()->codecpar->sample_rate;
    rate = std::find(std::begin(kUsualRates), std::end(kUsualRates), source_rate) != std::end(kUsualRates) ? source_rate
                                                                                                           : 48000;
    const AVCodec* codec = avcodec_find_encoder(AV_CODEC_ID_AAC);
    AR_CHECK(codec, muxer.path(), ": this FFmpeg has no AAC encoder; cut without sound");
    encoder.reset(avcodec_alloc_context3(codec));
    if (!encoder) throw std::bad_alloc();
    const int channels = input.audio()->codecpar->ch_layout.nb_channels == 1 ? 1 : 2;
    av_channel_layout_default(&encoder->ch_layout, channels);
    encoder->sample_rate = rate;
    encoder->sample_fmt = AV_SAMPLE_FMT_FLTP;
    encoder->time_base = {1, rate};
    encoder->bit_rate = 80000 * channels;
    if (muxer.format()->oformat->flags & AVFMT_GLOBALHEADER) encoder->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
    muxer.check(avcodec_open2(encoder.get(), codec, nullptr), "the sound cannot be encoded");
    stream = muxer.new_stream();
    stream->time_base = encoder->time_base;
    muxer.check(avcodec_parameters_from_context(stream->codecpar, encoder.get()), "the sound cannot be encoded");
    fifo.reset(av_audio_fifo_alloc(AV_SAMPLE_FMT_FLTP, channels, encoder->frame_size));
    if (!fifo) throw std::bad_alloc();
    const double from = start - kPreroll;
    if (from > 0 && !from_start) input.seek(input.facts().pts_at(from));
    limit = std::llround(std::min(end - start, kLongestPiece) * rate);
  }

  double seconds_of(int64_t pts) const {
    const AVRational base = input.audio()->time_base;
    return double(pts) * base.num / base.den - double(input.facts().start_pts) * input.facts().time_base.value();
  }

  /// Puts converted samples, which begin at `at` samples from the clip's start, behind what is there already.
  void place(int64_t at, const uint8_t* const* planes, int count) {
    const int64_t have = encoded + av_audio_fifo_size(fifo.get());
    if (std::abs(at - have) < kTolerance * rate && have > 0) at = have;
    if (at > have) silence(std::min({at, limit, have + kLongestGap * rate}) - have);
    if (at >= limit) return;
    const int64_t skip = std::max<int64_t>(0, have - at);
    const int64_t keep = std::min<int64_t>(count - skip, total - std::max(have, at));
    if (keep <= 0) return;
    const float* from[2];
    for (int c = 0; c < encoder->ch_layout.nb_channels; ++c) from[c] = reinterpret_cast<const float*>(planes[c]) + skip;
    write_fifo(from, keep);
  }

  void silence(int64_t count) {
    const std::vector<float> zeros(size_t(std::clamp<int64_t>(count, 0, rate)), 0.f);
    while (count > 0) {
      const int64_t n = std::min<int64_t>(count, int64_t(zeros.size()));
      const float* from[2] = {zeros.data(), zeros.data()};
      write_fifo(from, n);
      count -= n;
      encode(false);
    }
  }

  void write_fifo(const float** from, int64_t count) {
    const int written =
        av_audio_fifo_write(fifo.get(), reinterpret_cast<void**>(const_cast<float**>(from)), int(count));
    if (written < count) throw std::bad_alloc();
  }

  void convert(const AVFrame& f) {
    if (f.sample_rate <= 0 || f.nb_samples <= 0) return;
    if (!resampler || f.sample_rate != in_rate || f.format != in_format || f.ch_layout.nb_channels != in_channels) {
      SwrContext* fresh = nullptr;
      const bool ok = swr_alloc_set_opts2(&fresh, &encoder->ch_layout, AV_SAMPLE_FMT_FLTP, rate,
                                          const_cast<AVChannelLayout*>(&f.ch_layout), AVSampleFormat(f.format),
                                          f.sample_rate, 0, nullptr) >= 0;
      resampler.reset(fresh);
      if (!ok || swr_init(fresh) < 0) {
        resampler.reset();
        return;
      }
      in_rate = f.sample_rate;
      in_format = f.format;
      in_channels = f.ch_layout.nb_channels;
    }
    const int64_t delay = swr_get_delay(resampler.get(), rate);
    int64_t at = next_input;
    if (f.best_effort_timestamp != AV_NOPTS_VALUE)
      at = std::llround((seconds_of(f.best_effort_timestamp) - start) * rate);
    next_input = at + int64_t{f.nb_samples} * rate / f.sample_rate;
    const int room = swr_get_out_samples(resampler.get(), f.nb_samples);
    if (room <= 0) return;
    std::vector<float> samples(size_t(2 * room));
    uint8_t* planes[2] = {reinterpret_cast<uint8_t*>(samples.data()),
                          reinterpret_cast<uint8_t*>(samples.data() + room)};
    const int count =
        swr_convert(resampler.get(), planes, room, const_cast<const uint8_t**>(f.extended_data), f.nb_samples);
    if (count > 0) place(at - delay, planes, count);
  }

  /// Decodes one packet's worth; false when the piece is complete or the file ends.
  bool step() {
    if (done) return false;
    if (!input.read(packet.get())) {
      avcodec_send_packet(decoder.get(), nullptr);
      done = true;
    } else if (packet->stream_index == input.audio()->index) {
      avcodec_send_packet(decoder.get(), packet.get());  // what cannot be decoded becomes silence
    }
    av_packet_unref(packet.get());
    while (avcodec_receive_frame(decoder.get(), frame.get()) == 0) convert(*frame);
    encode(false);
    return !done && encoded + av_audio_fifo_size(fifo.get()) < std::min(limit, total);
  }

  void encode(bool last) {
    for (;;) {
      const int64_t ready = std::min<int64_t>(av_audio_fifo_size(fifo.get()), total - encoded);
      if (ready < encoder->frame_size && !(last && ready > 0)) break;
      const Frame f = new_frame();
      f->nb_samples = int(std::min<int64_t>(ready, encoder->frame_size));
      f->format = encoder->sample_fmt;
      f->sample_rate = rate;
      muxer.check(av_channel_layout_copy(&f->ch_layout, &encoder->ch_layout), "the sound cannot be encoded");
      muxer.check(av_frame_get_buffer(f.get(), 0), "the sound cannot be encoded");
      av_audio_fifo_read(fifo.get(), reinterpret_cast<void**>(f->data), f->nb_samples);
      f->pts = encoded;
      encoded += f->nb_samples;
      send(f.get());
    }
    if (last) send(nullptr);
  }

  void send(const AVFrame* f) {
    muxer.check(avcodec_send_frame(encoder.get(), f), "the sound cannot be encoded");
    while (avcodec_receive_packet(encoder.get(), packet.get()) == 0)
      muxer.write(packet.get(), stream, encoder->time_base);
  }

  Input input;
  Muxer& muxer;
  CodecContext decoder, encoder;
  Resampler resampler;
  std::unique_ptr<AVAudioFifo, FifoDeleter> fifo;
  Packet packet = new_packet();
  Frame frame = new_frame();
  AVStream* stream = nullptr;
  double start;
  int rate = 0, in_rate = 0, in_format = -1, in_channels = 0;
  // In samples per channel.
  int64_t limit = 0;                           // no sound is wanted from here on: a gap must not be filled beyond
  int64_t total = INT64_MAX / 2, encoded = 0;  // the total is known at the end
  int64_t next_input = 0;                      // where the next frame begins, if it does not say
  bool done = false;
};

Sound::Sound(const std::string& source, double start, double end, bool from_start, Muxer& muxer)
    : state_(std::make_unique<State>(source, start, end, from_start, muxer)) {}

Sound::~Sound() = default;

void Sound::write_until(double seconds) {
  while (double(state_->encoded) < seconds * state_->rate && state_->step()) {
  }
}

void Sound::finish(double seconds) {
  State& s = *state_;
  s.total = s.limit = std::max(int64_t(std::llround(seconds * s.rate)), s.encoded);
  while (s.step()) {
  }
  s.silence(std::max<int64_t>(0, s.total - s.encoded - av_audio_fifo_size(s.fifo.get())));
  s.encode(true);
}

}  // namespace ar::io::ffmpeg
