#include "apps/video/frame_features.h"

#include <algorithm>
#include <cstring>
#include <future>
#include <map>
#include <numeric>
#include <optional>
#include <utility>

#include "apps/common/stop_signal.h"
#include "apps/model/machine.h"
#include "apps/report/progress.h"
#include "autograd/autograd.h"
#include "io/cache_file.h"
#include "io/checkpoint_file.h"
#include "io/sha256.h"
#include "io/video_reader.h"
#include "tensor/ops_shape.h"

namespace ar::apps {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSlice = 256;  // frames decoded in one piece
constexpr int64_t kBatch = 32;   // frames computed together

std::string sha256_of(const std::string& text) {
  return io::sha256_hex({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

/// Of the extractor's weights and all else that a feature depends on.
std::string key_of(VideoModel& model, const VideoModelInfo& info) {
  std::string text = model.feature_layer();
  if (activation_dtype() != Dtype::f32) text += std::string(" ") + ar::name_of(activation_dtype());
  const auto add = [&](const auto& value) { text += " " + std::to_string(value); };
  for (int64_t n : {info.height, info.width, info.crop}) add(n);
  for (int c = 0; c < 3; ++c) add(info.pixels.mean[size_t(c)]), add(info.pixels.std[size_t(c)]);
  for (const auto& [name, tensor] : model.extractor().state_dict()) {
    const std::vector<float> values = tensor.to_vector<float>();
    text += name + io::sha256_hex({reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(float)});
  }
  return sha256_of(text).substr(0, 16);
}

std::string name_of(const FrameWindow& view) {
  return std::to_string(view.top) + "_" + std::to_string(view.left) + (view.flip ? "_mirrored" : "");
}

/// Positions of `wanted` in `all`, both ascending; empty where one is missing.
std::vector<int64_t> positions(const std::vector<int64_t>& wanted, const std::vector<int64_t>& all) {
  std::vector<int64_t> result;
  for (int64_t frame : wanted) {
    const auto at = std::lower_bound(all.begin(), all.end(), frame);
    if (at == all.end() || *at != frame) return {};
    result.push_back(at - all.begin());
  }
  return result;
}

/// What a file keeps of one view: features (N,F) of N frames, ascending.
struct KeptView {
  std::vector<int64_t> frames;
  Tensor features;
};

/// A file's entries; none where it is not there or damaged.
io::Value load_file(const fs::path& file) try {
  std::error_code error;
  return fs::exists(file, error) ? io::load_checkpoint_file(file.string()) : io::Value();
} catch (const Error&) {
  return {};
}

/// No frames where there is no such entry, or it is damaged.
KeptView kept_view(const io::Value& saved, const std::string& name, int64_t width) try {
  const auto entry = saved.find(name);
  if (!entry) return {};
  KeptView kept{entry->at("frames").tensor().to_vector<int64_t>(), entry->at("features").tensor()};
  AR_CHECK(kept.features.shape() == Dims({int64_t(kept.frames.size()), width}), "not its shape");
  return kept;
} catch (const Error&) {
  return {};
}

/// An entry of what was kept and what is new.
io::Value merged(const KeptView& kept, const std::vector<int64_t>& frames, const Tensor& features) {
  std::map<int64_t, Tensor> rows;
  for (size_t i = 0; i < kept.frames.size(); ++i) rows[kept.frames[i]] = kept.features[int64_t(i)];
  for (size_t i = 0; i < frames.size(); ++i) rows[frames[i]] = features[int64_t(i)];
  std::vector<int64_t> numbers;
  std::vector<Tensor> all;
  for (const auto& [frame, row] : rows) {
    numbers.push_back(frame);
    all.push_back(row.unsqueeze(0));
  }
  io::Value entry;
  entry["frames"] = from_vector(numbers, {int64_t(numbers.size())});
  entry["features"] = ops::cat(all, 0);
  return entry;
}

/// A part of a job: what is decoded in one piece.
struct Slice {
  size_t job = 0;
  int64_t first = 0, count = 0;
};

struct Decoded {
  Tensor frames;  // (1,3,N,H,W)
  std::string reason;
};

/// A job's frames, for its slices one after another. One reader for all: where a container cannot seek exactly, each
/// slice would decode the video from its start.
struct JobReader {
  const FrameJob& job;
  io::ChosenFrames frames;

  explicit JobReader(const FrameJob& job) : job(job), frames(job.video->path, *job.video->index, job.frames) {}
  /// Into slot (3, count, H, W), as io::read_frames() does.
  void read(const Slice& slice, const Tensor& slot) {
    for (int64_t i = 0; i < slice.count; ++i) {
      if (frames.next(slot.select(1, i))) continue;
      AR_CHECK(i > 0, job.video->path, ": none of the frames from ", job.frames[size_t(slice.first)],
               " on can be decoded");
      slot.select(1, i).copy_from(slot.select(1, i - 1));
    }
  }
};

/// `reader`: of the slice before, in the order of the slices.
Decoded decode(const FrameJob& job, const Slice& slice, int64_t height, int64_t width,
               std::optional<JobReader>& reader) {
  Decoded decoded{.frames = io::clip_batch(1, slice.count, height, width), .reason = {}};
  try {
    if (!reader || &reader->job != &job) reader.emplace(job);
    reader->read(slice, decoded.frames[0]);
  } catch (const Error& e) {
    decoded.reason = e.what();
  }
  return decoded;
}

}  // namespace

std::vector<FrameWindow> frame_views(int count, int64_t height, int64_t width, int64_t crop, bool mirror) {
  AR_CHECK(count == 1 || count == 2 || count == 10, "views: there are 1, 2 or 10 of a frame, not ", count);
  const int64_t bottom = height - crop, right = width - crop;
  std::vector<FrameWindow> views{{.top = bottom / 2, .left = right / 2}};
  if (count == 10)
    for (int64_t top : {int64_t{0}, bottom})
      for (int64_t left : {int64_t{0}, right}) views.push_back({.top = top, .left = left});
  const size_t plain = views.size();
  for (size_t i = 0; mirror && count > 1 && i < plain; ++i)
    views.push_back({.top = views[i].top, .left = views[i].left, .flip = true});
  return views;
}

fs::path feature_cache_folder() {
  const fs::path root = io::cache_root();
  return root.empty() ? root : root / "features";
}

FrameFeatures::FrameFeatures(VideoModel& model, const VideoModelInfo& info, const fs::path& folder)
    : model_(model), info_(info) {
  if (!folder.empty()) folder_ = folder / key_of(model, info);
}

Tensor FrameFeatures::extract(const Tensor& frames, const FrameWindow& view) const {
  const NoGrad no_grad;
  std::vector<Tensor> parts;
  for (int64_t first = 0; first < frames.size(2); first += kBatch) {
    const Tensor part = frames.narrow(2, first, std::min(kBatch, frames.size(2) - first));
    parts.push_back(model_
                        .features(network_input(part, info_.pixels,
                                                {.height = info_.crop, .width = info_.crop, .windows = {&view, 1}}))
                        .value());
  }
  return ops::cat(parts, 1).to(Device{});
}

fs::path FrameFeatures::file_of(const io::ClipVideo& video) const {
  std::error_code error;
  const io::FileState state = io::file_state(video.path);
  const std::string key =
      fs::canonical(video.path, error).string() + " " + std::to_string(state.size) + " " + std::to_string(state.time);
  return folder_ / (sha256_of(key).substr(0, 24) + ".safetensors");
}

Tensor FrameFeatures::load(const FrameJob& job, const std::vector<FrameWindow>& views) const try {
  if (folder_.empty()) return {};
  const io::Value saved = load_file(file_of(*job.video));
  std::vector<Tensor> parts;
  for (const FrameWindow& view : views) {
    const KeptView kept = kept_view(saved, name_of(view), model_.feature_size());
    const std::vector<int64_t> at = positions(job.frames, kept.frames);
    if (at.size() != job.frames.size()) return {};
    const Tensor part = empty({int64_t(at.size()), model_.feature_size()});
    for (size_t i = 0; i < at.size(); ++i) part[int64_t(i)].copy_from(kept.features[at[i]]);
    parts.push_back(part.unsqueeze(0));
  }
  return ops::cat(parts, 0);
} catch (const Error&) {
  return {};  // damaged: it is computed again and written over
}

void FrameFeatures::save(const FrameJob& job, const std::vector<FrameWindow>& views, const Tensor& features) try {
  if (folder_.empty()) return;
  const fs::path file = file_of(*job.video);
  io::Value value = load_file(file);  // other views and frames, of an earlier run, stay
  for (size_t v = 0; v < views.size(); ++v) {
    const std::string name = name_of(views[v]);
    value[name] = merged(kept_view(value, name, model_.feature_size()), job.frames, features[int64_t(v)]);
  }
  io::save_checkpoint_file(file.string(), value);
} catch (const Error& e) {
  if (!std::exchange(save_failed_, true))
    log_line(std::string("note: ") + e.what() + "; features that cannot be written are computed again the next time");
}

bool FrameFeatures::compute(const std::vector<FrameJob>& jobs, const std::vector<FrameWindow>& views,
                            const std::function<void(size_t, const Tensor&, const std::string&)>& ready,
                            const std::atomic<bool>* stop) {
  model_.module().eval();
  const auto stopped = [&] { return stop && stop->load(std::memory_order_relaxed); };
  std::vector<Slice> slices;
  for (size_t j = 0; j < jobs.size(); ++j) {
    if (stopped()) return false;
    const Tensor known = load(jobs[j], views);
    if (known.defined()) {
      reused_ += known.size(0) * known.size(1);
      ready(j, known, {});
      continue;
    }
    for (int64_t first = 0; first < int64_t(jobs[j].frames.size()); first += kSlice)
      slices.push_back({j, first, std::min(kSlice, int64_t(jobs[j].frames.size()) - first)});
  }
  std::optional<JobReader> reader;  // of the task in `next`, of which there is one at a time
  std::future<Decoded> next;
  const auto begin = [&](size_t s) {
    if (s < slices.size())
      next = std::async(std::launch::async,
                        [&, s] { return decode(jobs[slices[s].job], slices[s], info_.height, info_.width, reader); });
  };
  begin(0);
  std::vector<std::vector<Tensor>> parts(views.size());  // of the job at hand
  std::string reason;
  for (size_t s = 0; s < slices.size(); ++s) {
    const Decoded decoded = next.get();
    if (stopped()) return false;
    begin(s + 1);
    if (!decoded.reason.empty()) reason = decoded.reason;
    for (size_t v = 0; v < views.size() && reason.empty(); ++v) {
      parts[v].push_back(extract(decoded.frames, views[v]));
      computed_ += slices[s].count;
    }
    if (s + 1 < slices.size() && slices[s + 1].job == slices[s].job) continue;
    Tensor features;
    if (reason.empty()) {
      std::vector<Tensor> all;
      for (const auto& of_view : parts) all.push_back(ops::cat(of_view, 1));
      features = ops::cat(all, 0);
      save(jobs[slices[s].job], views, features);
    }
    ready(slices[s].job, features, reason);
    parts.assign(views.size(), {});
    reason.clear();
  }
  return true;
}

FeatureClips::FeatureClips(FrameFeatures& features, std::vector<io::ClipVideo> videos, io::ClipOptions options,
                           const std::vector<FrameWindow>& views, const std::string& label,
                           const std::atomic<bool>* stop) {
  options.random = false;
  const io::ClipDataset all(videos, options);
  std::vector<FrameJob> jobs(videos.size());
  for (size_t v = 0; v < videos.size(); ++v) jobs[v].video = &videos[v];
  for (int64_t i = 0; i < all.size(); ++i) {
    FrameJob& job = jobs[size_t(all.video_of(i))];
    for (int64_t f : io::clip_frames(options.clip, all.start_of(i), job.video->index->frames()))
      job.frames.push_back(f);
  }
  for (FrameJob& job : jobs) {
    std::sort(job.frames.begin(), job.frames.end());
    job.frames.erase(std::unique(job.frames.begin(), job.frames.end()), job.frames.end());
  }
  std::vector<Tensor> found(videos.size());
  Progress progress({.label = label, .total = int64_t(videos.size()), .unit = "videos"});
  const int64_t before = features.computed();
  const bool done = features.compute(
      jobs, views,
      [&](size_t job, const Tensor& values, const std::string& reason) {
        found[job] = values;
        if (!values.defined()) log_line("note: " + reason + "; left out");
        progress.advance();
      },
      stop);
  if (!done) throw Stopped("stopped while computing features; those of complete videos are kept");
  std::vector<io::ClipVideo> readable;
  for (size_t v = 0; v < videos.size(); ++v) {
    if (!found[v].defined()) continue;
    readable.push_back(videos[v]);
    size_of_feature_ = found[v].size(2);
    videos_.push_back({std::move(jobs[v].frames), std::move(found[v])});
  }
  progress.finish(label + ": " + std::to_string(readable.size()) + " videos, " +
                  std::to_string(features.computed() - before) + " frames computed");
  AR_CHECK(!readable.empty(), label, ": no video can be read");
  clips_ = std::make_shared<io::ClipDataset>(std::move(readable), options);
}

Dims FeatureClips::sample_shape() const {
  return {3, clips_->options().clip.frames, 1, (size_of_feature_ * int64_t(sizeof(float)) + 2) / 3};
}

void FeatureClips::fill(int64_t index, const io::SampleKey& key, const Tensor& slot) const {
  const auto v = size_t(clips_->video_of(index));
  const Video& video = videos_[v];
  const int64_t view = video.features.size(0) == 1 ? 0 : io::SampleRandom(key).below(video.features.size(0));
  const int64_t length = clips_->videos()[v].index->frames();
  int64_t t = 0;
  for (int64_t frame : io::clip_frames(clips_->options().clip, clips_->start_of(index), length)) {
    const int64_t at = std::lower_bound(video.frames.begin(), video.frames.end(), frame) - video.frames.begin();
    std::memcpy(slot.select(1, t++).mutable_data<uint8_t>(), video.features[view][at].data<float>(),
                size_t(size_of_feature_) * sizeof(float));
  }
}

Tensor clip_features(const Tensor& inputs, int64_t features) {
  const Tensor result = empty({inputs.size(0), inputs.size(2), features});
  for (int64_t b = 0; b < inputs.size(0); ++b)
    for (int64_t t = 0; t < inputs.size(2); ++t)
      std::memcpy(result[b][t].mutable_data<float>(), inputs[b].select(1, t).data<uint8_t>(),
                  size_t(features) * sizeof(float));
  return result;
}

}  // namespace ar::apps
