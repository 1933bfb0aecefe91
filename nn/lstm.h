// Long short-term memory as a layer, see ar::lstm.
#pragma once
#include "autograd/lstm.h"
#include "nn/module.h"

namespace ar::nn {

class LSTM : public Module {
 public:
  struct Options {
    int64_t input_size = 0, hidden_size = 0;
    int64_t num_layers = 1;
    bool bias = true;
    bool batch_first = false;  // (B,T,...) rather than (T,B,...)
    double dropout = 0;        // between layers, while training
    bool bidirectional = false;
  };
  /// All parameters start as U(-b, b), b = 1 / sqrt(hidden_size).
  explicit LSTM(const Options& options);

  /// auto [output, h, c] = lstm(x); x (T,B,input) or (B,T,input); h0, c0 (layers*D, B, hidden), both or neither;
  /// lengths i64 (B).
  LstmResult operator()(const Variable& x, const Variable& h0 = {}, const Variable& c0 = {},
                        const Tensor& lengths = {}) const;
  /// The output alone.
  Variable forward(const Variable& x) const override { return (*this)(x).output; }
  std::string describe() const override;
  const Options& options() const { return options_; }

 protected:
  /// weight_ih_l0, weight_hh_l0, bias_ih_l0, bias_hh_l0, weight_ih_l0_reverse, ..., weight_ih_l1, ...
  void members(Members& add) override;

 private:
  Options options_;
  std::vector<Parameter> weights_;
};

}  // namespace ar::nn
