// Metrics of batches that a GPU computes: each is read when the next one has been asked for, so that it has work
// meanwhile.
#pragma once
#include <optional>

#include "apps/report/metrics.h"
#include "io/loader.h"
#include "tensor/event.h"

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
