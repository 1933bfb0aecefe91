#include "apps/train/pretrained_weights.h"

#include <algorithm>
#include <optional>

#include "apps/common/stop_signal.h"
#include "apps/report/progress.h"

namespace ar::apps {

void show_pretrained(const std::string& source, const std::function<Pretrained(const PretrainedOptions&)>& load) {
  std::optional<Progress> progress;
  const Pretrained loaded = load({.source = source,
                                  .progress =
                                      [&](int64_t done, int64_t total) {
                                        if (!progress)
                                          progress.emplace(ProgressOptions{.label = "downloading", .unit = "bytes"});
                                        progress->set_total(std::max<int64_t>(total, 0));
                                        progress->update(done);
                                      },
                                  .stop = &StopSignal::flag()});
  progress.reset();
  if (!loaded.file.empty()) log_line("weights of " + loaded.file);
  for (const std::string& note : loaded.notes) log_line("note: " + note);
}

}  // namespace ar::apps
