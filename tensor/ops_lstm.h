// One LSTM layer over whole sequences, see autograd/lstm.h for the equations: a direction step by step, or, where a
// device has a library for it, all directions at once.
#pragma once
#include <optional>
#include <vector>

#include "tensor/tensor.h"

namespace ar::ops {

struct LstmWeights {
  Tensor ih, hh, bias_ih, bias_hh;  // (4H,in), (4H,H), (4H) or undefined: gates in the order i, f, g, o
};

struct LstmPass {
  bool reverse = false;       // from each sequence's last step to its first
  Tensor lengths = {};        // i64 (B), 1 <= length <= T; undefined: all T
  bool weights_rest = false;  // the weights will not change soon, so what is made from them is kept
};

/// What happened, for the backward pass. State t of `h` and `c` lies between steps t-1 and t: the first direction
/// starts from state 0, the reverse one from state T.
struct LstmStates {
  Tensor gates;                                             // (T,B,4H), after their sigmoids and tanh
  Tensor h, c;                                              // (T+1,B,H)
  Tensor after(const Tensor& states, bool reverse) const;   // (T,B,H): what step t made
  Tensor before(const Tensor& states, bool reverse) const;  // (T,B,H): what step t started from
  Tensor last(const Tensor& states, bool reverse) const;    // (B,H)
};

/// x (T,B,in) with any strides; h0, c0 (B,H) or undefined (zeros). Steps past a sequence's length leave its state
/// alone. Throws Error on shapes, dtypes and lengths that do not fit.
LstmStates lstm(const Tensor& x, const LstmWeights& weights, const Tensor& h0, const Tensor& c0, const LstmPass& pass);

/// x with zeros at the steps past each length, a copy; x (T,B,C).
Tensor zero_past(const Tensor& x, const Tensor& lengths);

struct LstmWanted {
  bool x = true, ih = true, hh = true, bias = true;
};
struct LstmGrads {
  Tensor x, ih, hh, bias, h0, c0;  // x in x's order of dimensions in memory; bias serves both biases
};

/// The gradients from those of the output (T,B,H: `after` with zeros past each length) and of the last states (B,H);
/// each may be undefined (zeros).
LstmGrads lstm_backward(const Tensor& x, const LstmWeights& weights, const LstmStates& states, const Tensor& gy,
                        const Tensor& gh, const Tensor& gc, const LstmPass& pass, const LstmWanted& wanted);

// ---- by the device's library ----

struct LstmLayer {
  Tensor y;     // (T,B,D*H), zero past each length
  Tensor h, c;  // (D,B,H), after each sequence's last step
  Tensor left;  // u8, for the backward pass; undefined where none may come
};

/// The D directions of `weights`, the second in reverse; h0, c0 (D,B,H) or undefined. Nothing where the device has no
/// such library or it declines. Throws as lstm() does.
std::optional<LstmLayer> lstm_sequence(const Tensor& x, const std::vector<LstmWeights>& weights, const Tensor& h0,
                                       const Tensor& c0, const Tensor& lengths, bool training);

struct LstmLayerGrads {
  Tensor x, h0, c0;
  std::vector<LstmWeights> weights;  // empty where not wanted
};
/// From the gradients of y, h and c; each may be undefined (zeros). May be called several times.
LstmLayerGrads lstm_sequence_backward(const Tensor& x, const std::vector<LstmWeights>& weights, const Tensor& h0,
                                      const Tensor& c0, const Tensor& lengths, const LstmLayer& layer, const Tensor& gy,
                                      const Tensor& gh, const Tensor& gc, bool weights_wanted);

}  // namespace ar::ops
