// A hash of numbers (FNV-1a, a number at a time): keys of what is kept.
#pragma once
#include <cstdint>

#include "tensor/dims.h"

namespace ar {

class Hash {
 public:
  Hash& operator<<(uint64_t v) {
    value_ = (value_ ^ v) * 0x100000001b3u;
    return *this;
  }
  Hash& operator<<(const Dims& dims) {
    for (int64_t v : dims) *this << uint64_t(v);
    return *this;
  }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0xcbf29ce484222325u;
};

}  // namespace ar
