// Attention against plain sums; masks, weights, bad inputs.
#include "autograd/attention.h"

#include "autograd/reduce.h"
#include "nn/attention.h"
#include "tests/nn/nn_test.h"

namespace ar {
namespace {

using Vector = std::vector<double>;

/// softmax(q k^T / sqrt(E) + mask) v for (L,E), (S,E), (S,E), and the softmax itself.
std::pair<Tensor, Tensor> naive_attention(const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& mask) {
  const int64_t l = q.size(0), s = k.size(0), e = q.size(1);
  Tensor out = zeros({l, v.size(1)}, {.dtype = Dtype::f64}), weights = zeros({l, s}, {.dtype = Dtype::f64});
  for (int64_t i = 0; i < l; ++i) {
    Vector p(static_cast<size_t>(s));
    double total = 0;
    for (int64_t j = 0; j < s; ++j) {
      double dot = 0;
      for (int64_t a = 0; a < e; ++a) dot += q.at({i, a}) * k.at({j, a});
      total += p[size_t(j)] = std::exp(dot / std::sqrt(double(e)) + (mask.defined() ? mask.at({i, j}) : 0));
    }
    for (int64_t j = 0; j < s; ++j) weights.select(0, i).select(0, j).fill(p[size_t(j)] / total);
    for (int64_t a = 0; a < v.size(1); ++a) {
      double sum = 0;
      for (int64_t j = 0; j < s; ++j) sum += weights.at({i, j}) * v.at({j, a});
      out.select(0, i).select(0, a).fill(sum);
    }
  }
  return {out, weights};
}

TEST(Attention, AgreesWithPlainSums) {
  const Tensor q = normal({2, 3, 4}), k = normal({2, 5, 4}, Dtype::f64, 2), v = normal({2, 5, 6}, Dtype::f64, 3);
  const Tensor mask = normal({3, 5}, Dtype::f64, 4);
  for (const Tensor& m : {Tensor(), mask}) {
    const AttentionResult r = scaled_dot_product_attention(Variable(q), Variable(k), Variable(v), {.mask = m});
    for (int b = 0; b < 2; ++b) {
      const auto [out, weights] = naive_attention(q[b], k[b], v[b], m);
      EXPECT_LE(difference(r.output.value()[b], out), 1e-13);
      EXPECT_LE(difference(r.weights.value()[b], weights), 1e-13);
    }
  }
}

TEST(Attention, CausalLooksBackOnly) {
  const Variable q(normal({4, 3})), k(normal({4, 3})), v(normal({4, 2}));
  const AttentionResult r = scaled_dot_product_attention(q, k, v, {.causal = true});
  for (int i = 0; i < 4; ++i)
    for (int j = i + 1; j < 4; ++j) EXPECT_EQ(r.weights.value().at({i, j}), 0);
  EXPECT_NEAR(r.weights.value().at({0, 0}), 1, 1e-15);
  const Variable more(normal({6, 3}));
  EXPECT_EQ(scaled_dot_product_attention(more, k, v, {.causal = true}).output.shape(), (Dims{6, 2}));
}

TEST(Attention, DropsWeightsWhileTraining) {
  const Variable x(normal({1, 8, 4}));
  EXPECT_EQ(scaled_dot_product_attention(x, x, x, {.dropout = 1, .training = true}).output.value().at({0, 3, 2}), 0);
  EXPECT_NE(scaled_dot_product_attention(x, x, x, {.dropout = 1}).output.value().at({0, 3, 2}), 0);
}

TEST(Attention, BadInputs) {
  const auto v = [](const Dims& shape) { return Variable(zeros(shape)); };
  EXPECT_ERROR(scaled_dot_product_attention(v({2, 3}), v({4, 2}), v({4, 3})),
               "scaled_dot_product_attention: q (..., L, E), k (..., S, E) and v (..., S, Ev) do not fit: q [2,3], k "
               "[4,2], v [4,3]");
  EXPECT_ERROR(scaled_dot_product_attention(v({2, 3}), v({0, 3}), v({0, 3})),
               "scaled_dot_product_attention: nothing to attend to: q [2,3], k [0,3]");
}

/// The module's equation for (L,E), (S,E): the result of each head's naive_attention through the projections.
std::pair<Tensor, Vector> naive_heads(nn::MultiheadAttention& m, const Tensor& query, const Tensor& key,
                                      const Tensor& mask, int64_t heads) {
  const int64_t e = query.size(1), width = e / heads, l = query.size(0), s = key.size(0);
  const Tensor w = m.in_proj_weight.value(), b = m.in_proj_bias.value();
  const auto project = [&](const Tensor& x, int64_t first) {
    Tensor y = zeros({x.size(0), width}, {.dtype = Dtype::f64});
    for (int64_t i = 0; i < x.size(0); ++i)
      for (int64_t a = 0; a < width; ++a) {
        double sum = b.at({first + a});
        for (int64_t j = 0; j < e; ++j) sum += x.at({i, j}) * w.at({first + a, j});
        y.select(0, i).select(0, a).fill(sum);
      }
    return y;
  };
  Tensor joined = zeros({l, e}, {.dtype = Dtype::f64});
  Vector average(static_cast<size_t>(l * s), 0.0);
  for (int64_t h = 0; h < heads; ++h) {
    const auto [out, weights] =
        naive_attention(project(query, h * width), project(key, e + h * width), project(key, 2 * e + h * width), mask);
    joined.narrow(1, h * width, width).copy_from(out);
    const Vector p = weights.to_vector<double>();
    for (size_t i = 0; i < p.size(); ++i) average[i] += p[i] / double(heads);
  }
  return {m.out_proj(Variable(joined)).value(), average};
}

TEST(MultiheadAttention, AgreesWithPlainSums) {
  const int64_t e = 6, heads = 3;
  for (const bool batch_first : {false, true}) {
    nn::MultiheadAttention m({.embed_dim = e, .num_heads = heads, .batch_first = batch_first});
    m.to(Dtype::f64);
    m.in_proj_bias.value().copy_from(normal({3 * e}));
    const Tensor query = normal({2, 3, e}, Dtype::f64, 2), key = normal({2, 4, e}, Dtype::f64, 3);
    const auto order = [&](const Tensor& t) { return Variable(batch_first ? t : t.transpose(0, 1)); };
    // The last key of the second sequence is padding; nothing but the first key for the first query.
    Tensor padding = zeros({2, 4}, {.dtype = Dtype::u8}), mask = zeros({3, 4}, {.dtype = Dtype::u8});
    padding[1].narrow(0, 3, 1).fill(1);
    mask[0].narrow(0, 1, 3).fill(1);
    for (const bool masked : {false, true}) {
      const auto r = m(order(query), order(key), order(key),
                       {.key_padding_mask = masked ? padding : Tensor(),
                        .attn_mask = masked ? mask : Tensor(),
                        .need_weights = true});
      EXPECT_EQ(r.weights.shape(), (Dims{2, 3, 4}));
      for (int64_t b = 0; b < 2; ++b) {
        Tensor added = zeros({3, 4}, {.dtype = Dtype::f64});
        for (int64_t i = 0; masked && i < 3; ++i)
          for (int64_t j = 0; j < 4; ++j)
            if (mask.at({i, j}) != 0 || padding.at({b, j}) != 0) added[i].narrow(0, j, 1).fill(-INFINITY);
        const auto [out, weights] = naive_heads(m, query[b], key[b], added, heads);
        EXPECT_LE(difference(batch_first ? r.output.value()[b] : r.output.value().select(1, b), out), 1e-12);
        EXPECT_LE(difference(r.weights.value()[b], from_vector(weights, {3, 4})), 1e-12);
      }
    }
  }
}

TEST(MultiheadAttention, OptionsOfTheCall) {
  nn::MultiheadAttention m({.embed_dim = 4, .num_heads = 2, .batch_first = true});
  const Variable x(normal({2, 3, 4}, Dtype::f32));
  EXPECT_EQ(m(x).shape(), x.shape());
  EXPECT_FALSE(m(x, x, x).weights.defined());
  EXPECT_EQ(m(x, x, x, {.need_weights = true, .average_weights = false}).weights.shape(), (Dims{2, 2, 3, 3}));
  const Tensor per_head = normal({4, 3, 3}, Dtype::f32);
  EXPECT_EQ(m(x, x, x, {.attn_mask = per_head}).output.shape(), x.shape());
  sum(m(x, x, x, {.causal = true}).output).backward();
  for (const auto& [name, p] : m.named_parameters()) EXPECT_TRUE(p.grad().defined()) << name;
}

TEST(MultiheadAttention, BadInputs) {
  const nn::MultiheadAttention m({.embed_dim = 4, .num_heads = 2});
  const Variable x(zeros({3, 2, 4}));
  EXPECT_ERROR(m(x, Variable(zeros({5, 1, 4})), Variable(zeros({5, 1, 4}))),
               "MultiheadAttention: query, key and value must be (L,B,E) with E = 4 and one B; query is [3,2,4], key "
               "[5,1,4], value [5,1,4]");
  EXPECT_ERROR(m(x, x, x, {.key_padding_mask = zeros({3, 2})}),
               "MultiheadAttention: key_padding_mask must be [2,3], it is [3,2]");
  EXPECT_ERROR(m(x, x, x, {.attn_mask = zeros({2, 2})}),
               "MultiheadAttention: attn_mask must be [3,3] or [4,3,3], it is [2,2]");
  EXPECT_ERROR(m(x, x, x, {.attn_mask = zeros({3, 3}, {.dtype = Dtype::i64})}),
               "MultiheadAttention: attn_mask must be uint8 or floating, it is int64");
}

}  // namespace
}  // namespace ar
