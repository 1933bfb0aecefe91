// There is no cuBLAS and no cuDNN in the emulation: our own kernels do their work.
#include "cuda/libraries.h"

namespace ar::cuda {

bool library_product(const Product&) { return false; }
bool library_convolution(Pass, const ConvParams&, const View&, const View&, const View&, bool) { return false; }

}  // namespace ar::cuda
