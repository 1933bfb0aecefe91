// Multi-head attention (Vaswani et al. 2017, section 3.2.2) with PyTorch's parameters and semantics.
#pragma once
#include "nn/layers.h"

namespace ar::nn {

class MultiheadAttention : public Module {
 public:
  struct Options {
    int64_t embed_dim = 0, num_heads = 0;
    double dropout = 0;  // of the attention weights, while training
    bool bias = true;
    bool batch_first = false;  // (B,L,E) rather than (L,B,E)
  };
  struct CallOptions {
    Tensor key_padding_mask = {};  // (B,S), u8: keys with non-zero do not count; floating: added to the scores
    Tensor attn_mask = {};         // (L,S) or (B*heads,L,S): likewise
    bool causal = false;           // position i attends to 0..i only
    bool need_weights = false;
    bool average_weights = true;  // over the heads
  };
  struct Result {
    Variable output;   // (L,B,E) or (B,L,E)
    Variable weights;  // if needed: (B,L,S), or (B,heads,L,S) if not averaged
  };
  /// in_proj_weight starts by Xavier (uniform), out_proj.weight as a Linear's, both biases as 0. Throws Error unless
  /// num_heads divides embed_dim.
  explicit MultiheadAttention(const Options& options);

  using Module::operator();
  /// output = concat(head_1, ..., head_h) W_o + b_o, head_i = attention(query W_i^q, key W_i^k, value W_i^v).
  Result operator()(const Variable& query, const Variable& key, const Variable& value,
                    const CallOptions& options) const;
  Result operator()(const Variable& query, const Variable& key, const Variable& value) const {
    return (*this)(query, key, value, CallOptions{});
  }
  /// Self-attention's output.
  Variable forward(const Variable& x) const override { return (*this)(x, x, x).output; }
  std::string describe() const override;

  Parameter in_proj_weight, in_proj_bias;  // (3E,E), (3E): query, key and value below each other
  Linear out_proj;

 protected:
  void members(Members& add) override;

 private:
  Options options_;
};

}  // namespace ar::nn
