#include "tensor/cpu/batch_norm.h"

#include "tensor/batch_norm_math.h"

namespace ar::cpu {
namespace {

template <class T>
void norm_forward(const NormForward& n) {
  for (int64_t c = 0; c < n.channels; ++c) norm_forward_channel<T>(n, c);
}
template <class T>
void norm_backward(const NormBackward& n) {
  for (int64_t c = 0; c < n.channels; ++c) norm_backward_channel<T>(n, c);
}

}  // namespace

void add_batch_norm(Kernels& k) {
  k.norm_forward = {.f32 = &norm_forward<float>, .f64 = &norm_forward<double>};
  k.norm_backward = {.f32 = &norm_backward<float>, .f64 = &norm_backward<double>};
}

}  // namespace ar::cpu
