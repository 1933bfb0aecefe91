// Time is the first dimension inside. The sums W x + b of all steps are one product, the recurrent sums U h are added
// step by step, with U packed once.
#include "tensor/ops_lstm.h"

#include "tensor/ops_common.h"
#include "tensor/ops_conv.h"
#include "tensor/ops_elementwise.h"
#include "tensor/ops_linear.h"
#include "tensor/ops_norm.h"

namespace ar::ops {
namespace {

Tensor row_major(const Dims& shape, const Tensor& like) {
  return empty(shape, {.dtype = like.dtype(), .layout = Layout::channels_first, .device = like.device()});
}

Tensor zeros_row_major(const Dims& shape, const Tensor& like) {
  Tensor t = row_major(shape, like);
  t.fill(0);
  return t;
}

/// (out,in) as (out,in,1,1).
Tensor kernel1x1(const Tensor& w) { return w.unsqueeze(2).unsqueeze(3); }
/// (B,C) as (B,C,1,1).
Tensor pixels(const Tensor& rows) { return rows.unsqueeze(2).unsqueeze(3); }

void check(const char* what, const Tensor& t, const Dims& shape, const Tensor& x) {
  AR_CHECK(t.shape() == shape, "lstm: ", what, " must be ", shape, ", it is ", t.shape());
  AR_CHECK(t.dtype() == x.dtype() && t.device() == x.device(), "lstm: ", what, " must be ", x.dtype(), " on ",
           x.device(), " as x is; it is ", t.dtype(), " on ", t.device());
}

void check_all(const Tensor& x, const LstmWeights& w, const Tensor& h0, const Tensor& c0, const Tensor& lengths) {
  AR_CHECK(x.rank() == 3, "lstm: x must have 3 dimensions (time, batch, features), it is ", x.shape());
  AR_CHECK(x.size(0) > 0, "lstm: at least one step is needed, x has none (", x.shape(), " as time, batch, features)");
  AR_CHECK(w.hh.rank() == 2 && w.hh.size(1) > 0 && w.hh.size(0) == 4 * w.hh.size(1),
           "lstm: weight_hh must be [4*hidden,hidden], it is ", w.hh.shape());
  AR_CHECK(w.ih.rank() == 2, "lstm: weight_ih must be [4*hidden,features], it is ", w.ih.shape());
  AR_CHECK(w.ih.size(1) == x.size(2), "lstm: weight_ih expects ", w.ih.size(1), " features, x has ", x.size(2), " (x ",
           x.shape(), " as time, batch, features; weight_ih ", w.ih.shape(), ")");
  const int64_t steps = x.size(0), batch = x.size(1), gates = w.hh.size(0), h = w.hh.size(1);
  check("weight_ih", w.ih, {gates, x.size(2)}, x);
  check("weight_hh", w.hh, {gates, h}, x);
  if (w.bias_ih.defined()) check("bias_ih", w.bias_ih, {gates}, x);
  if (w.bias_hh.defined()) check("bias_hh", w.bias_hh, {gates}, x);
  if (h0.defined()) check("h0 of a layer", h0, {batch, h}, x);
  if (c0.defined()) check("c0 of a layer", c0, {batch, h}, x);
  if (!lengths.defined()) return;
  AR_CHECK(lengths.dtype() == Dtype::i64 && lengths.shape() == Dims{batch}, "lstm: lengths must be int64 ", Dims{batch},
           ", they are ", lengths.dtype(), " ", lengths.shape());
  for (int64_t n : lengths.to_vector<int64_t>())
    AR_CHECK(n >= 1 && n <= steps, "lstm: lengths must lie in [1, ", steps, "], one is ", n);
}

/// (T,B) i64: does step t count for sequence b? Undefined without lengths.
Tensor active_steps(int64_t steps, const Tensor& lengths, Device device) {
  if (!lengths.defined()) return {};
  std::vector<int64_t> active;
  const std::vector<int64_t> n = lengths.to_vector<int64_t>();
  for (int64_t t = 0; t < steps; ++t)
    for (int64_t length : n) active.push_back(t < length);
  return from_vector(active, {steps, int64_t(n.size())}).to(device);
}
View active_view(const Tensor& active, int64_t t) { return active.defined() ? active.select(0, t).view() : View{}; }

/// x (T,B,C).
void zero_past_(const Tensor& x, const Tensor& lengths) {
  const std::vector<int64_t> n = lengths.to_vector<int64_t>();
  for (int64_t b = 0; b < int64_t(n.size()); ++b)
    if (n[size_t(b)] < x.size(0)) x.select(1, b).narrow(0, n[size_t(b)], x.size(0) - n[size_t(b)]).fill(0);
}

Packing packing_of(const LstmPass& pass) { return pass.weights_rest ? Packing::cached : Packing::temporary; }

}  // namespace

Tensor LstmStates::after(const Tensor& s, bool reverse) const { return s.narrow(0, reverse ? 0 : 1, s.size(0) - 1); }
Tensor LstmStates::before(const Tensor& s, bool reverse) const { return s.narrow(0, reverse ? 1 : 0, s.size(0) - 1); }
Tensor LstmStates::last(const Tensor& s, bool reverse) const { return s.select(0, reverse ? 0 : s.size(0) - 1); }

LstmStates lstm(const Tensor& x, const LstmWeights& w, const Tensor& h0, const Tensor& c0, const LstmPass& pass) {
  check_all(x, w, h0, c0, pass.lengths);
  const int64_t steps = x.size(0), batch = x.size(1), h = w.hh.size(1);
  const auto cell = kernel_for(kernels_of(x).lstm_cell, x.dtype(), "lstm", kernels_of(x).name);
  LstmStates s;
  s.gates = row_major({steps, batch, 4 * h}, x);
  s.h = row_major({steps + 1, batch, h}, x);
  s.c = row_major({steps + 1, batch, h}, x);
  const Tensor active = active_steps(steps, pass.lengths, x.device());

  Tensor bias = w.bias_ih.defined() ? w.bias_ih : w.bias_hh;
  if (w.bias_ih.defined() && w.bias_hh.defined()) bias = add(w.bias_ih, w.bias_hh);
  linear(rows_of(x), w.ih, bias, rows_of(s.gates), packing_of(pass));

  const int64_t start = pass.reverse ? steps : 0;
  const auto begin = [&](const Tensor& states, const Tensor& given) {
    if (given.defined())
      states.select(0, start).copy_from(given);
    else
      states.select(0, start).fill(0);
  };
  begin(s.h, h0), begin(s.c, c0);
  for (int64_t i = 0; i < steps && batch > 0; ++i) {
    const int64_t t = pass.reverse ? steps - 1 - i : i, from = pass.reverse ? t + 1 : t, to = pass.reverse ? t : t + 1;
    const Tensor gates = s.gates.select(0, t), h_from = s.h.select(0, from);
    if (i > 0 || h0.defined())
      conv2d(pixels(h_from), kernel1x1(w.hh), {}, {}, {.residual = pixels(gates)}, pixels(gates), Packing::cached);
    cell(gates.writable(), s.c.select(0, from).view(), h_from.view(), active_view(active, t),
         s.c.select(0, to).writable(), s.h.select(0, to).writable());
  }
  return s;
}

Tensor zero_past(const Tensor& x, const Tensor& lengths) {
  Tensor y = row_major(x.shape(), x);
  y.copy_from(x);
  zero_past_(y, lengths);
  return y;
}

LstmGrads lstm_backward(const Tensor& x, const LstmWeights& w, const LstmStates& s, const Tensor& gy,
                        const Tensor& gh_last, const Tensor& gc_last, const LstmPass& pass, const LstmWanted& wanted) {
  const int64_t steps = x.size(0), batch = x.size(1), h = w.hh.size(1);
  const auto cell = kernel_for(kernels_of(x).lstm_cell_backward, x.dtype(), "lstm", kernels_of(x).name);
  const Tensor active = active_steps(steps, pass.lengths, x.device());
  const Tensor g_out = gy.defined() && pass.lengths.defined() ? zero_past(gy, pass.lengths) : gy;
  const Tensor ggates = row_major({steps, batch, 4 * h}, x);

  // The gradients of the states between steps; two of each, as a kernel's results must not overlap what it reads.
  Tensor gh = zeros_row_major({batch, h}, x), gc = zeros_row_major({batch, h}, x);
  Tensor gh_before = row_major({batch, h}, x), gc_before = row_major({batch, h}, x);
  if (gh_last.defined()) gh.copy_from(gh_last);
  if (gc_last.defined()) gc.copy_from(gc_last);
  for (int64_t i = steps - 1; i >= 0 && batch > 0; --i) {
    const int64_t t = pass.reverse ? steps - 1 - i : i, from = pass.reverse ? t + 1 : t, to = pass.reverse ? t : t + 1;
    if (g_out.defined()) axpby_(1, g_out.select(0, t), 1, gh);
    cell(s.gates.select(0, t).view(), s.c.select(0, from).view(), s.c.select(0, to).view(), active_view(active, t),
         gh.view(), gc.view(), ggates.select(0, t).writable(), gc_before.writable(), gh_before.writable());
    conv2d_backward_data(pixels(ggates.select(0, t)), kernel1x1(w.hh), {batch, h, 1, 1}, {}, {}, pixels(gh_before),
                         true, Packing::cached);
    std::swap(gh, gh_before), std::swap(gc, gc_before);
  }

  const Tensor g_rows = rows_of(ggates);
  LstmGrads g;
  g.h0 = gh, g.c0 = gc;
  if (wanted.x) {
    g.x = row_major(x.shape(), x);
    linear_backward_data(g_rows, w.ih, rows_of(g.x), packing_of(pass));
  }
  if (wanted.ih) {
    g.ih = empty_like(w.ih);
    linear_backward_weight(rows_of(x), g_rows, g.ih);
  }
  if (wanted.hh) {
    g.hh = empty_like(w.hh);
    linear_backward_weight(rows_of(s.before(s.h, pass.reverse)), g_rows, g.hh);
  }
  if (wanted.bias) {
    const Tensor sums = zeros({4 * h}, {.dtype = Dtype::f64, .device = x.device()});
    channel_sums(g_rows, sums);
    g.bias = sums.to(x.dtype());
  }
  return g;
}

// ---- by the device's library ----

namespace {

constexpr Layout kRowMajor = Layout::channels_first;

/// (T,B,C) dense in memory as (T,B,C) or, batch_first, as (B,T,C); itself if it is.
Tensor ordered(const Tensor& x, bool batch_first) {
  return batch_first ? x.transpose(0, 1).contiguous(kRowMajor).transpose(0, 1) : x.contiguous(kRowMajor);
}
Tensor empty_ordered(const Dims& shape, bool batch_first, const Tensor& like) {
  if (!batch_first) return row_major(shape, like);
  return row_major({shape[1], shape[0], shape[2]}, like).transpose(0, 1);
}

Tensor dense(const Tensor& t) { return t.defined() ? t.contiguous(kRowMajor) : Tensor(); }
View view_of(const Tensor& t) { return t.defined() ? t.view() : View{}; }

LstmSequence::Weights views_of(const LstmWeights& w) {
  return {view_of(w.ih), view_of(w.hh), view_of(w.bias_ih), view_of(w.bias_hh)};
}
LstmSequence::Weights writable_views_of(const LstmWeights& w) {
  if (!w.bias_ih.defined()) return {w.ih.writable(), w.hh.writable(), {}, {}};
  return {w.ih.writable(), w.hh.writable(), w.bias_ih.writable(), w.bias_hh.writable()};
}

/// The operands as a library wants them, kept for as long as it needs them.
struct Operands {
  Tensor x, h0, c0;
  std::vector<LstmWeights> weights;
  std::vector<int64_t> lengths;
  LstmSequence sequence;

  Operands(const Tensor& any_x, const std::vector<LstmWeights>& any_weights, const Tensor& any_h0, const Tensor& any_c0,
           const Tensor& any_lengths)
      : h0(dense(any_h0)), c0(dense(any_c0)) {
    const bool batch_first = !any_x.is_dense(kRowMajor) && any_x.transpose(0, 1).is_dense(kRowMajor);
    x = ordered(any_x, batch_first);
    for (const LstmWeights& w : any_weights)
      weights.push_back({dense(w.ih), dense(w.hh), dense(w.bias_ih), dense(w.bias_hh)});
    if (any_lengths.defined()) lengths = any_lengths.to_vector<int64_t>();
    sequence.directions = int(weights.size());
    sequence.batch_first = batch_first;
    for (size_t d = 0; d < weights.size(); ++d) sequence.weights[d] = views_of(weights[d]);
    sequence.x = x.view(), sequence.h0 = view_of(h0), sequence.c0 = view_of(c0);
    sequence.lengths = lengths.empty() ? nullptr : lengths.data();
  }
};

}  // namespace

std::optional<LstmLayer> lstm_sequence(const Tensor& x, const std::vector<LstmWeights>& weights, const Tensor& h0,
                                       const Tensor& c0, const Tensor& lengths, bool training) {
  if (!kernels_of(x).lstm_sequence || x.rank() != 3) return {};
  for (size_t d = 0; d < weights.size(); ++d) {
    const auto state = [d](const Tensor& s) { return s.defined() ? s.select(0, int64_t(d)) : Tensor(); };
    check_all(x, weights[d], state(h0), state(c0), lengths);
    if (weights[d].bias_ih.defined() != weights[d].bias_hh.defined()) return {};
  }
  if (x.numel() == 0) return {};
  Operands o(x, weights, h0, c0, lengths);
  LstmSequence& s = o.sequence;
  const int64_t directions = s.directions, hidden = weights[0].hh.size(1);
  LstmLayer layer;
  layer.y = empty_ordered({x.size(0), x.size(1), directions * hidden}, s.batch_first, x);
  layer.h = row_major({directions, x.size(1), hidden}, x);
  layer.c = row_major({directions, x.size(1), hidden}, x);
  s.y = layer.y.writable(), s.h = layer.h.writable(), s.c = layer.c.writable();
  s.training = training;
  const int64_t bytes = kernels_of(x).lstm_sequence_memory(s);
  if (bytes < 0) return {};
  if (bytes > 0) layer.left = empty({bytes}, {.dtype = Dtype::u8, .device = x.device()});
  if (!kernels_of(x).lstm_sequence(s, layer.left.defined() ? layer.left.writable().data : nullptr)) return {};
  return layer;
}

LstmLayerGrads lstm_sequence_backward(const Tensor& x, const std::vector<LstmWeights>& weights, const Tensor& h0,
                                      const Tensor& c0, const Tensor& lengths, const LstmLayer& layer, const Tensor& gy,
                                      const Tensor& gh, const Tensor& gc, bool weights_wanted) {
  Operands o(x, weights, h0, c0, lengths);
  LstmSequence& s = o.sequence;
  s.training = true;
  s.y = layer.y.view(), s.h = layer.h.view(), s.c = layer.c.view();
  Tensor g_out = gy.defined() ? ordered(lengths.defined() ? zero_past(gy, lengths) : gy, s.batch_first)
                              : empty_ordered(layer.y.shape(), s.batch_first, x);
  if (!gy.defined()) g_out.fill(0);
  const Tensor gh_dense = dense(gh), gc_dense = dense(gc);

  LstmLayerGrads result;
  result.x = empty_ordered(x.shape(), s.batch_first, x);
  result.h0 = row_major(layer.h.shape(), x), result.c0 = row_major(layer.h.shape(), x);
  LstmSequenceGrads g;
  g.y = g_out.view(), g.h = view_of(gh_dense), g.c = view_of(gc_dense);
  g.x = result.x.writable(), g.h0 = result.h0.writable(), g.c0 = result.c0.writable();
  g.weights_wanted = weights_wanted;
  for (size_t d = 0; d < weights.size() && weights_wanted; ++d) {
    const LstmWeights& w = weights[d];
    const auto like = [](const Tensor& t) { return t.defined() ? row_major(t.shape(), t) : Tensor(); };
    result.weights.push_back({like(w.ih), like(w.hh), like(w.bias_ih), like(w.bias_hh)});
    g.weights[d] = writable_views_of(result.weights[d]);
  }
  const Tensor left = layer.left.clone();  // is written into, and the graph may be kept for another time
  kernels_of(x).lstm_sequence_backward(s, left.writable().data, g);
  if (lengths.defined()) zero_past_(result.x, lengths);
  return result;
}

}  // namespace ar::ops
