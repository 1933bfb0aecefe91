#include "apps/train/loaders.h"

#include "apps/report/progress.h"

namespace ar::apps {
namespace {

io::LoaderOptions loader_options(const TrainOptions& o, Device device, bool drop_last = false) {
  return {.batch_size = o.batch_size,
          .workers = o.data_loader_workers,
          .seed = o.seed,
          .device = device,
          .drop_last = drop_last,
          .on_bad = [](const io::BadSample& bad) { log_line("note: " + bad.name + ": " + bad.reason + "; replaced"); }};
}

bool ends_with_one_sample(const TrainOptions& o, int64_t samples) {
  return samples > o.batch_size && samples % o.batch_size == 1;
}

}  // namespace

int64_t training_batches(const TrainOptions& o, int64_t samples) {
  return ends_with_one_sample(o, samples) ? samples / o.batch_size : (samples + o.batch_size - 1) / o.batch_size;
}

TrainLoaders::TrainLoaders(const TrainOptions& o, Device device, std::shared_ptr<const io::Dataset> set,
                           io::Sampler sampler, std::shared_ptr<const io::Dataset> validation_set)
    : training(set, std::move(sampler), loader_options(o, device, ends_with_one_sample(o, set->size()))) {
  if (training.options().drop_last)
    log_line("note: one sample would be alone in the last batch; each epoch leaves another one out");
  if (!validation_set) return;
  const int64_t size = validation_set->size();
  validation.emplace(std::move(validation_set), io::sequential(size), loader_options(o, device));
}

}  // namespace ar::apps
