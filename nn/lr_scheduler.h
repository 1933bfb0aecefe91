// Learning-rate schedules. Each sets the rates of its optimiser's groups when made, and anew at every step().
#pragma once
#include "nn/optim.h"

namespace ar::optim {

class LrScheduler {
 public:
  virtual ~LrScheduler() = default;
  LrScheduler(const LrScheduler&) = delete;
  LrScheduler& operator=(const LrScheduler&) = delete;

  /// Call it after each optimiser step (or each epoch, whichever the options count in).
  void step();
  /// Steps so far.
  int64_t last_step() const { return last_step_; }
  /// The present rate of each group.
  std::vector<double> last_lr() const;

  /// "last_step" and "base_lrs".
  nn::StateDict state_dict() const;
  /// Goes on from there, and sets the rates. The state says nothing of the schedule itself: another kind, or other
  /// options, go on from those steps and base rates, too. Throws Error when it does not fit the optimiser's groups, and
  /// then changes nothing.
  void load_state_dict(const nn::StateDict& state);

 protected:
  /// The optimiser must outlive the schedule. Its rates are the base rates.
  explicit LrScheduler(Optimizer& optimizer);
  /// Sets the knobs of a group whose base rate is `base` after t steps; t = 0 is the start.
  virtual void set(Knobs knobs, int group, double base, int64_t t) const = 0;
  virtual const char* name() const = 0;
  void check_groups() const;
  void apply() const;
  Optimizer& optimizer() const { return optimizer_; }

 private:
  Optimizer& optimizer_;
  std::vector<double> base_lrs_;
  int64_t last_step_ = 0;
};

/// A linear rise to the full rate: 1 / 3 of it at t = 0, all of it from t = steps on.
struct Warmup {
  int64_t steps = 0;
  double start_factor = 1.0 / 3;
  /// start_factor + (1 - start_factor) * t / steps, at most 1
  double factor(int64_t t) const;
};

/// lr = base * warmup * gamma^floor(t / step_size); gamma 1: a constant rate, but for the warm-up.
class StepLR : public LrScheduler {
 public:
  struct Options {
    int64_t step_size = 1;
    double gamma = 0.1;
    Warmup warmup = {};
  };
  StepLR(Optimizer& optimizer, const Options& options);

 protected:
  void set(Knobs knobs, int group, double base, int64_t t) const override;
  const char* name() const override { return "StepLR"; }

 private:
  Options options_;
};

enum class Anneal { cosine, linear };

/// Smith & Topin 2017 (arXiv 1708.07120), PyTorch's two phases: from max_lr / div_factor up to max_lr over the first
/// pct_start of the steps, then down to max_lr / (div_factor * final_div_factor); momentum (Adam: beta1) runs against
/// it. The last rate is reached at t = total_steps - 1 and stays: a resumed run may have more steps than were planned.
class OneCycleLR : public LrScheduler {
 public:
  struct Options {
    std::vector<double> max_lr;  // one, or one for each group
    int64_t total_steps = 0;
    double pct_start = 0.3;
    Anneal anneal = Anneal::cosine;
    bool cycle_momentum = true;
    double base_momentum = 0.85, max_momentum = 0.95;
    double div_factor = 25, final_div_factor = 1e4;
  };
  OneCycleLR(Optimizer& optimizer, const Options& options);

 protected:
  void set(Knobs knobs, int group, double base, int64_t t) const override;
  const char* name() const override { return "OneCycleLR"; }

 private:
  Options options_;
};

/// Linear warm-up, then half a cosine (Loshchilov & Hutter 2017, arXiv 1608.03983, without restarts):
///   t < warmup.steps:  lr = base * warmup
///   then, with u = (t - warmup.steps) / (total_steps - warmup.steps), at most 1:
///                      lr = min_lr + (base - min_lr) * (1 + cos(pi * u)) / 2
class CosineLR : public LrScheduler {
 public:
  struct Options {
    int64_t total_steps = 0;
    Warmup warmup = {};
    double min_lr = 0;
  };
  CosineLR(Optimizer& optimizer, const Options& options);

 protected:
  void set(Knobs knobs, int group, double base, int64_t t) const override;
  const char* name() const override { return "CosineLR"; }

 private:
  Options options_;
};

}  // namespace ar::optim
