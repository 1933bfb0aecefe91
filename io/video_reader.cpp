#include "io/video_reader.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "io/ffmpeg/input.h"
#include "io/ffmpeg/scaler.h"

namespace ar::io {

using namespace ffmpeg;

namespace {

constexpr int64_t kJumpOver = 12;  // frames: a shorter gap is decoded through, a seek would cost as much
constexpr int kMaxErrorsInARow = 1000;
constexpr double kShort = 0.5;  // seconds without a frame that are no sign of damage yet

int64_t duration_of(const AVFrame& f) {
#if LIBAVUTIL_VERSION_MAJOR >= 58
  return f.duration;
#else
  return f.pkt_duration;
#endif
}

int64_t round_up(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

Tensor padded(Dims shape) {
  const int last = shape.size() - 1;
  const int64_t width = shape[last];
  shape[last] = round_up(width, 16);
  return empty(shape, {.dtype = Dtype::u8, .row_align = 64}).narrow(last, 0, width);
}

/// Is this H.264 key frame a recovery point within a sequence, rather than an instantaneous refresh (NAL type 5; ITU-T
/// H.264, 7.4.1)?
bool starts_open_group(const AVCodecParameters& p, const AVPacket& packet) {
  if (p.codec_id != AV_CODEC_ID_H264) return false;
  const uint8_t *at = packet.data, *end = packet.data + packet.size;
  if (p.extradata_size > 6 && p.extradata[0] == 1) {  // each unit behind its length
    const int length_bytes = (p.extradata[4] & 3) + 1;
    while (end - at > length_bytes) {
      int64_t length = 0;
      for (int i = 0; i < length_bytes; ++i) length = length << 8 | *at++;
      if ((*at & 31) == 5) return false;
      if (length >= end - at) break;
      at += length;
    }
  } else {  // start codes 0 0 1
    for (; end - at > 3; ++at)
      if (at[0] == 0 && at[1] == 0 && at[2] == 1 && (at[3] & 31) == 5) return false;
  }
  return true;
}

}  // namespace

int64_t frame_row_bytes(int64_t width) { return round_up(3 * round_up(width, 16), 64); }

Tensor frame_batch(int64_t n, int64_t height, int64_t width) { return padded({n, 3, height, width}); }

Tensor clip_batch(int64_t batch, int64_t frames, int64_t height, int64_t width) {
  return padded({batch, 3, frames, height, width});
}

struct VideoReader::State {
  State(const VideoOptions& options, std::unique_ptr<Input> opened)
      : input(std::move(opened)),
        options(options),
        decoder(open_decoder(*input, input->stream(), options.threads)),
        scaler(input->path(), input->facts().orientation, options.fit == Fit::cover) {
    const double rate = facts().frame_rate.value();
    usual_duration = rate > 0 ? std::max<int64_t>(1, std::llround(1 / rate / facts().time_base.value())) : 1;
    constant_rate = rate > 0 && std::abs(facts().nominal_frame_rate.value() / rate - 1) < 1e-3;
  }

  const VideoFacts& facts() const { return input->facts(); }

  std::unique_ptr<Input> input;
  VideoOptions options;
  CodecContext decoder;
  FrameScaler scaler;
  Packet packet = new_packet();
  Frame frame = new_frame();
  VideoStats stats;
  FrameTime time;              // of `frame`
  int64_t usual_duration = 1;  // of a frame
  bool constant_rate = false;
  int64_t last_pts = AV_NOPTS_VALUE, last_end = 0;
  int64_t last_skipped = INT64_MIN;        // frames up to this timestamp may have been left out
  bool all_timed = true;                   // every packet so far said when it is shown
  bool from_seek = false;                  // the decoder did not start at the beginning
  bool at_start = true;                    // the next packet is the first since then
  bool open_start = false;                 // and that first one began an open group of pictures
  bool draining = false, pending = false;  // pending: `frame` holds one that was decoded ahead, by seek
  bool selecting = false;
  int64_t first_wanted = AV_NOPTS_VALUE;  // frames before are dropped: the target of a seek
  VideoIndex index;
  std::vector<int64_t> wanted;  // timestamps
  size_t next_wanted = 0;

  bool is_wanted(int64_t pts) const {
    if (first_wanted != AV_NOPTS_VALUE && pts < first_wanted) return false;
    return !selecting || std::binary_search(wanted.begin(), wanted.end(), pts);
  }

  /// Gives the decoder one packet, or tells it that there are no more.
  void feed() {
    if (!input->read(packet.get())) {
      // libav's H.264 decoder loses some of a file's last frames when it started at an open group of pictures. They are
      // had by decoding from the file's start.
      if (from_seek && open_start) {
        first_wanted = std::max(first_wanted, last_pts == AV_NOPTS_VALUE ? first_wanted : last_pts + 1);
        return restart_file();
      }
      draining = true;
      avcodec_send_packet(decoder.get(), nullptr);
      return;
    }
    // A frame that no other frame refers to need not be decoded to be dropped. Where timestamps are missing, those of
    // other frames are guessed from it.
    all_timed = all_timed && packet->pts != AV_NOPTS_VALUE;
    const bool needed = !all_timed || is_wanted(packet->pts);
    if (!needed) last_skipped = std::max(last_skipped, packet->pts);
    decoder->skip_frame = needed ? AVDISCARD_DEFAULT : AVDISCARD_NONREF;
    if (std::exchange(at_start, false)) open_start = starts_open_group(*input->stream()->codecpar, *packet);
    const bool corrupt = packet->flags & AV_PKT_FLAG_CORRUPT;
    const int code = avcodec_send_packet(decoder.get(), packet.get());
    av_packet_unref(packet.get());
    if (code == AVERROR(ENOMEM)) throw std::bad_alloc();
    if (corrupt || (code < 0 && code != AVERROR_EOF)) ++stats.bad_packets;
  }

  /// Into `frame` and `time`, whatever comes next.
  bool decode_any() {
    for (int errors = 0; errors < kMaxErrorsInARow;) {
      const int code = avcodec_receive_frame(decoder.get(), frame.get());
      if (code == 0) {
        set_time();
        return true;
      }
      if (code == AVERROR_EOF) break;
      if (code == AVERROR(ENOMEM)) throw std::bad_alloc();
      if (code != AVERROR(EAGAIN)) {
        ++stats.bad_packets;
        ++errors;
      } else if (draining) {
        break;
      } else {
        feed();
      }
    }
    if (!stats.at_end) {
      stats.at_end = true;
      const double end = facts().seconds(last_end);
      if (facts().duration && last_pts != AV_NOPTS_VALUE && *facts().duration - end > kShort)
        stats.missing_seconds += *facts().duration - end;
    }
    return false;
  }

  void set_time() {
    ++stats.frames;
    stats.concealed += frame->decode_error_flags != 0 || (frame->flags & AV_FRAME_FLAG_CORRUPT);
    time.duration = duration_of(*frame) > 0 ? duration_of(*frame) : usual_duration;
    time.pts = frame->best_effort_timestamp;
    if (time.pts == AV_NOPTS_VALUE) time.pts = last_pts == AV_NOPTS_VALUE ? facts().start_pts : last_end;
    // Out of order by a little: damaged, or badly written; by much: two videos one behind the other.
    if (last_pts != AV_NOPTS_VALUE && time.pts <= last_pts)
      time.pts = double(last_pts - time.pts) * facts().time_base.value() > 1 ? last_end : last_pts + 1;
    const bool all_come = !selecting && (first_wanted == AV_NOPTS_VALUE || last_pts >= first_wanted);
    const double gap = double(time.pts - last_end) * facts().time_base.value();
    if (constant_rate && all_come && last_pts != AV_NOPTS_VALUE && gap > kShort) stats.missing_seconds += gap;
    time.seconds = facts().seconds(time.pts);
    last_pts = time.pts;
    last_end = time.pts + time.duration;
  }

  void restart_decoder() {
    avcodec_flush_buffers(decoder.get());
    draining = pending = stats.at_end = false;
    last_pts = AV_NOPTS_VALUE;
    last_skipped = INT64_MIN;
    at_start = true;
  }

  void restart_file() {
    input->rewind();
    decoder = open_decoder(*input, input->stream(), options.threads);
    restart_decoder();
    from_seek = false;
  }

  /// The decoder stands before the first frame at or after pts, and before no other.
  void seek(int64_t pts) {
    first_wanted = pts;
    const auto one_second = std::max<int64_t>(1, std::llround(1 / facts().time_base.value()));
    for (int64_t back = 0; input->seeks_exactly() && pts - back > facts().start_pts; back = 4 * back + one_second) {
      if (!input->seek(pts - back)) break;
      restart_decoder();
      from_seek = true;
      // Containers may land behind the frame (leading frames of an open group, rough indexes): then from further back.
      if (decode_any() && time.pts <= pts) {
        pending = true;
        return;
      }
    }
    restart_file();
  }

  /// Jumps to the next wanted frame where that is cheaper than decoding what lies before it.
  void jump() {
    const int64_t pts = wanted[next_wanted];
    const auto number = [this](int64_t t) {
      return std::lower_bound(index.pts.begin(), index.pts.end(), t) - index.pts.begin();
    };
    const int64_t target = number(pts), key = index.key_frame_before(target);
    const int64_t here = last_pts == AV_NOPTS_VALUE ? 0 : number(last_pts);
    if (pts <= std::max(last_pts, last_skipped) || key > here + kJumpOver) seek(pts);
    first_wanted = pts;
  }

  bool decode() {
    if (selecting) {
      if (next_wanted == wanted.size()) return false;
      jump();
    }
    for (;;) {
      if (!std::exchange(pending, false) && !decode_any()) return false;
      if (first_wanted == AV_NOPTS_VALUE || time.pts >= first_wanted) break;
    }
    while (selecting && next_wanted < wanted.size() && wanted[next_wanted] <= time.pts) ++next_wanted;
    return true;
  }
};

VideoReader::VideoReader(const std::string& path, const VideoOptions& options)
    : state_(std::make_unique<State>(options, std::make_unique<Input>(path))) {}

VideoReader::VideoReader(std::span<const std::byte> bytes, const std::string& name, const VideoOptions& options)
    : state_(std::make_unique<State>(options, std::make_unique<Input>(bytes, name))) {}

VideoReader::~VideoReader() = default;
VideoReader::VideoReader(VideoReader&&) noexcept = default;
VideoReader& VideoReader::operator=(VideoReader&&) noexcept = default;

const VideoFacts& VideoReader::facts() const { return state_->facts(); }
const std::string& VideoReader::path() const { return state_->input->path(); }

VideoStats VideoReader::stats() const {
  VideoStats stats = state_->stats;
  stats.read_errors = state_->input->read_errors();
  return stats;
}

std::optional<FrameTime> VideoReader::decode() {
  if (!state_->decode()) return std::nullopt;
  return state_->time;
}

void VideoReader::write(const Tensor& slot) {
  AR_CHECK(state_->frame->width > 0, path(), ": no frame was decoded yet");
  state_->scaler.write(*state_->frame, slot);
}

std::optional<FrameTime> VideoReader::next(const Tensor& slot) {
  const auto time = decode();
  if (time) write(slot);
  return time;
}

std::optional<FrameTime> VideoReader::next(Tensor* frame) {
  const auto time = decode();
  if (time) {
    *frame = frame_batch(1, facts().height, facts().width)[0];
    write(*frame);
  }
  return time;
}

void VideoReader::seek(double seconds) {
  AR_CHECK(std::isfinite(seconds), path(), ": cannot seek to ", seconds, " s");
  // A thousandth of a unit early: so that the time of a frame, computed in floating point, finds that frame.
  const double units = std::clamp(seconds / facts().time_base.value(), -1e17, 1e17);
  seek_pts(facts().start_pts + int64_t(std::ceil(units - 1e-3)));
}

void VideoReader::seek_pts(int64_t pts) {
  state_->selecting = false;
  state_->seek(pts);
}

void VideoReader::select(const VideoIndex& index, std::vector<int64_t> frames) {
  State& s = *state_;
  AR_CHECK(std::is_sorted(frames.begin(), frames.end(), std::less_equal<>()) || frames.size() < 2, path(),
           ": the frames to select must be ascending, each once");
  s.wanted.clear();
  for (const int64_t i : frames) {
    AR_CHECK(i >= 0 && i < index.frames(), path(), ": has no frame ", i, ", only ", index.frames());
    s.wanted.push_back(index.pts[size_t(i)]);
  }
  s.index = index;
  s.next_wanted = 0;
  s.selecting = true;
  s.first_wanted = AV_NOPTS_VALUE;
}

}  // namespace ar::io
