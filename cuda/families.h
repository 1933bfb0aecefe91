// The families of CUDA kernels: each file of kernels/ fills in its part of the table of tensor/kernels.h.
//
// All own kernels are deterministic: no floating-point number is ever added atomically. Sums over blocks are written
// side by side and added in order by a second kernel.
#pragma once
#include "tensor/kernels.h"

namespace ar::cuda {

void add_elementwise(Kernels&);
void add_copy(Kernels&);
void add_random(Kernels&);
void add_reduce(Kernels&);
void add_conv(Kernels&);
void add_gemm(Kernels&);
void add_channels(Kernels&);
void add_pool(Kernels&);
void add_softmax(Kernels&);
void add_lstm(Kernels&);
void add_lstm_sequence(Kernels&);
void add_optim(Kernels&);
void add_lrn(Kernels&);
void add_frames(Kernels&);

}  // namespace ar::cuda
