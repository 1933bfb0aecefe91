// Batch norm's numbers per channel on the CPU, one implementation for all instruction sets: so few numbers need none.
#pragma once
#include "tensor/kernels.h"

namespace ar::cpu {

void add_batch_norm(Kernels&);

}  // namespace ar::cpu
