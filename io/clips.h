// Clips: T frames of a video, so many frames apart, as the samples that video networks train on.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/dataset.h"
#include "io/video_index.h"
#include "io/video_reader.h"

namespace ar::io {

/// The frames of a clip: start, start + step, ... A video shorter than that begins anew at its end.
struct ClipShape {
  int64_t frames = 16, step = 1;
  /// From the first frame to the last, both counted.
  int64_t span() const { return (frames - 1) * step + 1; }
};

/// Frame numbers of the clip that starts at `start`, in a video of `length` frames.
std::vector<int64_t> clip_frames(const ClipShape& clip, int64_t start, int64_t length);
/// Starts of `count` clips, evenly from the video's beginning to its end; one alone stands in the middle.
std::vector<int64_t> uniform_starts(const ClipShape& clip, int64_t count, int64_t length);
/// Starts 0, stride, 2 stride, ... and one more clip that ends with the video, so that every frame counts.
std::vector<int64_t> strided_starts(const ClipShape& clip, int64_t stride, int64_t length);

/// Chosen frames of a video, one after another. Only what they depend on is decoded, and nothing twice.
class ChosenFrames {
 public:
  /// Ascending numbers.
  ChosenFrames(const std::string& path, const VideoIndex& index, std::vector<int64_t> frames);
  /// Writes the next one into slot (3,H,W), as VideoReader::next() does: the one after it where it cannot be decoded.
  /// False: there is none after it either, and nothing is written.
  bool next(const Tensor& slot);

 private:
  VideoReader reader_;
  std::vector<int64_t> pts_;  // of the frames
  size_t read_ = 0;
  std::optional<FrameTime> time_;  // of the frame that was decoded last
  bool at_end_ = false;
};

/// Decodes these frames of a video (any order, repeated ones as well) into slot (3, frames.size(), H, W), as
/// VideoReader::next() writes them. Only what they depend on is decoded. A frame that cannot be decoded shows the one
/// after it, or else before it. Throws Error when none can.
void read_frames(const std::string& path, const VideoIndex& index, const std::vector<int64_t>& frames,
                 const Tensor& slot);

struct ClipVideo {
  std::string path;  // of the file
  std::string name;  // for messages and reports
  int64_t label = 0;
  std::shared_ptr<const VideoIndex> index;
};

struct ClipOptions {
  ClipShape clip = {};
  int64_t per_video = 10;             // clips of a video in an epoch
  int64_t stride = 0;                 // > 0, instead: all clips at this stride
  bool random = false;                // training: clips start anywhere, and are cut out anywhere in the picture
  bool mirror = false;                // half of the clips, drawn: left and right exchanged
  double color_jitter = 0;            // > 0: jitter_colours() of this strength, drawn once for all frames of a clip
  int64_t height = 240, width = 320;  // frames are scaled to
  int64_t crop = 224;                 // the square that a network sees
};

/// Clips of videos, decoded straight into the batch: u8 (3,T,height,width) in memory T,H,W,C. window() says which
/// square of it counts, the same in all frames; ops::normalize_frames cuts it out. Without `random` clips are spread
/// evenly over the video and cut out in the middle.
class ClipDataset : public Dataset {
 public:
  /// Throws Error on sizes that make no sense: no frame in a clip, a crop larger than the frame.
  ClipDataset(std::vector<ClipVideo> videos, const ClipOptions& options);
  int64_t size() const override { return int64_t(clips_.size()); }
  Dims sample_shape() const override { return {3, options_.clip.frames, options_.height, options_.width}; }
  int64_t row_align() const override { return 64; }
  int64_t label(int64_t index) const override { return video(index).label; }
  std::string name(int64_t index) const override { return video(index).name; }
  void fill(int64_t index, const SampleKey& key, const Tensor& slot) const override;
  FrameWindow window(int64_t index, const SampleKey& key) const override;

  const ClipOptions& options() const { return options_; }
  const std::vector<ClipVideo>& videos() const { return videos_; }
  /// Which video a clip is of, and where it starts; -1: anywhere, drawn anew each time.
  int64_t video_of(int64_t index) const { return clips_[size_t(index)].video; }
  int64_t start_of(int64_t index) const { return clips_[size_t(index)].start; }

 private:
  struct Clip {
    int64_t video, start;
  };
  const ClipVideo& video(int64_t index) const { return videos_[size_t(video_of(index))]; }
  std::vector<ClipVideo> videos_;
  std::vector<Clip> clips_;
  ClipOptions options_;
};

/// Throws Error on a clip, a scaled size or a crop that makes no sense.
void check_clip_options(const ClipOptions& options);

}  // namespace ar::io
