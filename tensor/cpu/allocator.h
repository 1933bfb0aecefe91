// The CPU's memory, as its Backend hands it out.
#pragma once
#include "tensor/backend.h"

namespace ar {
void* cpu_allocate(int64_t bytes);
void cpu_release(void* data, int64_t bytes);
}  // namespace ar
