// One step of an LSTM after its matrix products, and the gradient.
#include "tensor/cpu/isa/families.h"
#include "tensor/cpu/isa/rows.h"
#include "tensor/cpu/isa/simd_math.h"

namespace ar::cpu::AR_ISA {
namespace {

constexpr int64_t kGrain = 2048;  // cells
constexpr int64_t kBlock = 128;   // cells of one row in a work item

template <class T>
T* row(const View& v, int64_t b) {
  return v.as<T>() + b * v.strides[0];
}
bool is_active(const View& active, int64_t b) {
  return !active.data || active.as<const int64_t>()[b * active.strides[0]] != 0;
}

/// f(b, j, n): cells [j, j + n) of row b.
template <class F>
void each_block(const View& cells, F&& f) {
  const int64_t width = cells.shape[1], blocks = (width + kBlock - 1) / kBlock;
  parallel_for(cells.shape[0] * blocks, kGrain / kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t j = i % blocks * kBlock;
      f(i / blocks, j, width - j < kBlock ? width - j : kBlock);
    }
  });
}

template <class T>
void lstm_cell(const View& gates, const View& c_prev, const View& h_prev, const View& active, const View& c,
               const View& h) {
  using V = Vec<T>;
  const int64_t width = c.shape[1];
  each_block(c, [&](int64_t b, int64_t first, int64_t n) {
    T* const gate = row<T>(gates, b) + first;
    const T *const c0 = row<T>(c_prev, b) + first, *const h0 = row<T>(h_prev, b) + first;
    T *const c1 = row<T>(c, b) + first, *const h1 = row<T>(h, b) + first;
    const bool runs = is_active(active, b);
    each_vector<T>(n, [=](int64_t j, auto io) {
      const V i = sigmoid(io.load(gate + j)), f = sigmoid(io.load(gate + width + j));
      const V g = tanh(io.load(gate + 2 * width + j)), o = sigmoid(io.load(gate + 3 * width + j));
      io.store(i, gate + j);
      io.store(f, gate + width + j);
      io.store(g, gate + 2 * width + j);
      io.store(o, gate + 3 * width + j);
      const V old = io.load(c0 + j), now = fma(f, old, i * g);
      io.store(runs ? now : old, c1 + j);
      io.store(runs ? o * tanh(now) : io.load(h0 + j), h1 + j);
    });
  });
}

template <class T>
void lstm_cell_backward(const View& gates, const View& c_prev, const View& c, const View& active, const View& gh,
                        const View& gc, const View& ggates, const View& gc_prev, const View& gh_prev) {
  using V = Vec<T>;
  const int64_t width = c.shape[1];
  each_block(c, [&](int64_t b, int64_t first, int64_t n) {
    const T* const gate = row<T>(gates, b) + first;
    const T *const c0 = row<T>(c_prev, b) + first, *const c1 = row<T>(c, b) + first;
    const T *const from_h = row<T>(gh, b) + first, *const from_c = row<T>(gc, b) + first;
    T* const to = row<T>(ggates, b) + first;
    T *const to_c = row<T>(gc_prev, b) + first, *const to_h = row<T>(gh_prev, b) + first;
    const bool runs = is_active(active, b);
    each_vector<T>(n, [=](int64_t j, auto io) {
      const V zero = V::zero(), one = V::set1(1), dh = io.load(from_h + j), dc_out = io.load(from_c + j);
      if (!runs) {
        for (int k = 0; k < 4; ++k) io.store(zero, to + k * width + j);
        io.store(dc_out, to_c + j);
        return io.store(dh, to_h + j);
      }
      const V i = io.load(gate + j), f = io.load(gate + width + j);
      const V g = io.load(gate + 2 * width + j), o = io.load(gate + 3 * width + j);
      const V t = tanh(io.load(c1 + j)), dc = fma(dh * o, one - t * t, dc_out);
      io.store(dc * g * i * (one - i), to + j);
      io.store(dc * io.load(c0 + j) * f * (one - f), to + width + j);
      io.store(dc * i * (one - g * g), to + 2 * width + j);
      io.store(dh * t * o * (one - o), to + 3 * width + j);
      io.store(dc * f, to_c + j);
      io.store(zero, to_h + j);
    });
  });
}

}  // namespace

void add_lstm(Kernels& k) {
  k.lstm_cell = {.f32 = &lstm_cell<float>, .f64 = &lstm_cell<double>};
  k.lstm_cell_backward = {.f32 = &lstm_cell_backward<float>, .f64 = &lstm_cell_backward<double>};
}

}  // namespace ar::cpu::AR_ISA
