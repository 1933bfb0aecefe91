// The seam to NVIDIA's libraries. Two implementations: libraries_cuda.cpp (cuBLAS and cuDNN) and
// emulation/libraries.cpp (nothing). Where one declines, our own kernels, plain and slow, do the work.
#pragma once
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
/// False: not taken.
bool library_product(const Product&);

enum class Pass { forward, backward_data, backward_weight };
/// One of y = conv(x, w), x = conv_transpose(y, w) and w = sum over pixels of x and y; the third is written or
/// (accumulate) added to. x (N,C,H,W) and y (N,O,OH,OW) have channel stride 1, w (O,C/groups,KH,KW) is dense in
/// channels-last order. False: not taken.
bool library_convolution(Pass, const ConvParams&, const View& x, const View& w, const View& y, bool accumulate);

/// Product by cuBLAS, or by our own kernel.
void product(const Product&);

}  // namespace ar::cuda
