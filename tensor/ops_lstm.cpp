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
      conv2d(pixels(h_from), kernel1x1(w.hh), {}, {}, {.accumulate = true}, pixels(gates), Packing::cached);
    cell(gates.writable(), s.c.select(0, from).view(), h_from.view(), active_view(active, t),
         s.c.select(0, to).writable(), s.h.select(0, to).writable());
  }
  return s;
}

Tensor zero_past(const Tensor& x, const Tensor& lengths) {
  Tensor y = row_major(x.shape(), x);
  y.copy_from(x);
  const std::vector<int64_t> n = lengths.to_vector<int64_t>();
  for (int64_t b = 0; b < int64_t(n.size()); ++b)
    if (n[size_t(b)] < x.size(0)) y.select(1, b).narrow(0, n[size_t(b)], x.size(0) - n[size_t(b)]).fill(0);
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

}  // namespace ar::ops
