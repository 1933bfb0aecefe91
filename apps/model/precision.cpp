#include "apps/model/precision.h"

#include "apps/report/progress.h"
#include "tensor/backend.h"

namespace ar::apps {
namespace {
Dtype activations = Dtype::f32;
}

Dtype activation_dtype() { return activations; }

void set_precision(const std::string& name) {
  AR_CHECK(name == "f32" || name == "bf16", "--precision ", name, ": not one of f32, bf16");
  activations = Dtype::f32;
  if (name == "f32") return;
  if (cpu_kernels().conv2d.bf16)
    activations = Dtype::bf16;
  else
    log_line(std::string("note: --precision bf16 needs a processor with AVX512-BF16, these kernels are ") +
             cpu_kernels().name + "; computing in f32");
}

}  // namespace ar::apps
