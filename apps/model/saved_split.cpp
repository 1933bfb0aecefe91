#include "apps/model/saved_split.h"

#include <set>

#include "apps/report/progress.h"

namespace ar::apps {

io::Value split_value(const io::SplitLists& split) {
  io::Value value;
  value["train"] = io::Value::list(split.train);
  value["validation"] = io::Value::list(split.validation);
  return value;
}

io::SplitLists split_from_value(const io::Field& saved) {
  return {.train = saved.at("train").strings(), .validation = saved.at("validation").strings()};
}

io::SplitLists split_of(const io::Value& checkpoint) {
  const auto saved = checkpoint.find("split");
  return saved ? split_from_value(*saved) : io::SplitLists();
}

SeenSamples seen_samples(const io::SplitLists& split, const std::vector<std::string>& names) {
  const std::set<std::string> train(split.train.begin(), split.train.end()),
      validation(split.validation.begin(), split.validation.end());
  SeenSamples seen;
  for (const std::string& name : names) {
    seen.trained_on += train.contains(name);
    seen.validated_on += validation.contains(name);
  }
  return seen;
}

void tell_seen(const SeenSamples& seen, size_t all, const std::string& unit) {
  if (seen.trained_on + seen.validated_on == 0) return;
  log_line("note: of these " + std::to_string(all) + " " + unit + " the checkpoint was trained on " +
           std::to_string(seen.trained_on) + " and validated on " + std::to_string(seen.validated_on) +
           ", going by their names; on new ones it may do worse");
}

}  // namespace ar::apps
