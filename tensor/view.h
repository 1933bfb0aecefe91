// View: a tensor as kernels see it. No ownership; shapes and dtypes have been checked before.
#pragma once
#include <cstdint>

#include "tensor/dtype.h"

namespace ar {

struct View {
  void* data = nullptr;
  Dtype dtype = Dtype::f32;
  int rank = 0;
  int64_t shape[6] = {};
  int64_t strides[6] = {};  // in elements

  template <class T>
  T* as() const {
    return static_cast<T*>(data);
  }
  int64_t numel() const {
    int64_t n = 1;
    for (int i = 0; i < rank; ++i) n *= shape[i];
    return n;
  }
};

}  // namespace ar
