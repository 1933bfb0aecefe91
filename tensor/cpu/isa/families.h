// The families of CPU kernels. Each .cpp of this folder is compiled once per instruction set, into the namespace that
// the macro AR_ISA names, and fills in its part of that set's table.
//
// Inside these objects nothing may leave a mergeable ("weak") symbol: the linker would keep one copy for all
// instruction sets, perhaps one that an older processor cannot run. So: helpers live in unnamed namespaces or are
// always inlined, and no std:: container or algorithm is used. A test looks at the symbols.
#pragma once
#include "tensor/kernels.h"

namespace ar::cpu::AR_ISA {

void add_elementwise(Kernels&);
void add_copy(Kernels&);
void add_random(Kernels&);
void add_reduce(Kernels&);
void add_conv(Kernels&);
void add_conv_weight(Kernels&);
void add_gemm(Kernels&);
void add_channels(Kernels&);
void add_pool(Kernels&);
void add_softmax(Kernels&);
void add_lstm(Kernels&);
void add_optim(Kernels&);
void add_lrn(Kernels&);
void add_frames(Kernels&);

/// The table's copy, for kernels that bring views into another order first.
void copy(const View& x, const View& y);

/// The finished table of this instruction set.
const Kernels& kernels();

}  // namespace ar::cpu::AR_ISA
