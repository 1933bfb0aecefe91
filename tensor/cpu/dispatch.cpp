// Chooses the table of CPU kernels at run time.
#include <cstdlib>
#include <cstring>

#include "tensor/backend.h"

namespace ar {

namespace cpu {
namespace baseline {
const Kernels& kernels();
}
#ifdef AR_HAVE_X86_ISAS
namespace avx2 {
const Kernels& kernels();
}
namespace avx512 {
const Kernels& kernels();
}
namespace avx512bf16 {
const Kernels& kernels();
}
#endif
}  // namespace cpu

const Kernels* cpu_kernels_named(const char* name) {
  if (!std::strcmp(name, "baseline")) return &cpu::baseline::kernels();
#ifdef AR_HAVE_X86_ISAS
  __builtin_cpu_init();
  // Every processor with AVX2 has F16C, for which Clang 14 cannot ask.
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (!std::strcmp(name, "avx2") && avx2) return &cpu::avx2::kernels();
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  if (!std::strcmp(name, "avx512") && avx512) return &cpu::avx512::kernels();
  if (!std::strcmp(name, "avx512bf16") && avx512 && __builtin_cpu_supports("avx512bf16"))
    return &cpu::avx512bf16::kernels();
#endif
  return nullptr;
}

const Kernels& cpu_kernels() {
  static const Kernels* const chosen = []() -> const Kernels* {
    if (const char* wanted = std::getenv("AR_CPU"); wanted && *wanted) {
      const Kernels* k = cpu_kernels_named(wanted);
      AR_CHECK(k, "AR_CPU=", wanted,
               ": this processor or build has no such kernels (baseline, avx2, avx512, avx512bf16)");
      return k;
    }
    for (const char* name : {"avx512bf16", "avx512", "avx2"})
      if (const Kernels* k = cpu_kernels_named(name)) return k;
    return cpu_kernels_named("baseline");
  }();
  return *chosen;
}

}  // namespace ar
