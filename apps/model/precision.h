// What a program's networks compute in: --precision.
#pragma once
#include "tensor/dtype.h"

namespace ar::apps {

/// The dtype that images are given to networks in, and so that of all activations: f32 until told otherwise.
Dtype activation_dtype();
/// For "f32" or "bf16", for the whole process. Where the processor does not multiply bf16, a note says so and f32
/// stays. Throws Error on other names.
void set_precision(const std::string& name);

}  // namespace ar::apps
