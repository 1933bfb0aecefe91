// Clips that show the same: near duplicates by the features of their frames.
#pragma once
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "io/video_reader.h"
#include "tensor/tensor.h"

namespace ar::apps {

/// A network that turns frames into vectors, seen from here.
struct FrameEmbedder {
  int64_t image_size = 224;
  io::FrameFit fit = io::FrameFit::stretch;
  double zoom = 1;
  std::function<Tensor(const Tensor&)> embed = {};  // u8 (N,3,S,S) -> f32 (N, size)
};

/// The mean of the features of `frames` frames at equal distances over the video (all, if it has fewer), scaled to
/// length 1. Throws Error as VideoReader does.
std::vector<float> clip_feature(const std::string& path, const FrameEmbedder& embedder, int64_t frames = 25);

/// Groups of features with a cosine similarity above the threshold, directly or through others (connected components):
/// each ascending, groups by their first member; those of one are left out. Features have length 1.
std::vector<std::vector<size_t>> similar_groups(const std::vector<std::vector<float>>& features, double threshold);

double cosine(const std::vector<float>& a, const std::vector<float>& b);

}  // namespace ar::apps
