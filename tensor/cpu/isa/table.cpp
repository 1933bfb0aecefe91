// The table of one instruction set, put together from its families.
#include "tensor/cpu/batch_norm.h"
#include "tensor/cpu/isa/families.h"

#define AR_STRING_(x) #x
#define AR_STRING(x) AR_STRING_(x)

namespace ar::cpu::AR_ISA {

const Kernels& kernels() {
  static const Kernels table = [] {
    Kernels k;
    k.name = AR_STRING(AR_ISA);
    add_elementwise(k);
    add_copy(k);
    add_random(k);
    add_reduce(k);
    add_conv(k);
    add_conv_weight(k);
    add_gemm(k);
    add_channels(k);
    add_batch_norm(k);
    add_pool(k);
    add_softmax(k);
    add_lstm(k);
    add_optim(k);
    add_lrn(k);
    add_frames(k);
    return k;
  }();
  return table;
}

}  // namespace ar::cpu::AR_ISA
