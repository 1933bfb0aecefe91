// The seam to NVIDIA's libraries. Two implementations: libraries_cuda.cpp (cuBLAS and cuDNN) and
// emulation/libraries.cpp (nothing). Where one declines, our own kernels, plain and slow, do the work.
#pragma once
#include <array>

#include "tensor/kernels.h"

namespace ar::cuda {

/// c[b] = a[b] * b[b] (+ c[b]): (M,K) x (K,N) -> (M,N). Steps are in elements. a and b are of one dtype, c of the same,
/// or f32 beside bf16.
struct Product {
  struct Matrix {
    void* data;
    int64_t batch_step, row_step, column_step;
  };
  Dtype dtype, c_dtype;
  int64_t batch, m, n, k;
  Matrix a, b, c;
  bool accumulate;
};
/// Starts the libraries, which take memory of their own, while there is some. Throws Error when one cannot be used, or
/// knows of no algorithm for an ordinary convolution.
void prepare_libraries();

/// False: not taken.
bool library_product(const Product&);

enum class Pass { forward, backward_data, backward_weight };
/// One of y = conv(x, w), x = conv_transpose(y, w) and w = sum over pixels of x and y; the third is written or
/// (accumulate) added to. x (N,C,H,W) and y (N,O,OH,OW) have channel stride 1, w (O,C/groups,KH,KW) is dense in
/// channels-last order; all are of one dtype. False: not taken.
bool library_convolution(Pass, const ConvParams&, const View& x, const View& w, const View& y, bool accumulate);

/// What an LSTM's library wants: one block of memory for the weights of all directions, and memory to work with.
struct LstmMemory {
  bool taken = false;
  int64_t weights = 0, work = 0, left = 0;  // bytes; `left` from a training pass for the backward pass
};
LstmMemory library_lstm_memory(const LstmSequence&);
/// Where the library looks for a gate's matrix, dense, and bias in that block (null without biases): [direction][gate],
/// gates i, f, g, o of the input, then of the state.
struct LstmPlace {
  void *matrix = nullptr, *bias = nullptr;
};
using LstmPlaces = std::array<std::array<LstmPlace, 8>, 2>;
LstmPlaces library_lstm_places(const LstmSequence&, void* weights);
/// The operands of one pass. lengths: [B], the same on the device as on the host.
struct LstmOperands {
  const LstmSequence& sequence;
  const int32_t* lengths;
  const LstmMemory& memory;
  void *weights, *work, *left;
};
/// False: not taken.
bool library_lstm(const LstmOperands&);
/// Adds the weights' gradients to what g_weights holds, in the same places (null: not wanted).
void library_lstm_backward(const LstmOperands&, const LstmSequenceGrads&, void* g_weights);

/// Product by cuBLAS, or by our own kernel.
void product(const Product&);

}  // namespace ar::cuda
