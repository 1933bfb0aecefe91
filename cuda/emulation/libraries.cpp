// There is no cuBLAS and no cuDNN in the emulation: our own kernels do their work. So that all around them is tested,
// with AR_EMULATION_LSTM=1 a plain LSTM stands in for cuDNN's, with weights in an order that nobody would guess, and
// with AR_EMULATION_CONVOLUTION=1 the plain convolution, which then takes only images without gaps.
#include "cuda/libraries.h"

#include "cuda/context.h"
#include "cuda/families.h"
#include "cuda/gpu.h"
#include "cuda/numbers.h"
#include "cuda/plain_convolution.h"
#include "cuda/switches.h"
#include "tensor/elementwise_ops.h"

namespace ar::cuda {
namespace {

/// One LSTM layer as the equations have it, a sequence after the other (see autograd/lstm.h). `left` holds, in the type
/// that is computed in, the gates and the cell's state of each step; the backward pass puts the gates' gradients there.
template <class S>
struct Lstm {
  using T = Compute<S>;
  LstmSequence s;
  const int32_t* lengths = nullptr;
  char* weights = nullptr;
  T* left = nullptr;
  T* work = nullptr;  // 2H numbers

  int64_t steps() const { return s.x.shape[0]; }
  int64_t batch() const { return s.x.shape[1]; }
  int64_t in() const { return s.x.shape[2]; }
  int64_t hidden() const { return s.h.shape[2]; }

  // In memory: direction after direction, gates from the last to the first, each bias before its matrix.
  int64_t matrix_size(int gate) const { return hidden() * (gate < 4 ? in() : hidden()); }
  int64_t gate_size(int gate) const { return matrix_size(gate) + hidden(); }
  LstmPlace place(char* memory, int d, int gate) const {
    int64_t before = d * 4 * (gate_size(0) + gate_size(4));
    for (int g = 7; g > gate; --g) before += gate_size(g);
    S* const bias = reinterpret_cast<S*>(memory) + before;
    return {bias + hidden(), s.weights[0].bias_ih.data ? bias : nullptr};
  }
  T weight(char* memory, int d, int gate, int64_t row, int64_t column) const {
    const int64_t columns = gate < 4 ? in() : hidden();
    return widen(static_cast<S*>(place(memory, d, gate).matrix)[row * columns + column]);
  }
  T bias(int d, int gate, int64_t row) const {
    const void* const all = place(weights, d, gate).bias;
    return all ? widen(static_cast<const S*>(all)[row]) : T(0);
  }

  static S& at(const View& v, int64_t i, int64_t j, int64_t k) {
    return v.as<S>()[i * v.strides[0] + j * v.strides[1] + k * v.strides[2]];
  }
  static T given(const View& v, int64_t i, int64_t j, int64_t k) { return v.data ? widen(at(v, i, j, k)) : T(0); }
  T* gates(int d, int64_t t, int64_t b) const { return left + ((d * steps() + t) * batch() + b) * 5 * hidden(); }
  T* cell(int d, int64_t t, int64_t b) const { return gates(d, t, b) + 4 * hidden(); }

  /// The i-th step that a direction takes of a sequence of n, and the one before (-1: none).
  struct Step {
    int64_t now, before;
  };
  static Step step(int d, int64_t i, int64_t n) { return d ? Step{n - 1 - i, i ? n - i : -1} : Step{i, i - 1}; }
  T h_before(int d, Step t, int64_t b, int64_t j) const {
    return t.before < 0 ? given(s.h0, d, b, j) : widen(at(s.y, t.before, b, d * hidden() + j));
  }
  T c_before(int d, Step t, int64_t b, int64_t j) const {
    return t.before < 0 ? given(s.c0, d, b, j) : cell(d, t.before, b)[j];
  }

  void forward() const {
    const int64_t h = hidden();
    for (int d = 0; d < s.directions; ++d)
      for (int64_t b = 0; b < batch(); ++b) {
        for (int64_t i = 0; i < lengths[b]; ++i) {
          const Step t = step(d, i, lengths[b]);
          T *const gate = gates(d, t.now, b), *const c = cell(d, t.now, b);
          for (int64_t k = 0; k < 4 * h; ++k) {
            const int g = int(k / h);
            gate[k] = bias(d, g, k % h) + bias(d, g + 4, k % h);
            for (int64_t m = 0; m < in(); ++m) gate[k] += weight(weights, d, g, k % h, m) * widen(at(s.x, t.now, b, m));
            for (int64_t m = 0; m < h; ++m) gate[k] += weight(weights, d, g + 4, k % h, m) * h_before(d, t, b, m);
            gate[k] = g == 2 ? op::tanh(gate[k]) : op::sigmoid(gate[k]);
          }
          for (int64_t j = 0; j < h; ++j) {
            c[j] = gate[h + j] * c_before(d, t, b, j) + gate[j] * gate[2 * h + j];
            at(s.y, t.now, b, d * h + j) = narrow<S>(gate[3 * h + j] * op::tanh(c[j]));
          }
        }
        const int64_t last = step(d, lengths[b] - 1, lengths[b]).now;
        for (int64_t j = 0; j < h; ++j) {
          at(s.h, d, b, j) = at(s.y, last, b, d * h + j);
          at(s.c, d, b, j) = narrow<S>(cell(d, last, b)[j]);
          for (int64_t t = lengths[b]; t < steps(); ++t) at(s.y, t, b, d * h + j) = narrow<S>(0);
        }
      }
  }

  void backward(const LstmSequenceGrads& g) const {
    const int64_t h = hidden();
    T *const dh = work, *const dc = work + h;
    for (int d = 0; d < s.directions; ++d)
      for (int64_t b = 0; b < batch(); ++b) {
        for (int64_t j = 0; j < h; ++j) dh[j] = given(g.h, d, b, j), dc[j] = given(g.c, d, b, j);
        for (int64_t k = lengths[b] - 1; k >= 0; --k) {
          const Step t = step(d, k, lengths[b]);
          T* const gate = gates(d, t.now, b);
          for (int64_t j = 0; j < h; ++j) {
            const T i = gate[j], f = gate[h + j], n = gate[2 * h + j], o = gate[3 * h + j];
            const T now = op::tanh(cell(d, t.now, b)[j]), dy = dh[j] + widen(at(g.y, t.now, b, d * h + j));
            dc[j] += dy * o * (1 - now * now);
            gate[j] = dc[j] * n * i * (1 - i);
            gate[h + j] = dc[j] * c_before(d, t, b, j) * f * (1 - f);
            gate[2 * h + j] = dc[j] * i * (1 - n * n);
            gate[3 * h + j] = dy * now * o * (1 - o);
            dc[j] *= f;
          }
          for (int64_t j = 0; j < h; ++j) {
            dh[j] = 0;
            for (int64_t m = 0; m < 4 * h; ++m) dh[j] += weight(weights, d, int(m / h) + 4, m % h, j) * gate[m];
          }
        }
        for (int64_t j = 0; j < h; ++j) at(g.h0, d, b, j) = narrow<S>(dh[j]), at(g.c0, d, b, j) = narrow<S>(dc[j]);
      }
    for (int64_t b = 0; b < batch(); ++b)
      for (int64_t t = 0; t < lengths[b]; ++t)  // the rest stays as it is, so that nobody relies on it
        for (int64_t m = 0; m < in(); ++m) {
          T sum = 0;
          for (int d = 0; d < s.directions; ++d)
            for (int64_t k = 0; k < 4 * h; ++k) sum += weight(weights, d, int(k / h), k % h, m) * gates(d, t, b)[k];
          at(g.x, t, b, m) = narrow<S>(sum);
        }
  }

  /// After backward().
  void backward_weights(char* g_weights) const {
    const int64_t h = hidden();
    for (int d = 0; d < s.directions; ++d)
      for (int gate = 0; gate < 8; ++gate) {
        const LstmPlace to = place(g_weights, d, gate);
        const int64_t columns = gate < 4 ? in() : h;
        for (int64_t row = 0; row < h; ++row)
          for (int64_t m = 0; m <= columns; ++m) {  // the last is the bias
            T sum = 0;
            for (int64_t b = 0; b < batch(); ++b)
              for (int64_t i = 0; i < lengths[b]; ++i) {
                const Step t = step(d, i, lengths[b]);
                const T x = m == columns ? 1 : gate < 4 ? widen(at(s.x, t.now, b, m)) : h_before(d, t, b, m);
                sum += gates(d, t.now, b)[gate % 4 * h + row] * x;
              }
            if (m == columns && !to.bias) continue;
            S& g = m == columns ? static_cast<S*>(to.bias)[row] : static_cast<S*>(to.matrix)[row * columns + m];
            g = narrow<S>(widen(g) + sum);
          }
      }
  }
};

template <class S>
void lstm_kernel(Lstm<S> lstm) {
  lstm.forward();
}
template <class S>
void lstm_backward_kernel(Lstm<S> lstm, LstmSequenceGrads g, char* g_weights) {
  lstm.backward(g);
  if (g_weights) lstm.backward_weights(g_weights);
}

template <class Run>
auto with_type(Dtype t, const Run& run) {
  return t == Dtype::f64 ? run(double()) : t == Dtype::bf16 ? run(bf16()) : run(float());
}

template <class S>
Lstm<S> lstm_of(const LstmOperands& o) {
  using T = Compute<S>;
  T* const work = static_cast<T*>(o.work);
  const int64_t h2 = 2 * o.sequence.h.shape[2];
  return {o.sequence, o.lengths, static_cast<char*>(o.weights), o.left ? static_cast<T*>(o.left) : work + h2, work};
}

}  // namespace

void prepare_libraries() {}
bool library_product(const Product&) { return false; }
bool library_convolution(Pass pass, const ConvParams& p, const View& x, const View& w, const View& y, bool accumulate) {
  if (!switched_on("AR_EMULATION_CONVOLUTION") || !lies_well(x) || !lies_well(y)) return false;
  AR_CHECK(w.dtype == x.dtype, "cuda: a library's convolution of two types");
  View result = w;
  const bool narrowed = pass == Pass::backward_weight && x.dtype == Dtype::bf16;  // the plain one gives f32
  const Scratch wide(narrowed ? w.numel() * int64_t(sizeof(float)) : 0);
  if (narrowed) {
    AR_CHECK(!accumulate, "cuda: halves are not added to");
    result.data = wide.as<void>(), result.dtype = Dtype::f32;
  }
  with_type(x.dtype, [&](auto type) { plain_convolution<decltype(type)>(pass, p, x, result, y, accumulate); });
  if (narrowed) {
    Kernels k;
    add_copy(k);
    k.copy(result, w);
  }
  return true;
}

LstmMemory library_lstm_memory(const LstmSequence& s) {
  if (!switched_on("AR_EMULATION_LSTM")) return {};
  return with_type(s.x.dtype, [&](auto type) -> LstmMemory {
    using S = decltype(type);
    const Lstm<S> l{.s = s};
    const int64_t wide = sizeof(Compute<S>);
    const int64_t left = s.directions * l.steps() * l.batch() * 5 * l.hidden() * wide, few = 2 * l.hidden() * wide;
    return {.taken = true,
            .weights = s.directions * 4 * (l.gate_size(0) + l.gate_size(4)) * int64_t(sizeof(S)),
            .work = s.training ? few : few + left,
            .left = s.training ? left : 0};
  });
}

LstmPlaces library_lstm_places(const LstmSequence& s, void* weights) {
  LstmPlaces places;
  with_type(s.x.dtype, [&](auto type) {
    for (int d = 0; d < s.directions; ++d)
      for (int gate = 0; gate < 8; ++gate)
        places[d][gate] = Lstm<decltype(type)>{.s = s}.place(static_cast<char*>(weights), d, gate);
  });
  return places;
}

bool library_lstm(const LstmOperands& o) {
  with_type(o.sequence.x.dtype, [&](auto type) {
    gpu::launch(lstm_kernel<decltype(type)>, {1, 1, 0, stream()}, lstm_of<decltype(type)>(o));
  });
  return true;
}

void library_lstm_backward(const LstmOperands& o, const LstmSequenceGrads& g, void* g_weights) {
  with_type(o.sequence.x.dtype, [&](auto type) {
    gpu::launch(lstm_backward_kernel<decltype(type)>, {1, 1, 0, stream()}, lstm_of<decltype(type)>(o), g,
                static_cast<char*>(g_weights));
  });
}

}  // namespace ar::cuda
