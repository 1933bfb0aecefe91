#include "nn/attention.h"

#include <limits>
#include <sstream>

#include "autograd/attention.h"
#include "autograd/elementwise.h"
#include "autograd/matmul.h"
#include "autograd/reduce.h"
#include "autograd/shape.h"
#include "nn/init.h"
#include "tensor/ops_elementwise.h"

namespace ar::nn {
namespace {

const MultiheadAttention::Options& checked(const MultiheadAttention::Options& o) {
  AR_CHECK(o.embed_dim > 0 && o.num_heads > 0 && o.embed_dim % o.num_heads == 0,
           "MultiheadAttention: num_heads must divide embed_dim, they are ", o.num_heads, " and ", o.embed_dim);
  AR_CHECK(o.dropout >= 0 && o.dropout <= 1, "MultiheadAttention: dropout must be in [0, 1], it is ", o.dropout);
  return o;
}

/// What is added to the scores: floating masks as they are, u8 masks as -inf where they are not 0.
Tensor additive(const char* name, const Tensor& mask, Dtype dtype) {
  if (is_floating(mask.dtype())) return mask.to(dtype);
  AR_CHECK(mask.dtype() == Dtype::u8, "MultiheadAttention: ", name, " must be uint8 or floating, it is ", mask.dtype());
  std::vector<double> values = mask.to_vector<double>();
  for (double& v : values) v = v != 0 ? -std::numeric_limits<double>::infinity() : 0;
  return from_vector(values, mask.shape()).to(dtype).to(mask.device());
}

}  // namespace

MultiheadAttention::MultiheadAttention(const Options& options)
    : out_proj({.in = checked(options).embed_dim, .out = options.embed_dim, .bias = options.bias}), options_(options) {
  in_proj_weight = Parameter(empty({3 * options.embed_dim, options.embed_dim}));
  init::xavier_uniform_(in_proj_weight);
  if (!options.bias) return;
  in_proj_bias = Parameter(zeros({3 * options.embed_dim}));
  init::constant_(out_proj.bias, 0);
}

void MultiheadAttention::members(Members& add) {
  add("in_proj_weight", in_proj_weight), add("in_proj_bias", in_proj_bias), add("out_proj", out_proj);
}

std::string MultiheadAttention::describe() const {
  std::ostringstream out;
  out << "embed_dim=" << options_.embed_dim << ", num_heads=" << options_.num_heads;
  return out.str();
}

MultiheadAttention::Result MultiheadAttention::operator()(const Variable& query, const Variable& key,
                                                          const Variable& value, const CallOptions& call) const {
  const int64_t e = options_.embed_dim, heads = options_.num_heads, width = e / heads;
  const int time = options_.batch_first ? 1 : 0, batch = 1 - time;
  const bool fit = query.rank() == 3 && key.rank() == 3 && value.rank() == 3 && query.size(2) == e &&
                   key.shape() == value.shape() && key.size(2) == e && key.size(batch) == query.size(batch);
  AR_CHECK(fit, "MultiheadAttention: query, key and value must be ", options_.batch_first ? "(B,L,E)" : "(L,B,E)",
           " with E = ", e, " and one B; query is ", query.shape(), ", key ", key.shape(), ", value ", value.shape());
  const int64_t b = query.size(batch), l = query.size(time), s = key.size(time);

  // (B, heads, time, width) of one of the three projections
  auto project = [&](const Variable& x, int which) {
    const Variable bias = in_proj_bias.defined() ? narrow(in_proj_bias, 0, which * e, e) : Variable();
    const Variable y = linear(x, narrow(in_proj_weight, 0, which * e, e), bias);
    const Variable split = reshape(y, {y.size(0), y.size(1), heads, width});
    return permute(split, options_.batch_first ? Dims{0, 2, 1, 3} : Dims{1, 2, 0, 3});
  };
  Tensor mask;
  if (call.attn_mask.defined()) {
    const Dims& shape = call.attn_mask.shape();
    AR_CHECK((shape == Dims{l, s}) || (shape == Dims{b * heads, l, s}), "MultiheadAttention: attn_mask must be ",
             Dims{l, s}, " or ", Dims{b * heads, l, s}, ", it is ", shape);
    mask = additive("attn_mask", call.attn_mask, query.dtype());
    if (shape.size() == 3) mask = mask.reshape_copy({b, heads, l, s});
  }
  if (call.key_padding_mask.defined()) {
    AR_CHECK((call.key_padding_mask.shape() == Dims{b, s}), "MultiheadAttention: key_padding_mask must be ", Dims{b, s},
             ", it is ", call.key_padding_mask.shape());
    const Tensor keys = additive("key_padding_mask", call.key_padding_mask, query.dtype()).reshape_copy({b, 1, 1, s});
    mask = mask.defined() ? ops::add(mask, keys) : keys;
  }
  const AttentionResult heads_result = scaled_dot_product_attention(
      project(query, 0), project(key, 1), project(value, 2),
      {.mask = mask, .causal = call.causal, .dropout = options_.dropout, .training = is_training()});

  const Variable joined = permute(heads_result.output, options_.batch_first ? Dims{0, 2, 1, 3} : Dims{2, 0, 1, 3});
  Result result{.output = out_proj(reshape(joined, {query.size(0), query.size(1), e})), .weights = {}};
  if (call.need_weights) result.weights = call.average_weights ? mean(heads_result.weights, {1}) : heads_result.weights;
  return result;
}

}  // namespace ar::nn
