// Metrics of batches that a GPU computes: each is read when the next one has been asked for, so that it has work
// meanwhile.
#pragma once
#include <optional>

#include "apps/report/metrics.h"
#include "io/loader.h"
#include "tensor/event.h"
#include "tensor/ops_shape.h"

namespace ar::apps {

class LateMetrics {
 public:
  explicit LateMetrics(ClassificationMetrics& metrics) : metrics_(metrics) {}
  /// log_probs (N, classes), on any device, of the batch's samples; adds those of the batch before.
  void add(const Tensor& log_probs, const io::Batch& batch) {
    Late now{Download(log_probs), batch.labels, batch.indices};
    finish();
    before_ = std::move(now);
  }
  /// The same of a batch of an io::sequential() loader that begins with sample `first`, without what the loader gave in
  /// place of samples that cannot be read.
  void add_own(const Tensor& log_probs, io::Batch batch, int64_t first) {
    if (batch.replaced == 0) return add(log_probs, batch);
    const io::Batch all = batch;
    std::vector<Tensor> rows;
    batch.labels.clear();
    batch.indices.clear();
    for (int64_t i = 0; i < all.size(); ++i) {
      if (all.indices[size_t(i)] != first + i) continue;
      rows.push_back(log_probs.narrow(0, i, 1));
      batch.labels.push_back(all.labels[size_t(i)]);
      batch.indices.push_back(first + i);
    }
    if (!rows.empty()) add(ops::cat(rows, 0), batch);
  }
  /// Adds the last ones.
  void finish() {
    if (!before_) return;
    const auto samples = int64_t(before_->labels.size());
    metrics_.add(before_->log_probs.wait(), from_vector(before_->labels, {samples}), before_->indices);
    before_.reset();
  }

 private:
  struct Late {
    Download log_probs;
    std::vector<int64_t> labels, indices;
  };
  ClassificationMetrics& metrics_;
  std::optional<Late> before_;
};

}  // namespace ar::apps
