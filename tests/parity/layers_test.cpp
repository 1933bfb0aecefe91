// LSTM and multi-head attention in all their options against PyTorch's, as modules: so the parameters' names count too.
#include "nn/attention.h"
#include "nn/lstm.h"
#include "tests/parity/parity.h"

namespace {

using namespace ar;
using parity::Case;
using parity::Outputs;

/// Gives the module the case's parameters, and the case the module's.
void load(Case& c, nn::Module& module) {
  module.to(c.dtype());
  nn::StateDict state;
  for (const std::string what : c.options["inputs"])
    if (what.find("weight") != what.npos || what.find("bias") != what.npos)
      state.emplace_back(what, c.input(what).value());
  module.load_state_dict(state);
  for (const auto& [name, parameter] : module.named_parameters()) c.bind(name, parameter);
}

Outputs run_lstm(Case& c) {
  const auto& o = c.options;
  nn::LSTM module({.input_size = c.input("x").size(-1),
                   .hidden_size = o["hidden"],
                   .num_layers = o["layers"],
                   .bias = o["bias"],
                   .batch_first = o["batch_first"],
                   .bidirectional = o["bidirectional"]});
  load(c, module);
  Tensor lengths;
  if (!o["lengths"].is_null()) {
    const std::vector<int64_t> values = o["lengths"];
    lengths = from_vector(values, {int64_t(values.size())});
  }
  const LstmResult result = module(c.input("x"), c.input_if_any("h0"), c.input_if_any("c0"), lengths);
  return {{"y", result.output}, {"h_n", result.h}, {"c_n", result.c}};
}

Outputs run_attention(Case& c) {
  const auto& o = c.options;
  nn::MultiheadAttention module(
      {.embed_dim = o["embed"], .num_heads = o["heads"], .bias = o["bias"], .batch_first = o["batch_first"]});
  load(c, module);
  nn::MultiheadAttention::CallOptions call{.attn_mask = c.constant("attn_mask"),
                                           .causal = o["causal"],
                                           .need_weights = true,
                                           .average_weights = o["average"]};
  if (c.has("key_padding_mask")) call.key_padding_mask = c.constant("key_padding_mask").to(Dtype::u8);
  const bool self = c.has("x");
  const auto result =
      module(c.input(self ? "x" : "query"), c.input(self ? "x" : "key"), c.input(self ? "x" : "value"), call);
  return {{"y", result.output}, {"weights", result.weights}};
}

class LayerParity : public testing::TestWithParam<parity::CaseName> {};

TEST_P(LayerParity, MatchesPyTorch) { parity::run(GetParam(), {{"lstm", run_lstm}, {"attention", run_attention}}); }

INSTANTIATE_TEST_SUITE_P(All, LayerParity, testing::ValuesIn(parity::all_cases({"lstm", "attention"})),
                         parity::test_name);

}  // namespace
