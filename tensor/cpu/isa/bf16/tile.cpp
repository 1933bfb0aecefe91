#include "tensor/cpu/isa/tile_impl.h"

namespace ar::cpu::AR_ISA {

void run_tile(const Tile<bf16>& t, int pixels, int columns) { run(t, pixels, columns); }
void run_raw_tile(const Tile<bf16>& t, int pixels, int columns) { run_raw(t, pixels, columns); }
void finish_sums(const Finish<float>& f, const Sums<bf16>& s) { finish_memory(f, s); }
void run_grad_tile(const GradTile<bf16>& t, int k, int columns) { run_grad(t, k, columns); }

}  // namespace ar::cpu::AR_ISA
