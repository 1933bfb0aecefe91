#include "apps/clips/dedup.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "tensor/error.h"

namespace ar::apps {

std::vector<float> clip_feature(const std::string& path, const FrameEmbedder& embedder, int64_t frames) {
  const io::VideoIndex index = io::index_video(path);
  const int64_t n = std::min(frames, index.frames());
  std::vector<int64_t> wanted;
  for (int64_t i = 0; i < n; ++i) wanted.push_back((2 * i + 1) * index.frames() / (2 * n));  // the middles of n parts
  io::VideoReader reader(path, {.fit = embedder.fit, .zoom = embedder.zoom});
  reader.select(index, wanted);
  const Tensor batch = io::frame_batch(n, embedder.image_size, embedder.image_size);
  int64_t read = 0;
  while (read < n && reader.next(batch[read])) ++read;
  AR_CHECK(read > 0, path, ": no frame can be decoded");
  const Tensor rows = embedder.embed(batch.narrow(0, 0, read)).contiguous(Layout::channels_first);
  AR_CHECK(rows.rank() == 2 && rows.size(0) == read, "the network gave ", rows.shape(), " for ", read, " frames");
  const auto size = size_t(rows.size(1));
  std::vector<double> sum(size, 0.0);
  const auto* values = rows.data<float>();
  for (int64_t i = 0; i < read; ++i)
    for (size_t j = 0; j < size; ++j) sum[j] += double(values[size_t(i) * size + j]);
  double norm = 0;
  for (const double x : sum) norm += x * x;
  norm = std::sqrt(norm);
  std::vector<float> feature(size);
  for (size_t j = 0; j < size; ++j) feature[j] = norm > 0 ? float(sum[j] / norm) : 0.f;
  return feature;
}

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  AR_CHECK(a.size() == b.size(), "cosine: vectors of ", a.size(), " and ", b.size(), " numbers");
  return std::inner_product(a.begin(), a.end(), b.begin(), 0.0, std::plus<>(),
                            [](float x, float y) { return double(x) * double(y); });
}

std::vector<std::vector<size_t>> similar_groups(const std::vector<std::vector<float>>& features, double threshold) {
  std::vector<size_t> root(features.size());
  std::iota(root.begin(), root.end(), size_t{0});
  const auto find = [&](size_t i) {
    while (root[i] != i) i = root[i] = root[root[i]];
    return i;
  };
  for (size_t i = 0; i < features.size(); ++i)
    for (size_t j = 0; j < i; ++j)
      if (cosine(features[i], features[j]) > threshold) {
        const size_t a = find(i), b = find(j);
        root[std::max(a, b)] = std::min(a, b);
      }
  std::map<size_t, std::vector<size_t>> by_root;
  for (size_t i = 0; i < features.size(); ++i) by_root[find(i)].push_back(i);
  std::vector<std::vector<size_t>> groups;
  for (auto& [first, members] : by_root)
    if (members.size() > 1) groups.push_back(std::move(members));
  return groups;
}

}  // namespace ar::apps
