#include "io/ffmpeg/frame_decoder.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "tensor/error.h"

namespace ar::io::ffmpeg {
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

/// Does the decoder make up references that it lacks, and say nothing? H.264's shows no frame before it can.
bool invents_references(const AVCodecContext& decoder) { return decoder.codec_id != AV_CODEC_ID_H264; }

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

FrameDecoder::FrameDecoder(std::unique_ptr<Input> input, int threads)
    : input_(std::move(input)), threads_(threads), decoder_(open_decoder(*input_, input_->stream(), threads)) {
  const double rate = facts().frame_rate.value();
  usual_duration_ = rate > 0 ? std::max<int64_t>(1, std::llround(1 / rate / facts().time_base.value())) : 1;
  constant_rate_ = rate > 0 && std::abs(facts().nominal_frame_rate.value() / rate - 1) < 1e-3;
}

bool FrameDecoder::can_be_first() const {
#ifdef AV_FRAME_FLAG_KEY
  const bool key = frame_->flags & AV_FRAME_FLAG_KEY;
#else
  const bool key = frame_->key_frame;
#endif
  return key || !invents_references(*decoder_);
}

VideoStats FrameDecoder::stats() const {
  VideoStats stats = stats_;
  stats.read_errors = input_->read_errors();
  return stats;
}

bool FrameDecoder::is_wanted(int64_t pts) const {
  if (first_wanted_ != AV_NOPTS_VALUE && pts < first_wanted_) return false;
  return !selecting_ || std::binary_search(wanted_.begin(), wanted_.end(), pts);
}

/// Gives the decoder one packet, or tells it that there are no more.
void FrameDecoder::feed() {
  if (!input_->read(packet_.get())) {
    // libav's H.264 decoder loses some of a file's last frames when it started at an open group of pictures. They are
    // had by decoding from the file's start.
    if (from_seek_ && open_start_) {
      first_wanted_ = std::max(first_wanted_, last_pts_ == AV_NOPTS_VALUE ? first_wanted_ : last_pts_ + 1);
      return restart_file();
    }
    draining_ = true;
    avcodec_send_packet(decoder_.get(), nullptr);
    return;
  }
  // A seek by position or with a rough index may end between key frames.
  if (at_start_ && from_seek_ && invents_references(*decoder_) && !(packet_->flags & AV_PKT_FLAG_KEY))
    return av_packet_unref(packet_.get());
  // A frame that no other frame refers to need not be decoded to be dropped. Where timestamps are missing, those of
  // other frames are guessed from it.
  all_timed_ = all_timed_ && packet_->pts != AV_NOPTS_VALUE;
  const bool needed = decode_all_ || !all_timed_ || is_wanted(packet_->pts);
  if (!needed) last_skipped_ = std::max(last_skipped_, packet_->pts);
  decoder_->skip_frame = needed ? AVDISCARD_DEFAULT : AVDISCARD_NONREF;
  if (std::exchange(at_start_, false)) open_start_ = starts_open_group(*input_->stream()->codecpar, *packet_);
  const bool corrupt = packet_->flags & AV_PKT_FLAG_CORRUPT;
  const int code = avcodec_send_packet(decoder_.get(), packet_.get());
  av_packet_unref(packet_.get());
  if (code == AVERROR(ENOMEM)) throw std::bad_alloc();
  if (corrupt || (code < 0 && code != AVERROR_EOF)) ++stats_.bad_packets;
}

/// Into frame and time, whatever comes next.
bool FrameDecoder::decode_any() {
  for (int errors = 0; errors < kMaxErrorsInARow;) {
    const int code = avcodec_receive_frame(decoder_.get(), frame_.get());
    if (code == 0) {
      set_time();
      return true;
    }
    if (code == AVERROR_EOF) break;
    if (code == AVERROR(ENOMEM)) throw std::bad_alloc();
    if (code != AVERROR(EAGAIN)) {
      ++stats_.bad_packets;
      ++errors;
    } else if (draining_) {
      break;
    } else {
      feed();
    }
  }
  if (!stats_.at_end) {
    stats_.at_end = true;
    const double end = facts().seconds(last_end_);
    if (facts().duration && facts().duration_of_pictures && last_pts_ != AV_NOPTS_VALUE &&
        *facts().duration - end > kShort)
      stats_.missing_seconds += *facts().duration - end;
  }
  return false;
}

void FrameDecoder::set_time() {
  ++stats_.frames;
  stats_.concealed += frame_->decode_error_flags != 0 || (frame_->flags & AV_FRAME_FLAG_CORRUPT);
  time_.duration = duration_of(*frame_) > 0 ? duration_of(*frame_) : usual_duration_;
  time_.pts = frame_->best_effort_timestamp;
  if (time_.pts == AV_NOPTS_VALUE) time_.pts = last_pts_ == AV_NOPTS_VALUE ? facts().start_pts : last_end_;
  // Out of order by a little: damaged, or badly written; by much: two videos one behind the other.
  if (last_pts_ != AV_NOPTS_VALUE && time_.pts <= last_pts_) {
    stats_.times_corrected = true;
    time_.pts = double(last_pts_ - time_.pts) * facts().time_base.value() > 1 ? last_end_ : last_pts_ + 1;
  }
  const bool all_come = !selecting_ && (first_wanted_ == AV_NOPTS_VALUE || last_pts_ >= first_wanted_);
  const double gap = double(time_.pts - last_end_) * facts().time_base.value();
  if (constant_rate_ && all_come && last_pts_ != AV_NOPTS_VALUE && gap > kShort) stats_.missing_seconds += gap;
  time_.seconds = facts().seconds(time_.pts);
  last_pts_ = time_.pts;
  last_end_ = time_.pts + time_.duration;
  stats_.end_seconds = facts().seconds(last_end_);
}

void FrameDecoder::restart_decoder() {
  avcodec_flush_buffers(decoder_.get());
  draining_ = pending_ = stats_.at_end = false;
  last_pts_ = AV_NOPTS_VALUE;
  last_skipped_ = INT64_MIN;
  at_start_ = true;
}

void FrameDecoder::restart_file() {
  input_->rewind();
  decoder_ = open_decoder(*input_, input_->stream(), threads_);
  restart_decoder();
  from_seek_ = false;
}

/// The decoder stands before the first frame at or after pts, and before no other.
void FrameDecoder::seek_exactly(int64_t pts) {
  first_wanted_ = pts;
  const auto one_second = std::max<int64_t>(1, std::llround(1 / facts().time_base.value()));
  for (int64_t back = 0; input_->seeks_exactly() && pts - back > facts().start_pts; back = 4 * back + one_second) {
    if (!input_->seek(pts - back)) break;
    restart_decoder();
    from_seek_ = true;
    // Containers may land behind the frame (leading frames of an open group, rough indexes), or at what is called a key
    // frame and is none: then from the next one, or from further back.
    while (decode_any() && time_.pts <= pts) {
      pending_ = can_be_first();
      if (pending_) return;
    }
  }
  restart_file();
}

/// Jumps to the next wanted frame where that is cheaper than decoding what lies before it.
void FrameDecoder::jump() {
  const int64_t pts = wanted_[next_wanted_];
  const auto number = [this](int64_t t) {
    return std::lower_bound(index_.pts.begin(), index_.pts.end(), t) - index_.pts.begin();
  };
  const int64_t target = number(pts), key = index_.key_frame_before(target);
  const int64_t here = last_pts_ == AV_NOPTS_VALUE ? 0 : number(last_pts_);
  if (pts <= std::max(last_pts_, last_skipped_) || key > here + kJumpOver) seek_exactly(pts);
  first_wanted_ = pts;
}

bool FrameDecoder::decode() {
  if (selecting_) {
    if (next_wanted_ == wanted_.size()) return false;
    jump();
  }
  for (;;) {
    if (!std::exchange(pending_, false) && !decode_any()) return false;
    if (first_wanted_ == AV_NOPTS_VALUE || time_.pts >= first_wanted_) break;
  }
  while (selecting_ && next_wanted_ < wanted_.size() && wanted_[next_wanted_] <= time_.pts) ++next_wanted_;
  return true;
}

void FrameDecoder::seek(double seconds) {
  AR_CHECK(std::isfinite(seconds), path(), ": cannot seek to ", seconds, " s");
  seek_pts(facts().pts_at(seconds));
}

void FrameDecoder::seek_pts(int64_t pts) {
  selecting_ = false;
  seek_exactly(pts);
}

void FrameDecoder::skip_to(double seconds) {
  first_wanted_ = facts().pts_at(seconds);
  decode_all_ = true;
}

void FrameDecoder::select(const VideoIndex& index, const std::vector<int64_t>& frames) {
  AR_CHECK(std::adjacent_find(frames.begin(), frames.end(), std::greater_equal<>()) == frames.end(), path(),
           ": the frames to select must be ascending, each once");
  wanted_.clear();
  for (const int64_t i : frames) {
    AR_CHECK(i >= 0 && i < index.frames(), path(), ": has no frame ", i, ", only ", index.frames());
    wanted_.push_back(index.pts[size_t(i)]);
  }
  index_ = index;
  next_wanted_ = 0;
  selecting_ = true;
  first_wanted_ = AV_NOPTS_VALUE;
}

}  // namespace ar::io::ffmpeg
