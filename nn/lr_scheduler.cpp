#include "nn/lr_scheduler.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace ar::optim {

// ---- LrScheduler ----

LrScheduler::LrScheduler(Optimizer& optimizer) : optimizer_(optimizer), base_lrs_(last_lr()) {}

std::vector<double> LrScheduler::last_lr() const {
  std::vector<double> all;
  for (int g = 0; g < optimizer_.num_groups(); ++g) all.push_back(*optimizer_.knobs(g).lr);
  return all;
}

void LrScheduler::check_groups() const {
  AR_CHECK(optimizer_.num_groups() == int(base_lrs_.size()), name(), ": made for ", base_lrs_.size(),
           " parameter groups, the optimiser has ", optimizer_.num_groups());
}

void LrScheduler::apply() const {
  check_groups();
  for (int g = 0; g < int(base_lrs_.size()); ++g) set(optimizer_.knobs(g), g, base_lrs_[size_t(g)], last_step_);
}

void LrScheduler::step() {
  ++last_step_;
  try {
    apply();
  } catch (...) {
    --last_step_;
    throw;
  }
}

nn::StateDict LrScheduler::state_dict() const {
  return {{"last_step", full({}, double(last_step_), {.dtype = Dtype::i64})},
          {"base_lrs", from_vector(base_lrs_, {int64_t(base_lrs_.size())})}};
}

void LrScheduler::load_state_dict(const nn::StateDict& state) {
  const std::map<std::string, Tensor> given(state.begin(), state.end());
  const auto step = given.find("last_step"), lrs = given.find("base_lrs");
  AR_CHECK(given.size() == 2 && step != given.end() && lrs != given.end() && step->second.numel() == 1 &&
               lrs->second.shape() == Dims{int64_t(base_lrs_.size())},
           "load_state_dict: not the state of a ", name(), " over ", base_lrs_.size(), " parameter groups");
  check_groups();
  const int64_t last_step = int64_t(step->second.item());
  base_lrs_ = lrs->second.to_vector<double>();
  last_step_ = last_step;
  apply();
}

double Warmup::factor(int64_t t) const {
  return t >= steps ? 1 : start_factor + (1 - start_factor) * double(t) / double(steps);
}

// ---- StepLR ----

StepLR::StepLR(Optimizer& optimizer, const Options& options) : LrScheduler(optimizer), options_(options) {
  AR_CHECK(options.step_size > 0, "StepLR: step_size must be positive, it is ", options.step_size);
  apply();
}

void StepLR::set(Knobs knobs, int, double base, int64_t t) const {
  const int64_t decays = t / options_.step_size;
  *knobs.lr = base * options_.warmup.factor(t) * std::pow(options_.gamma, double(decays));
}

// ---- OneCycleLR ----

namespace {
/// From a (u = 0) to b (u = 1).
double between(Anneal anneal, double a, double b, double u) {
  return anneal == Anneal::cosine ? b + (a - b) / 2 * (1 + std::cos(M_PI * u)) : a + (b - a) * u;
}
}  // namespace

OneCycleLR::OneCycleLR(Optimizer& optimizer, const Options& options) : LrScheduler(optimizer), options_(options) {
  const int groups = optimizer.num_groups();
  AR_CHECK(options.total_steps > 0, "OneCycleLR: total_steps must be positive, it is ", options.total_steps);
  AR_CHECK(options.pct_start >= 0 && options.pct_start <= 1, "OneCycleLR: pct_start must be in [0, 1], it is ",
           options.pct_start);
  AR_CHECK(options.max_lr.size() == 1 || int(options.max_lr.size()) == groups, "OneCycleLR: max_lr needs one rate or ",
           groups, ", one for each group; there are ", options.max_lr.size());
  options_.max_lr.resize(size_t(groups), options.max_lr[0]);
  apply();
}

void OneCycleLR::set(Knobs knobs, int group, double, int64_t t) const {
  const Options& o = options_;
  const double top = o.max_lr[size_t(group)], start = top / o.div_factor, end = start / o.final_div_factor;
  const double peak = o.pct_start * double(o.total_steps) - 1, last = double(o.total_steps) - 1;
  const bool rising = double(t) <= peak;
  const double from = rising ? 0 : peak, to = rising ? peak : last;
  const double u = to > from ? std::min(1.0, (double(t) - from) / (to - from)) : 1;
  *knobs.lr = rising ? between(o.anneal, start, top, u) : between(o.anneal, top, end, u);
  if (o.cycle_momentum)
    *knobs.momentum = rising ? between(o.anneal, o.max_momentum, o.base_momentum, u)
                             : between(o.anneal, o.base_momentum, o.max_momentum, u);
}

// ---- CosineLR ----

CosineLR::CosineLR(Optimizer& optimizer, const Options& options) : LrScheduler(optimizer), options_(options) {
  AR_CHECK(options.warmup.steps >= 0 && options.total_steps > options.warmup.steps,
           "CosineLR: total_steps must exceed the warm-up's, they are ", options.total_steps, " and ",
           options.warmup.steps);
  apply();
}

void CosineLR::set(Knobs knobs, int, double base, int64_t t) const {
  const Options& o = options_;
  if (t < o.warmup.steps) {
    *knobs.lr = base * o.warmup.factor(t);
    return;
  }
  const double u = std::min(1.0, double(t - o.warmup.steps) / double(o.total_steps - o.warmup.steps));
  *knobs.lr = between(Anneal::cosine, base, o.min_lr, u);
}

}  // namespace ar::optim
