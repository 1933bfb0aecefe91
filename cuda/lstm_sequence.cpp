// An LSTM by a library: our weights, gate by gate, into the places where it looks for them, and gradients back from
// there.
#include <vector>

#include "cuda/context.h"
#include "cuda/families.h"
#include "cuda/libraries.h"

namespace ar::cuda {
namespace {

View block(void* data, Dtype t, int64_t rows, int64_t columns) {
  return {.data = data, .dtype = t, .rank = 2, .shape = {rows, columns}, .strides = {columns, 1}};
}

/// copy(ours, theirs) for each run of gates that lie one after another in both: at most 4 for a matrix or a bias, most
/// often one.
template <class Copy>
void each_run(const View& ours, const std::array<void*, 4>& theirs, const Copy& copy) {
  const int64_t rows = ours.shape[0] / 4, columns = ours.rank == 2 ? ours.shape[1] : 1;
  const int64_t bytes = rows * columns * size_of(ours.dtype);
  for (int first = 0, last = 1; first < 4; first = last, ++last) {
    while (last < 4 && theirs[last] == static_cast<char*>(theirs[last - 1]) + bytes) ++last;
    const int64_t all = (last - first) * rows;
    copy(block(static_cast<char*>(ours.data) + first * bytes, ours.dtype, all, columns),
         block(theirs[first], ours.dtype, all, columns));
  }
}

template <class Copy>
void each_weight(const LstmSequence::Weights* weights, int directions, const LstmPlaces& places, const Copy& copy) {
  for (int d = 0; d < directions; ++d)
    for (int first : {0, 4}) {
      std::array<void*, 4> matrices, biases;
      for (int i = 0; i < 4; ++i) matrices[i] = places[d][first + i].matrix, biases[i] = places[d][first + i].bias;
      const LstmSequence::Weights& w = weights[d];
      each_run(first ? w.hh : w.ih, matrices, copy);
      if (const View& bias = first ? w.bias_hh : w.bias_ih; bias.data) each_run(bias, biases, copy);
    }
}

const Kernels& copies() {
  static const Kernels table = [] {
    Kernels k;
    add_copy(k);
    return k;
  }();
  return table;
}

/// What a pass in either direction needs, in the device's memory.
struct Prepared {
  LstmMemory memory;
  Scratch lengths, weights, work;
  LstmPlaces places;
  Prepared(const LstmSequence& s, const LstmMemory& m)
      : memory(m), lengths(s.x.shape[1] * int64_t(sizeof(int32_t))), weights(m.weights), work(m.work) {
    const int64_t batch = s.x.shape[1];
    if (s.lengths) {
      const std::vector<int32_t> narrow(s.lengths, s.lengths + batch);
      upload(lengths.as<void>(), narrow.data(), batch * int64_t(sizeof(int32_t)));
    } else {
      copies().fill(block(lengths.as<void>(), Dtype::i32, batch, 1), double(s.x.shape[0]));
    }
    gpu::fill(weights.as<void>(), 0, std::size_t(m.weights), stream());
    places = library_lstm_places(s, weights.as<void>());
    each_weight(s.weights, s.directions, places, copies().copy);
  }
  LstmOperands with(const LstmSequence& s, void* left) const {
    return {s, lengths.as<int32_t>(), memory, weights.as<void>(), work.as<void>(), left};
  }
};

int64_t lstm_sequence_memory(const LstmSequence& s) {
  const LstmMemory m = library_lstm_memory(s);
  return m.taken ? m.left : -1;
}

bool lstm_sequence(const LstmSequence& s, void* left) {
  return library_lstm(Prepared(s, library_lstm_memory(s)).with(s, left));
}

void lstm_sequence_backward(const LstmSequence& s, void* left, const LstmSequenceGrads& g) {
  const Prepared p(s, library_lstm_memory(s));
  const Scratch g_weights(g.weights_wanted ? p.memory.weights : 0);
  if (g.weights_wanted) gpu::fill(g_weights.as<void>(), 0, std::size_t(p.memory.weights), stream());
  library_lstm_backward(p.with(s, left), g, g_weights.as<void>());
  if (g.weights_wanted)
    each_weight(g.weights, s.directions, library_lstm_places(s, g_weights.as<void>()),
                [](const View& ours, const View& theirs) { copies().copy(theirs, ours); });
}

}  // namespace

void add_lstm_sequence(Kernels& k) {
  k.lstm_sequence_memory = &lstm_sequence_memory;
  k.lstm_sequence = &lstm_sequence;
  k.lstm_sequence_backward = &lstm_sequence_backward;
}

}  // namespace ar::cuda
