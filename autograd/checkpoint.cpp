#include "autograd/checkpoint.h"

#include <utility>

#include "autograd/operands.h"
#include "tensor/random.h"

namespace ar {
namespace {
thread_local bool in_recomputation = false, in_first_pass = false;

/// Draws the default generator's numbers from an earlier state, and puts the present one back.
class ReplayRandom {
 public:
  explicit ReplayRandom(PhiloxState then) : now_(default_generator().state()) { default_generator().set_state(then); }
  ~ReplayRandom() { default_generator().set_state(now_); }
  ReplayRandom(const ReplayRandom&) = delete;
  ReplayRandom& operator=(const ReplayRandom&) = delete;

 private:
  PhiloxState now_;
};

/// Sets a flag of the thread for as long as it lives.
class Within {
 public:
  explicit Within(bool& flag) : flag_(flag), before_(std::exchange(flag, true)) {}
  ~Within() { flag_ = before_; }
  Within(const Within&) = delete;
  Within& operator=(const Within&) = delete;

 private:
  bool &flag_, before_;
};
}  // namespace

bool recomputing() { return in_recomputation; }
bool learning() { return grad_enabled() || in_first_pass; }

Variable checkpoint(const std::function<Variable(const std::vector<Variable>&)>& f,
                    const std::vector<Variable>& inputs) {
  if (!grad_enabled()) return f(inputs);
  const PhiloxState random = default_generator().state();
  Tensor value;
  {
    NoGrad no_grad;
    Within first_pass(in_first_pass);
    value = f(inputs).value();
  }
  std::vector<Saved> saved;
  std::vector<bool> needs;
  for (const Variable& v : inputs) {
    saved.emplace_back("checkpoint", "input", value_of(v));
    needs.push_back(v.requires_grad());
  }
  auto backward = [f, saved, needs, random](Backward& b) {
    std::vector<Variable> again;
    for (size_t i = 0; i < saved.size(); ++i)
      again.push_back(saved[i].get().defined() ? Variable(saved[i].get(), needs[i]) : Variable());
    EnableGrad enable;
    Within recomputation(in_recomputation);
    ReplayRandom replay(random);
    const Variable y = f(again);
    if (y.requires_grad()) y.backward(b.grad());
    std::vector<Tensor> grads;
    for (const Variable& v : again) {
      if (!v.requires_grad())
        grads.emplace_back();
      else
        grads.push_back(v.grad().defined() ? v.grad() : zeros_like(v.value()));
    }
    return grads;
  };
  // Parameters used inside f may be all that needs gradients, so this is recorded whatever the inputs say.
  return record("checkpoint", std::vector<Tensor>{value}, inputs, backward, true)[0];
}

}  // namespace ar
