// The table of processors with AVX512-BF16: all that AVX-512 has, and networks whose activations are bf16.
#include "tensor/cpu/isa/families.h"

namespace ar::cpu {
namespace avx512 {
const Kernels& kernels();
}

namespace AR_ISA {

const Kernels& kernels() {
  static const Kernels table = [] {
    Kernels k = avx512::kernels();
    k.name = "avx512bf16";
    add_conv(k);
    add_conv_weight(k);
    add_channels(k);
    add_pool(k);
    add_lrn(k);
    return k;
  }();
  return table;
}

void copy(const View& x, const View& y) { avx512::kernels().copy(x, y); }

}  // namespace AR_ISA
}  // namespace ar::cpu
