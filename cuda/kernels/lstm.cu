// One step of an LSTM after its matrix products (Hochreiter & Schmidhuber 1997, with forget gate), and the gradient. A
// thread takes one cell; the four gates of neighbouring cells lie as four runs.
//   i, f, o = sigmoid of their sums, g = tanh of its sum;  c = f c_prev + i g;  h = o tanh(c)
#include "cuda/each.h"
#include "cuda/families.h"
#include "tensor/elementwise_ops.h"

namespace ar::cuda {
namespace {

/// Rows of a (batch, width) operand whose last dimension is dense.
template <class S>
struct Rows {
  S* data;
  int64_t step;
  explicit Rows(const View& v) : data(static_cast<S*>(v.data)), step(v.strides[0]) {}
  AR_HD S* row(int64_t b) const { return data + b * step; }
};

struct Active {
  const int64_t* data;  // null: all
  int64_t step;
  explicit Active(const View& v) : data(v.as<const int64_t>()), step(v.data ? v.strides[0] : 0) {}
  AR_HD bool at(int64_t b) const { return !data || data[b * step] != 0; }
};

template <class S>
struct Cell {
  int64_t width;
  Rows<S> gates;
  Rows<const S> c_prev, h_prev;
  Active active;
  Rows<S> c, h;
  AR_HD void operator()(int64_t item) const {
    using T = Compute<S>;
    const int64_t b = item / width, j = item % width;
    S* const gate = gates.row(b) + j;
    const T i = op::sigmoid(widen(gate[0])), f = op::sigmoid(widen(gate[width]));
    const T g = op::tanh(widen(gate[2 * width])), o = op::sigmoid(widen(gate[3 * width]));
    gate[0] = narrow<S>(i), gate[width] = narrow<S>(f);
    gate[2 * width] = narrow<S>(g), gate[3 * width] = narrow<S>(o);
    const bool runs = active.at(b);
    const T old = widen(c_prev.row(b)[j]), now = f * old + i * g;
    c.row(b)[j] = narrow<S>(runs ? now : old);
    h.row(b)[j] = runs ? narrow<S>(o * op::tanh(now)) : h_prev.row(b)[j];
  }
};

template <class S>
struct CellBackward {
  int64_t width;
  Rows<const S> gates, c_prev, c;
  Active active;
  Rows<const S> gh, gc;
  Rows<S> ggates, gc_prev, gh_prev;
  AR_HD void operator()(int64_t item) const {
    using T = Compute<S>;
    const int64_t b = item / width, j = item % width;
    const T dh = widen(gh.row(b)[j]), dc_out = widen(gc.row(b)[j]);
    S* const to = ggates.row(b) + j;
    if (!active.at(b)) {
      for (int k = 0; k < 4; ++k) to[k * width] = narrow<S>(0);
      gc_prev.row(b)[j] = narrow<S>(dc_out);
      gh_prev.row(b)[j] = narrow<S>(dh);
      return;
    }
    const S* const gate = gates.row(b) + j;
    const T i = widen(gate[0]), f = widen(gate[width]), g = widen(gate[2 * width]), o = widen(gate[3 * width]);
    const T t = op::tanh(widen(c.row(b)[j])), dc = dh * o * (1 - t * t) + dc_out;
    to[0] = narrow<S>(dc * g * i * (1 - i));
    to[width] = narrow<S>(dc * widen(c_prev.row(b)[j]) * f * (1 - f));
    to[2 * width] = narrow<S>(dc * i * (1 - g * g));
    to[3 * width] = narrow<S>(dh * t * o * (1 - o));
    gc_prev.row(b)[j] = narrow<S>(dc * f);
    gh_prev.row(b)[j] = narrow<S>(0);
  }
};

template <class S>
void lstm_cell(const View& gates, const View& c_prev, const View& h_prev, const View& active, const View& c,
               const View& h) {
  each_item(c.shape[0] * c.shape[1], Cell<S>{c.shape[1], Rows<S>(gates), Rows<const S>(c_prev), Rows<const S>(h_prev),
                                             Active(active), Rows<S>(c), Rows<S>(h)});
}
template <class S>
void lstm_cell_backward(const View& gates, const View& c_prev, const View& c, const View& active, const View& gh,
                        const View& gc, const View& ggates, const View& gc_prev, const View& gh_prev) {
  each_item(c.shape[0] * c.shape[1],
            CellBackward<S>{c.shape[1], Rows<const S>(gates), Rows<const S>(c_prev), Rows<const S>(c), Active(active),
                            Rows<const S>(gh), Rows<const S>(gc), Rows<S>(ggates), Rows<S>(gc_prev), Rows<S>(gh_prev)});
}

}  // namespace

void add_lstm(Kernels& k) {
  k.lstm_cell = {.bf16 = &lstm_cell<bf16>, .f32 = &lstm_cell<float>, .f64 = &lstm_cell<double>};
  k.lstm_cell_backward = {
      .bf16 = &lstm_cell_backward<bf16>, .f32 = &lstm_cell_backward<float>, .f64 = &lstm_cell_backward<double>};
}

}  // namespace ar::cuda
