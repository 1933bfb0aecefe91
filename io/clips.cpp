#include "io/clips.h"

#include <algorithm>
#include <cstring>

#include "io/augment.h"

namespace ar::io {
namespace {

/// Copies a picture of (3,T,H,W) to another place of it.
void repeat(const Tensor& slot, int64_t from, int64_t to) {
  const Tensor a = slot.select(1, from), b = slot.select(1, to);
  for (int64_t y = 0; y < slot.size(2); ++y)
    std::memcpy(b.select(1, y).mutable_data<uint8_t>(), a.select(1, y).data<uint8_t>(), size_t(3 * slot.size(3)));
}

}  // namespace

std::vector<int64_t> clip_frames(const ClipShape& clip, int64_t start, int64_t length) {
  std::vector<int64_t> frames;
  for (int64_t t = 0; t < clip.frames; ++t) frames.push_back((start + t * clip.step) % length);
  return frames;
}

std::vector<int64_t> uniform_starts(const ClipShape& clip, int64_t count, int64_t length) {
  const int64_t last = std::max<int64_t>(length - clip.span(), 0);
  if (count == 1) return {last / 2};
  std::vector<int64_t> starts;
  for (int64_t k = 0; k < count; ++k) starts.push_back((2 * k * last + count - 1) / (2 * (count - 1)));
  return starts;
}

std::vector<int64_t> strided_starts(const ClipShape& clip, int64_t stride, int64_t length) {
  const int64_t last = std::max<int64_t>(length - clip.span(), 0);
  std::vector<int64_t> starts;
  for (int64_t start = 0; start < last; start += stride) starts.push_back(start);
  starts.push_back(last);
  return starts;
}

ChosenFrames::ChosenFrames(const std::string& path, const VideoIndex& index, std::vector<int64_t> frames)
    : reader_(path), pts_(std::move(frames)) {
  reader_.select(index, pts_);
  for (int64_t& frame : pts_) frame = index.pts[size_t(frame)];
}

bool ChosenFrames::next(const Tensor& slot) {
  const int64_t pts = pts_.at(read_++);
  while (!at_end_ && (!time_ || time_->pts < pts)) {
    const auto decoded = reader_.decode();
    at_end_ = !decoded;
    if (decoded) time_ = decoded;
  }
  if (at_end_) return false;
  reader_.write(slot);
  return true;
}

void read_frames(const std::string& path, const VideoIndex& index, const std::vector<int64_t>& frames,
                 const Tensor& slot) {
  std::vector<int64_t> wanted = frames;
  std::sort(wanted.begin(), wanted.end());
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  ChosenFrames chosen(path, index, wanted);
  // Places of the slot, in the order of their frames.
  std::vector<int64_t> order(frames.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = int64_t(i);
  std::stable_sort(order.begin(), order.end(),
                   [&](int64_t a, int64_t b) { return frames[size_t(a)] < frames[size_t(b)]; });
  for (size_t i = 0; i < order.size(); ++i) {
    const int64_t before = i ? order[i - 1] : -1;
    if ((!i || frames[size_t(before)] != frames[size_t(order[i])]) && chosen.next(slot.select(1, order[i]))) continue;
    AR_CHECK(i > 0, path, ": none of the frames ", wanted.front(), " to ", wanted.back(), " can be decoded");
    repeat(slot, before, order[i]);
  }
}

void check_clip_options(const ClipOptions& o) {
  AR_CHECK(o.clip.frames >= 1 && o.clip.step >= 1, "clips: ", o.clip.frames, " frames, ", o.clip.step,
           " apart; both must be at least 1");
  AR_CHECK(o.per_video >= 1 && o.stride >= 0, "clips: ", o.per_video, " of each video, stride ", o.stride,
           "; there must be one at least, and no negative stride");
  AR_CHECK(o.height >= 1 && o.width >= 1 && o.crop >= 1 && o.crop <= std::min(o.height, o.width), "clips: a crop of ",
           o.crop, " x ", o.crop, " does not fit into frames of ", o.height, " x ", o.width);
  AR_CHECK(o.color_jitter >= 0 && o.color_jitter < 1, "clips: colour jitter of strength ", o.color_jitter,
           "; it must be from 0 to below 1");
}

ClipDataset::ClipDataset(std::vector<ClipVideo> videos, const ClipOptions& options)
    : videos_(std::move(videos)), options_(options) {
  check_clip_options(options);
  for (size_t v = 0; v < videos_.size(); ++v) {
    const int64_t length = videos_[v].index->frames();
    AR_CHECK(length > 0, videos_[v].name, ": has no frames");
    std::vector<int64_t> starts(size_t(options.per_video), -1);
    if (options.stride > 0)
      starts = strided_starts(options.clip, options.stride, length);
    else if (!options.random)
      starts = uniform_starts(options.clip, options.per_video, length);
    for (int64_t start : starts) clips_.push_back({int64_t(v), start});
  }
}

void ClipDataset::fill(int64_t index, const SampleKey& key, const Tensor& slot) const {
  const ClipVideo& v = video(index);
  const int64_t length = v.index->frames();
  int64_t start = start_of(index);
  if (start < 0) start = SampleRandom(key).below(std::max<int64_t>(length - options_.clip.span(), 0) + 1);
  read_frames(v.path, *v.index, clip_frames(options_.clip, start, length), slot);
  if (options_.color_jitter <= 0) return;
  // A clip's frames follow one another in memory: as one tall picture they share factors and mean grey.
  SampleRandom random(key, RandomStream::colour);
  jitter_colours({.data = slot.mutable_data<uint8_t>(),
                  .width = int(options_.width),
                  .height = int(options_.clip.frames * options_.height),
                  .stride = ptrdiff_t(slot.stride(2))},
                 options_.color_jitter, random);
}

FrameWindow ClipDataset::window(int64_t, const SampleKey& key) const {
  const int64_t top = options_.height - options_.crop, left = options_.width - options_.crop;
  SampleRandom random(key);
  random.next64();  // the start's
  FrameWindow window{.top = top / 2, .left = left / 2};
  if (options_.random) window = {.top = random.below(top + 1), .left = random.below(left + 1)};
  window.flip = options_.mirror && random.chance(0.5);
  return window;
}

}  // namespace ar::io
