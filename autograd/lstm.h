// Long short-term memory (Hochreiter & Schmidhuber 1997) with PyTorch's gates and options.
#pragma once
#include "autograd/variable.h"
#include "tensor/random.h"

namespace ar {

struct LstmOptions {
  int64_t hidden_size = 0;
  int64_t num_layers = 1;
  bool bias = true;
  bool batch_first = false;  // x and output are (B,T,...) rather than (T,B,...)
  bool bidirectional = false;
  double dropout = 0;  // between layers, while training
  bool training = false;
};

struct LstmResult {
  Variable output;  // (T,B,D*H) or (B,T,D*H), D = 2 if bidirectional: forward half first. Zero past a sequence's length
  Variable h, c;    // (layers*D, B, H): the states after each sequence's last step
};

///   i = s(Wi x + bi + Ui h + ci)   f = s(...)   g = tanh(...)   o = s(...)   c' = f*c + i*g   h' = o*tanh(c')
/// weights: for each layer, for each direction: weight_ih (4H,in), weight_hh (4H,H) and, with bias, bias_ih (4H),
/// bias_hh (4H). h0, c0: (layers*D, B, H) or undefined (zeros). lengths: i64 (B) or undefined; steps past a length do
/// not count.
LstmResult lstm(const Variable& x, const std::vector<Variable>& weights, const LstmOptions& options,
                const Variable& h0 = {}, const Variable& c0 = {}, const Tensor& lengths = {},
                Generator& g = default_generator());

}  // namespace ar
