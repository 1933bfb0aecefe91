// AR_HD marks a function that the CPU and the CUDA compilers both build. Always inlined: a header function that leaves
// no symbol cannot be merged by the linker with a copy built for another instruction set.
#pragma once
#if defined(__CUDACC__)
#define AR_HD __host__ __device__ __forceinline__
#else
#define AR_HD [[gnu::always_inline]] inline
#endif
