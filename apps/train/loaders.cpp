#include "apps/train/loaders.h"

#include "apps/report/progress.h"

namespace ar::apps {
namespace {

io::LoaderOptions loader_options(const TrainOptions& o, Device device) {
  return {.batch_size = o.batch_size,
          .workers = o.data_loader_workers,
          .seed = o.seed,
          .device = device,
          .on_bad = [](const io::BadSample& bad) { log_line("note: " + bad.name + ": " + bad.reason + "; replaced"); }};
}

}  // namespace

TrainLoaders::TrainLoaders(const TrainOptions& o, Device device, std::shared_ptr<const io::Dataset> set,
                           io::Sampler sampler, std::shared_ptr<const io::Dataset> validation_set)
    : training(std::move(set), std::move(sampler), loader_options(o, device)) {
  if (!validation_set) return;
  const int64_t size = validation_set->size();
  validation.emplace(std::move(validation_set), io::sequential(size), loader_options(o, device));
}

}  // namespace ar::apps
