// The pictures of a video stream as libav has them, timed, in the order shown, from any place.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "io/ffmpeg/input.h"
#include "io/video_index.h"
#include "io/video_reader.h"

namespace ar::io::ffmpeg {

/// What VideoReader does, but for the scaling; see there.
class FrameDecoder {
 public:
  FrameDecoder(std::unique_ptr<Input> input, int threads);

  const VideoFacts& facts() const { return input_->facts(); }
  const std::string& path() const { return input_->path(); }
  const Input& input() const { return *input_; }
  VideoStats stats() const;

  /// The next frame, into frame() and time(). False at the end.
  bool decode();
  AVFrame& frame() const { return *frame_; }
  const FrameTime& time() const { return time_; }
  /// Is frame(), decoded with nothing before it, what was encoded? Containers call frames key frames that are none.
  bool can_be_first() const;
  void seek(double seconds);
  void seek_pts(int64_t pts);
  /// Of a decoder at the file's start: as seek(), but by decoding all that lies before. Times are those of a decoder
  /// that never sought, also where timestamps go back.
  void skip_to(double seconds);
  void select(const VideoIndex& index, const std::vector<int64_t>& frames);

 private:
  bool is_wanted(int64_t pts) const;
  void feed();
  bool decode_any();
  void set_time();
  void restart_decoder();
  void restart_file();
  void seek_exactly(int64_t pts);
  void jump();

  std::unique_ptr<Input> input_;
  int threads_;
  CodecContext decoder_;
  Packet packet_ = new_packet();
  Frame frame_ = new_frame();
  VideoStats stats_;
  FrameTime time_;              // of frame_
  int64_t usual_duration_ = 1;  // of a frame
  bool constant_rate_ = false;
  int64_t last_pts_ = AV_NOPTS_VALUE, last_end_ = 0;
  int64_t last_skipped_ = INT64_MIN;         // frames up to this timestamp may have been left out
  bool all_timed_ = true;                    // every packet so far said when it is shown
  bool decode_all_ = false;                  // also what nobody will see
  bool from_seek_ = false;                   // the decoder did not start at the beginning
  bool at_start_ = true;                     // the next packet is the first since then
  bool open_start_ = false;                  // and that first one began an open group of pictures
  bool draining_ = false, pending_ = false;  // pending: frame_ holds one that was decoded ahead, by a seek
  bool selecting_ = false;
  int64_t first_wanted_ = AV_NOPTS_VALUE;  // frames before are dropped: the target of a seek
  VideoIndex index_;
  std::vector<int64_t> wanted_;  // timestamps
  size_t next_wanted_ = 0;
};

}  // namespace ar::io::ffmpeg
