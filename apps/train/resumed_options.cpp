#include "apps/train/resumed_options.h"

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "apps/report/progress.h"
#include "tensor/error.h"

namespace ar::apps {
namespace {

using Json = nlohmann::json;

Json saved_options(const io::Value& checkpoint) {
  const io::Field text = checkpoint.at("options");
  Json saved = Json::parse(text.string(), nullptr, false);
  if (!saved.is_object()) text.error("not the options of a run");
  return saved;
}

std::string text_of(const Json& options, const char* name) {
  const auto found = options.find(name);
  return found != options.end() && found->is_string() ? found->get<std::string>() : "";
}

std::optional<double> number(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return text.empty() || *end ? std::nullopt : std::optional(value);
}

/// 0.001 and 1e-3 are the same. What one of the two runs does not know is no change.
bool differ(const std::string& a, const std::string& b) {
  if (a == b || a.empty() || b.empty()) return false;
  const auto x = number(a), y = number(b);
  return !x || !y || *x != *y;
}

}  // namespace

void keep_options(const io::Value& checkpoint, Json& options, TrainOptions& train) {
  const Json saved = saved_options(checkpoint);
  const auto check_same = [&](const char* name, const char* why, const char* until) {
    const std::string was = text_of(saved, name), is = text_of(options, name);
    AR_CHECK(!differ(was, is), checkpoint.origin(), ": ", why, " --", name, " ", was, ", not ", is, "; give --", name,
             " ", was, until);
  };
  check_same("optimizer", "trained with", "");
  if (checkpoint.at("batch").integer() > 0)  // counted in batches of the order that these options give
    for (const char* name : {"batch-size", "grad-accum-steps", "seed", "balance"})
      check_same(name, "saved in the middle of an epoch with", " until that epoch is over");

  const std::pair<const char*, double*> kept[] = {{"learning-rate", &train.learning_rate},
                                                  {"head-lr-mult", &train.head_lr_mult},
                                                  {"momentum", &train.momentum},
                                                  {"weight-decay", &train.weight_decay}};
  for (const auto& [name, value] : kept) {
    const std::string was = text_of(saved, name);
    const std::optional<double> is = number(was);
    if (!is || !differ(was, text_of(options, name))) continue;
    log_line(std::string("note: --") + name + " " + was + " of the checkpoint is kept");
    options[name] = was;
    *value = *is;
  }
}

}  // namespace ar::apps
