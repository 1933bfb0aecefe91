#include "autograd/attention.h"

#include <cmath>
#include <limits>

#include "autograd/elementwise.h"
#include "autograd/loss.h"
#include "autograd/matmul.h"
#include "autograd/shape.h"

namespace ar {
namespace {

void check_shapes(const Dims& q, const Dims& k, const Dims& v) {
  const int r = q.size();
  bool fit = r >= 2 && k.size() == r && v.size() == r;
  for (int i = 0; fit && i < r - 2; ++i) fit = q[i] == k[i] && q[i] == v[i];
  AR_CHECK(fit && q[r - 1] == k[r - 1] && k[r - 2] == v[r - 2],
           "scaled_dot_product_attention: q (..., L, E), k (..., S, E) and v (..., S, Ev) do not fit: q ", q, ", k ", k,
           ", v ", v);
  AR_CHECK(q[r - 1] > 0 && k[r - 2] > 0, "scaled_dot_product_attention: nothing to attend to: q ", q, ", k ", k);
}

/// (L, S) with -inf above the diagonal.
Tensor causal_mask(int64_t l, int64_t s, const TensorOptions& options) {
  const Tensor mask = zeros({l, s}, options);
  for (int64_t i = 0; i < l && i + 1 < s; ++i)
    mask.select(0, i).narrow(0, i + 1, s - i - 1).fill(-std::numeric_limits<double>::infinity());
  return mask;
}

}  // namespace

AttentionResult scaled_dot_product_attention(const Variable& q, const Variable& k, const Variable& v,
                                             const AttentionOptions& options, Generator& g) {
  check_shapes(q.shape(), k.shape(), v.shape());
  Variable scores = matmul(q * (1 / std::sqrt(double(q.size(-1)))), transpose(k, -2, -1));
  if (options.causal) scores = scores + Variable(causal_mask(q.size(-2), k.size(-2), q.value().options()));
  if (options.mask.defined()) scores = scores + Variable(options.mask);
  const Variable weights = dropout(softmax(scores, -1), options.dropout, options.training, g);
  return {matmul(weights, v), weights};
}

}  // namespace ar
